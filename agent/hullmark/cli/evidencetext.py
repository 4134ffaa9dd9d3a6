"""What is shown of packs, their verification, and traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hullmark.cli.evidencetracing import Trace
from hullmark.cli.table import table, width
from hullmark.cli.words import count, one_line, utc
from hullmark.evidence.manifest import Manifest
from hullmark.evidence.story import VERDICTS, Story
from hullmark.evidence.verifying import Verdict

REMARKS_MOST = 12


def made(file: str, size: int, manifest: Manifest, story: Story, fingerprint: str) -> Iterator[str]:
    verdicts = Counter(one.verdict for one in story.requirements)
    yield f"wrote {file}: {size / 1024:.0f} KiB, {count(len(manifest.files), 'file')}"
    yield f"  of           {one_line(story.of)}, {count(len(story.hosts), 'host')}"
    yield f"  framework    {one_line(story.framework)}, {utc(story.begins)} to {utc(story.ends)}"
    told = ", ".join(f"{verdicts[word]} {word}" for word in VERDICTS if verdicts[word])
    yield f"  requirements {told or 'none'}"
    for remark in story.remarks[:REMARKS_MOST]:
        yield f"  remark       {one_line(remark)}"
    if len(story.remarks) > REMARKS_MOST:
        yield f"  and {len(story.remarks) - REMARKS_MOST} more remarks, in the report"
    yield f"  fingerprint  {fingerprint}"
    yield "tell the fingerprint to who gets the pack by another way than with it"


def made_document(
    file: str, size: int, manifest: Manifest, story: Story, fingerprint: str
) -> dict[str, Any]:
    verdicts = Counter(one.verdict for one in story.requirements)
    return {
        "file": file,
        "size_bytes": size,
        "files": len(manifest.files),
        "of": story.of,
        "framework": story.framework,
        "begins": story.begins,
        "ends": story.ends,
        "hosts": story.hosts,
        "verdicts": {word: verdicts[word] for word in VERDICTS},
        "requirements": [
            {
                "requirement": one.requirement_id,
                "verdict": one.verdict,
                "level": one.level,
                "why": one.why,
            }
            for one in story.requirements
        ],
        "remarks": story.remarks,
        "fingerprint": fingerprint,
    }


def verified(file: str, verdict: Verdict) -> Iterator[str]:
    name = one_line(file)
    if verdict.good:
        yield f"{name}: good, nothing in it was changed"
    else:
        yield f"{name}: NOT good"
    for finding in verdict.findings:
        yield f"  WRONG  {one_line(finding)}"
    if verdict.signer:
        yield f"  signed by {one_line(verdict.signer)}, {utc(verdict.signed_at)}, asked for by {one_line(verdict.by)}"
    if verdict.manifest is not None:
        found = verdict.manifest
        yield f"  of        {one_line(found.of)}, {one_line(found.framework)}, {utc(found.begins)} to {utc(found.ends)}"
        yield f"  files     {verdict.files}"
    for entry, standing in verdict.logs:
        by = ", ".join(standing.vouched_by) or "nobody"
        yield (
            f"  log       {one_line(entry.log)} ({one_line(entry.of)}): records {standing.first} to {standing.last},"
            f" {one_line(standing.words)}, vouched for by {one_line(by)}"
        )
    for note in verdict.notes:
        yield f"  note      {one_line(note)}"


def verified_document(file: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "file": file,
        "good": verdict.good,
        "findings": verdict.findings,
        "notes": verdict.notes,
        "signer": verdict.signer,
        "signed_at": verdict.signed_at,
        "by": verdict.by,
        "files": verdict.files,
        "logs": [
            {
                "log": entry.log,
                "of": entry.of,
                "first": standing.first,
                "last": standing.last,
                "chain": standing.words,
                "vouched_to": standing.vouched_to,
                "vouched_by": dict(standing.vouched_by),
            }
            for entry, standing in verdict.logs
        ],
    }


def traced(found: Trace, local_log: str = "", *, has_cluster: bool = True) -> Iterator[str]:
    """`local_log`: the folder of a host's own log, where no master is asked. `has_cluster`: there are masters."""
    is_unasked = bool(local_log) and has_cluster
    yield f"{found.requirement} {one_line(found.title)}, host {one_line(found.host)}"
    if found.covers:
        yield f"  shown        {one_line(found.covers)}"
    if found.gaps:
        yield f"  not covered  {one_line(found.gaps)}"
    if not found.functions:
        yield "  no function of a host gives evidence for it: see its sources in the report"
    rows = [
        (
            f"{one.control}/{one.check}",
            one.status,
            f"{one.level} {one.proves}" if one.level >= 0 else "",
            utc(one.at),
            str(one.seq),
            one.hash[:16],
            ",".join(one.sealed_by) or ("not asked" if is_unasked else "nobody"),
        )
        for one in found.results
    ]
    if rows:
        heads = ("CHECK", "STATUS", "LEVEL", "RECORDED", "RECORD", "HASH", "SEALED BY")
        yield from table(heads, rows, width())
    for one in found.results:
        if one.reason:
            yield f"  {one_line(one.control)}/{one_line(one.check)}: {one_line(one.reason)}"
    for name in found.missing:
        yield f"  WRONG  no result of {one_line(name)} is in the records"
    vouched = ", ".join(f"{name} to record {seq}" for name, seq in found.vouched_by.items())
    nobody = "masters that were not asked" if is_unasked else "nobody"
    yield (
        f"  chain        records {found.first} to {found.last} of the log: {one_line(found.chain)};"
        f" vouched for by {vouched or nobody}"
    )
    if found.results:
        kind, log = "control.result", found.results[0].log
        if local_log:
            yield f'  the records  grep -h \'"kind":"{kind}"\' {local_log}/audit*.log'
        else:
            yield f"  the records  hullmark audit show --log {log} --kind {kind} --output json"
