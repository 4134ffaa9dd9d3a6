"""Holding an audit log against itself and against the heads that masters vouch for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from hullmark.cli import auditages
from hullmark.cli.auditages import KEEP_S
from hullmark.cli.auditfiles import STANDARD, lines, log_of
from hullmark.cli.auditheads import Known
from hullmark.core.chain import Testimony, Verifier, against
from hullmark.errors import EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN
from hullmark.model.audit import Head
from hullmark.model.auditline import place_of

GOOD, BROKEN, NOT_VOUCHED = "good", "broken", "not vouched for"
CODES = {GOOD: EXIT_OK, BROKEN: EXIT_FAILED, NOT_VOUCHED: EXIT_UNKNOWN}
SHOWN_MOST = 20
"""Findings of one sort; all are counted."""
ONE_LOG = "it has records of several logs: each has to be in a file of its own, as of hullmark audit export --log NAME"
OLD_COPY = (
    "a copy of a log that went on ends like this too: first save heads (hullmark audit heads --save FILE), then copy the"
    " log, and verify it with --heads FILE"
)
BEHIND_S = 120.0
"""A head reaches both masters within seconds of each other, where both can be reached."""


@dataclass
class Verdict:
    """Of one log. `findings` are what is wrong with it, in words; `notes` what isn't wrong, and good to know. `chain` is that its
    records follow one another; `vouched_to` the record up to which masters vouch for it, 0 for none; `vouched_by` the same of each master, and `masters` are
    those that vouch for any of it."""

    log: str
    files: tuple[str, ...]
    records: int = 0
    first: int = 0
    last: int = 0
    hash: str = ""
    chain: bool = False
    heads: int = 0
    masters: tuple[str, ...] = ()
    vouched_to: int = 0
    vouched_by: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        if self.findings:
            return BROKEN
        return GOOD if self.vouched_to else NOT_VOUCHED


def verify(
    files: Sequence[Path],
    known: Known,
    expected: str = "",
    keep_s: float = KEEP_S,
    now: float = 0.0,
) -> Verdict:
    """`known` was gathered before: a log that grows meanwhile has more than any of its heads. `expected`: whose log it has to be.
    `keep_s`: how old records have to be before they may be removed. Raises Refused where a file can't be read."""
    now = now or time.time()
    verdict = Verdict(log_of(files), tuple(str(path) for path in files))
    if expected and verdict.log != expected:
        verdict.findings.append(
            f"it is the log of {verdict.log or 'nobody'}, and not of {expected}"
        )
    verifier = Verifier(wanted=frozenset(head.seq for head in known.heads))
    _feed(verifier, files, verdict)
    verdict.records, verdict.chain = verifier.count, not verifier.breaks
    if verifier.first is not None and verifier.head is not None:
        verdict.first, verdict.last = verifier.first.seq, verifier.head.seq
        verdict.hash = verifier.head.hash
    if not verifier.whole:
        verdict.findings.append(_beginning(verdict.first))
    testimony = against(known.heads, verifier)
    _hold_against(verdict, known, testimony)
    _hold_against_each(verdict, known, testimony, now)
    if verifier.removed is not None:
        lists = {True: verdict.findings, False: verdict.notes}
        early, text = auditages.removal(verifier.removed, known, keep_s, now)
        lists[early].append(text)
    return verdict


def _feed(verifier: Verifier, files: Sequence[Path], verdict: Verdict) -> None:
    found, mixed = 0, False
    for line in lines(files):
        if not line.ended and line.file == files[-1]:
            verdict.notes.append(
                f"{line.file}:{line.number}: the last line is not whole: it is being written, or its"
                " writer was killed; it is no record yet"
            )
            continue
        broken = verifier.feed(line.text)
        if broken is None:
            continue
        found += 1
        place = place_of(line.text)
        mixed = mixed or (place is not None and place.log != (verdict.log or place.log))
        if found <= SHOWN_MOST:
            verdict.findings.append(f"{line.file}:{line.number}: {_record(broken.seq)}{broken.why}")
    if found > SHOWN_MOST:
        verdict.findings.append(f"and {found - SHOWN_MOST} more breaks")
    if mixed:
        verdict.notes.append(ONE_LOG)


def _record(seq: int) -> str:
    return f"record {seq}: " if seq else ""


def _beginning(first: int) -> str:
    if not first:
        return "it has no records at all"
    return (
        f"its beginning is missing: it begins with record {first}, and does not say that what was before was"
        " removed by age"
    )


def _hold_against(verdict: Verdict, known: Known, testimony: Testimony) -> None:
    verdict.heads = len(known.heads)
    verdict.findings += [
        *_told(
            testimony.contradicted,
            "is another one than masters vouch for: it was changed or replaced",
        ),
        *_told(testimony.lost, "was vouched for, and is not there"),
        *_beyond(testimony.beyond, verdict.last),
    ]
    in_place = {str(place.log) for place in STANDARD} & set(verdict.files)
    if testimony.beyond and len(verdict.findings) == 1 and not in_place:
        verdict.notes.append(OLD_COPY)
    for master, broken in known.refused[:SHOWN_MOST]:
        verdict.findings.append(f"master {master} refused record {broken.head.seq}: {broken.why}")
    verdict.notes += [
        f"an operator had it go on from what it was then: {text}" for text in known.accepted
    ]
    if not testimony.agreed:
        return
    verdict.vouched_to = testimony.vouched_to
    newer = verdict.last - verdict.vouched_to
    if newer > 0 and not testimony.beyond:
        verdict.notes.append(
            f"records {verdict.vouched_to + 1} to {verdict.last} are newer than what masters vouch for"
        )


def _hold_against_each(verdict: Verdict, known: Known, testimony: Testimony, now: float) -> None:
    """Both masters are shown the same heads within seconds, so one that is behind for longer may have been put back."""
    agreed = set(testimony.agreed)
    verdict.vouched_by = dict.fromkeys(sorted(known.sources), 0)
    for one in known.vouched:
        if one.head in agreed:
            verdict.vouched_by[one.master] = max(verdict.vouched_by[one.master], one.head.seq)
    to = verdict.vouched_to
    verdict.masters = tuple(name for name, seq in verdict.vouched_by.items() if seq)
    for master, seq in verdict.vouched_by.items():
        others = [one for one in known.vouched if one.master != master and one.head.seq > seq]
        behind_s = max((auditages.age(one.at, now) for one in others), default=0.0)
        if to and behind_s > BEHIND_S:
            verdict.notes.append(
                f"master {master} vouches for it up to record {seq} only, and another one for more since"
                f" {auditages.span(behind_s)}: it was not reached by this log, or it was put back to an earlier state"
            )


def _told(heads: Sequence[Head], what: str) -> list[str]:
    # A master that was started anew may have a head of the same record twice.
    numbers = sorted({head.seq for head in heads})
    found = [f"record {seq} {what}" for seq in numbers[:SHOWN_MOST]]
    more = len(numbers) - len(found)
    return [*found, f"and {more} more such records"] if more > 0 else found


def _beyond(heads: Sequence[Head], last: int) -> list[str]:
    newest = max(heads, key=lambda head: head.seq, default=None)
    if newest is None:
        return []
    return [
        f"its end is missing: it ends with record {last}, and masters vouch for record {newest.seq}"
    ]


def worst(verdicts: Sequence[Verdict]) -> int:
    """The exit code of all together."""
    words = {verdict.word for verdict in verdicts}
    for word in (BROKEN, NOT_VOUCHED):
        if word in words:
            return CODES[word]
    return EXIT_OK


def unvouched(verdict: Verdict, why: Optional[str]) -> str:
    """What a chain alone says, in one sentence."""
    reason = f" ({why})" if why else ""
    return (
        "its records follow one another, and no head that a master vouches for was held against it"
        f"{reason}: whoever rewrites all of a log makes a good chain too"
    )
