"""Parts of audit logs: whether one is whole, and up to where masters vouch for it.

A part that is a chain up to a record that masters sealed is vouched for from its first record on: what was before it can't matter to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.core import headsfile
from hullmark.core.chain import Verifier, against
from hullmark.model.audit import Head

BREAKS_MOST = 20


@dataclass(frozen=True)
class Standing:
    """What was found of one part. `problems` are what is wrong with it, in words; `vouched_by` has for each master the newest record
    that it vouches for."""

    log: str
    count: int
    first: int
    last: int
    last_hash: str
    problems: tuple[str, ...] = ()
    vouched_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def vouched_to(self) -> int:
        return max(self.vouched_by.values(), default=0)

    @property
    def words(self) -> str:
        """`whole`, or what is wrong first."""
        if self.problems:
            return self.problems[0]
        return "whole" if self.count else "no records"


def verified(lines: Iterable[bytes], heads: Mapping[str, Sequence[Head]]) -> Standing:
    """`heads` are those that masters vouch for, by master, also of other logs."""
    wanted = frozenset(head.seq for known in heads.values() for head in known)
    verifier = Verifier(wanted)
    problems: list[str] = []
    for line in lines:
        found = verifier.feed(line)
        if found is not None and len(problems) < BREAKS_MOST:
            problems.append(f"record {found.seq or '?'}: {found.why}")
    vouched = {}
    for master, known in heads.items():
        testimony = against(known, verifier)
        problems += [
            f"record {head.seq}: it is another one than {master} vouches for"
            for head in testimony.contradicted[:BREAKS_MOST]
        ]
        if testimony.agreed:
            vouched[master] = testimony.vouched_to
    first, last = verifier.first, verifier.head
    return Standing(
        last.log if last else "",
        verifier.count,
        first.seq if first else 0,
        last.seq if last else 0,
        last.hash if last else "",
        tuple(problems),
        vouched,
    )


def heads_of(lines: Iterable[bytes]) -> Iterator[tuple[headsfile.Content, bytes]]:
    """What each entry of masters' files of heads says, and its line. Raises InvalidInput for what is none, or was changed."""
    for line in lines:
        text = line.rstrip(b"\n")
        yield headsfile.parse(text).content, text


class Vouched:
    """Keeps of masters' files of heads the few entries that are needed: for each log and master the first whose head is at or after the
    last record that is used, else the newest before it."""

    def __init__(self) -> None:
        self._after: dict[tuple[str, str], tuple[Head, bytes]] = {}
        self._before: dict[tuple[str, str], tuple[Head, bytes]] = {}
        self._used: dict[str, int] = {}
        self.remarks: list[str] = []

    def use(self, log: str, seq: int) -> None:
        """Told before any entry is taken: `seq` is the last record of the log that the pack rests on."""
        self._used[log] = seq

    def take(self, lines: Iterable[bytes]) -> None:
        """Of one master, in order. Raises InvalidInput."""
        for content, line in heads_of(lines):
            self._note(content)
            for head in (each.head for each in content.heads):
                if head.log in self._used:
                    self._keep((head.log, content.master), head, line)

    def _note(self, content: headsfile.Content) -> None:
        """What a master refused, and what an operator accepted: earlier heads of that log don't count then."""
        for one in content.accepted:
            if one.log in self._used:
                self._after.pop((one.log, content.master), None)
                self._before.pop((one.log, content.master), None)
                self.remarks.append(
                    f"{one.log}: {one.by} had it go on at {content.master} from what it was at {content.at}"
                )
        for broken in content.refused:
            if broken.head.log in self._used:
                self.remarks.append(
                    f"{broken.head.log}: {content.master} refused it at {content.at}: {broken.why}"
                )

    def _keep(self, key: tuple[str, str], head: Head, line: bytes) -> None:
        if head.seq >= self._used[head.log]:
            self._after.setdefault(key, (head, line))
        else:
            self._before[key] = (head, line)

    def last(self, log: str) -> int:
        """Up to which record the part has to go, so that all masters' heads are within."""
        found = [head.seq for (name, _), (head, _) in self._after.items() if name == log]
        return max([self._used.get(log, 0), *found])

    def heads(self) -> dict[str, list[Head]]:
        """By master."""
        found: dict[str, list[Head]] = {}
        for (_, master), (head, _) in sorted(self._kept().items()):
            found.setdefault(master, []).append(head)
        return found

    def lines(self) -> dict[str, list[bytes]]:
        """By master, each entry once."""
        found: dict[str, dict[bytes, None]] = {}
        for (_, master), (_, line) in sorted(self._kept().items()):
            found.setdefault(master, {})[line] = None
        return {master: list(lines) for master, lines in found.items()}

    def _kept(self) -> dict[tuple[str, str], tuple[Head, bytes]]:
        return {**self._before, **self._after}
