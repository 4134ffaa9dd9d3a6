"""Writing a pack: report, tables, raw output, records byte for byte, the manifest of it all, and what vouches for that."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Callable

from hullmark.core.scrub import scrubbed
from hullmark.errors import InvalidInput
from hullmark.evidence import report, tables, ziplayout
from hullmark.evidence.controlrecords import Result
from hullmark.evidence.manifest import (
    CHAIN,
    MANIFEST,
    REPORT,
    SIGNATURE,
    FileEntry,
    LogEntry,
    Manifest,
)
from hullmark.evidence.story import Story
from hullmark.evidence.telling import plain, raw_name
from hullmark.model import jsontext
from hullmark.model.control import Reading, Trouble
from hullmark.model.evidence import PackSignature
from hullmark.model.moments import day
from hullmark.model.wire import canonical, from_wire, to_wire

Sign = Callable[[str], PackSignature]
"""Is given the SHA-256 of the manifest. Asked once, when all else is written."""


@dataclass(frozen=True)
class LogPart:
    """Records of one log as they stand there, without gaps; `lines` gives them anew each time."""

    log: str
    of: str
    first: int
    last: int
    last_hash: str
    lines: Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Content:
    """`fingerprint` is the root's that the signature will lead to. `readings` are (host, result); `heads` entries of masters' files of
    heads, by master."""

    story: Story
    fingerprint: str
    readings: Iterable[tuple[str, Result]] = ()
    logs: Sequence[LogPart] = ()
    heads: Mapping[str, Sequence[bytes]] = field(default_factory=dict)


def write(out: BinaryIO, content: Content, sign: Sign) -> Manifest:
    """`out` is an empty file that can be read and written. Raises what `sign` raises."""
    sizes: dict[str, tuple[int, str]] = {}
    with zipfile.ZipFile(out, "w") as archive:
        for name, chunks in _files(content):
            if name not in sizes:
                sizes[name] = _put(archive, name, chunks, packed=True)
    manifest = replace(_manifest(content), files=_entries(out, sizes))
    text = canonical(to_wire(manifest))
    signature = sign(hashlib.sha256(text).hexdigest())
    apart = {
        MANIFEST: text,
        SIGNATURE: canonical(to_wire(replace(signature, chain_pem=""))),
        CHAIN: signature.chain_pem.encode(),
    }
    with zipfile.ZipFile(out, "a") as archive:
        for name, data in apart.items():
            _put(archive, name, [data], packed=False)
    return manifest


def _put(
    archive: zipfile.ZipFile, name: str, chunks: Iterable[bytes], *, packed: bool
) -> tuple[int, str]:
    """Its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with archive.open(ziplayout.member_info(name, packed=packed), "w") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return size, digest.hexdigest()


def _entries(out: BinaryIO, sizes: Mapping[str, tuple[int, str]]) -> dict[str, FileEntry]:
    """What was written is read back: its bytes in the zip file have a hash of their own."""
    _, members = ziplayout.opened(out)
    return {
        name: FileEntry(size, sha256, digest_of(ziplayout.stored(out, members[name])))
        for name, (size, sha256) in sizes.items()
    }


def digest_of(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _manifest(content: Content) -> Manifest:
    story = content.story
    logs = tuple(
        LogEntry(one.log, one.of, _log_name(one.log), one.first, one.last, one.last_hash)
        for one in content.logs
    )
    heads = tuple(_heads_name(master) for master in content.heads)
    return Manifest(
        story.of, story.framework, story.begins, story.ends, story.made_at, story.made_by, story.version,
        logs=logs, heads=heads,
    )  # fmt: skip


def _files(content: Content) -> Iterable[tuple[str, Iterable[bytes]]]:
    yield REPORT, [report.render(content.story, content.fingerprint).encode("utf-8", "replace")]
    for table in tables.of_story(content.story):
        yield f"csv/{plain(table.name)}.csv", [tables.csv_of(table)]
    for host, result in content.readings:
        yield raw_name(host, result), [raw_text(host, result).encode("utf-8", "replace")]
    for one in content.logs:
        yield _log_name(one.log), (line.rstrip(b"\n") + b"\n" for line in one.lines())
    for master, lines in content.heads.items():
        yield _heads_name(master), (line + b"\n" for line in lines)


def _log_name(log: str) -> str:
    return f"audit/{plain(log.replace(':', '-'))}.jsonl"


def _heads_name(master: str) -> str:
    return f"audit/heads-{plain(master)}.jsonl"


def raw_text(host: str, result: Result) -> str:
    """What a check read, for people, scrubbed once more."""
    head = [
        f"host     {host}",
        f"control  {result.control_id}",
        f"check    {result.check_id}",
        f"found    {result.status.value}, level {result.level}, {day(result.at)}",
        f"reason   {result.reason}",
        f"record   {result.log} #{result.seq} {result.hash}",
    ]
    parts = [_reading_text(one) for one in readings_of(result)]
    if not parts:
        parts = ["its readings can't be read: see the record"]
    return scrubbed("\n".join((*head, "", *parts)))


def readings_of(result: Result) -> tuple[Reading, ...]:
    """Empty where they can't be read."""
    try:
        found = jsontext.loads(result.readings)
        return tuple(from_wire(Reading, each, ignore_unknown=True) for each in found)
    except (ValueError, InvalidInput, TypeError):
        return ()


def _reading_text(one: Reading) -> str:
    said = [] if one.code is None else [f"exit code {one.code}"]
    said += [one.trouble.value] if one.trouble is not Trouble.NONE else []
    said += [day(one.at)] if one.at else []
    lines = [f"== {one.name}: {one.source}" + (f" ({', '.join(said)})" if said else "")]
    lines += [f"-- {name}: {value}" for name, value in sorted(one.facts.items())]
    lines += [one.text] if one.text else []
    lines += ["-- there was more"] if one.cut else []
    lines += ["-- standard error", one.errors] if one.errors else []
    return "\n".join((*lines, ""))
