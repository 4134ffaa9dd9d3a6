"""Whether a log's lines are a chain, and whether known heads are in it.

`Verifier` is fed the lines in order, oldest first, over all files of one log. It goes on after a break, so that all are found;
it takes the line after a break as the one that the next has to follow. What it says of a log without `against` any head is little: who
rewrites all of a log makes a good chain too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Optional

from hullmark.errors import InvalidInput
from hullmark.model.audit import FIRST_PREV, Head
from hullmark.model.auditline import TAIL_BYTES, Place, line_of, parse, place_of

__all__ = ["Break", "Place", "Testimony", "Verifier", "against", "line_of", "parse"]

REMOVED = "audit.removed"
"""Kind of the record that says which files were removed by age: fields `last` (a sequence number) and `hash` of the last
record that went with them."""

_REMOVED = b'"kind":"' + REMOVED.encode() + b'"'


@dataclass(frozen=True)
class Break:
    """`line_number` counts all lines fed, from 1. `seq` is what the line says, 0 where it can't be read."""

    line_number: int
    seq: int
    why: str


@dataclass(frozen=True)
class Removal:
    """`last` and `hash` are of the last record that was removed, `seq` is of the record that says so."""

    last: int
    hash: str
    seq: int


@dataclass
class Verifier:
    """`wanted`: sequence numbers whose hashes are to be kept in `seen`, for `against`."""

    wanted: Collection[int] = ()
    count: int = 0
    breaks: int = 0
    first: Optional[Place] = None
    head: Optional[Place] = None
    seen: dict[int, str] = field(default_factory=dict)
    removals: dict[int, Removal] = field(default_factory=dict)
    """What records of this log say was removed by age, by the sequence number of the last record of each file."""

    def feed(self, line: bytes) -> Optional[Break]:
        """One line, with or without its line end. None: it follows."""
        self.count += 1
        text = line[:-1] if line.endswith(b"\n") else line
        place = place_of(text)
        if place is None:
            return self._broken(0, "it is no record of an audit log")
        before, self.head = self.head, place
        if self.first is None:
            self.first = place
        if sha256(text[:-TAIL_BYTES]).hexdigest() != place.hash:
            return self._broken(place.seq, "its bytes are not those that its hash was made of")
        if place.seq in self.wanted:
            self.seen[place.seq] = place.hash
        if _REMOVED in text:
            self._note_removal(text)
        if before is None or (place.log, place.prev, place.seq) == (
            before.log,
            before.hash,
            before.seq + 1,
        ):
            return None
        return self._broken(place.seq, _why(before, place))

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at its beginning: it begins with record 1, or the log itself says that what was before was
        removed by age."""
        if self.first is None:
            return False
        if self.first.seq == 1:
            return self.first.prev == FIRST_PREV
        return self.removed is not None

    @property
    def removed(self) -> Optional[Removal]:
        """What the log itself says of the removal of all that was before its first record here; None: nothing."""
        if self.first is None:
            return None
        found = self.removals.get(self.first.seq - 1)
        return found if found is not None and found.hash == self.first.prev else None

    def _broken(self, seq: int, why: str) -> Break:
        self.breaks += 1
        return Break(self.count, seq, why)

    def _note_removal(self, text: bytes) -> None:
        try:
            entry = parse(text).entry
            last = int(entry.fields.get("last", "0"))
        except (InvalidInput, ValueError):
            return
        if entry.kind == REMOVED:
            place = place_of(text)
            seq = 0 if place is None else place.seq
            self.removals[last] = Removal(last, entry.fields.get("hash", ""), seq)


def _why(before: Place, place: Place) -> str:
    if place.log != before.log:
        return f"it is of the log {place.log}, and the record before of {before.log}"
    if place.seq == before.seq + 2:
        return f"record {before.seq + 1} is missing before it"
    if place.seq > before.seq + 1:
        return f"records {before.seq + 1} to {place.seq - 1} are missing before it"
    if place.seq <= before.seq:
        return f"it comes after record {before.seq}"
    return "the record before it is not the one that it was made to follow"


@dataclass(frozen=True)
class Testimony:
    """What known heads say of a log. `agreed`: in it as they were known. `contradicted`: the log has another record in their
    place. `beyond`: after its end, so its end was cut off. `lost`: within it, and their record is not there. `before`: older than its
    first record, so they say nothing."""

    agreed: tuple[Head, ...] = ()
    contradicted: tuple[Head, ...] = ()
    beyond: tuple[Head, ...] = ()
    lost: tuple[Head, ...] = ()
    before: tuple[Head, ...] = ()

    @property
    def good(self) -> bool:
        """Some head is in it, and none speaks against it."""
        return bool(self.agreed) and not (self.contradicted or self.beyond or self.lost)

    @property
    def vouched_to(self) -> int:
        """The highest sequence number up to which heads vouch for the log; 0: none does."""
        return max((head.seq for head in self.agreed), default=0)


def against(heads: Iterable[Head], verifier: Verifier) -> Testimony:
    """`verifier` has been fed all of the log, with the heads' sequence numbers `wanted`. Heads of other logs are left out."""
    lists: dict[str, list[Head]] = {
        name: [] for name in ("agreed", "contradicted", "beyond", "lost", "before")
    }
    first, last = verifier.first, verifier.head
    for head in heads:
        if first is None or last is None:
            lists["beyond"].append(head)
        elif head.log in (first.log, last.log):
            lists[_place(head, first.seq, last.seq, verifier.seen)].append(head)
    return Testimony(**{name: tuple(found) for name, found in lists.items()})


def _place(head: Head, first: int, last: int, seen: dict[int, str]) -> str:
    if head.seq < first:
        return "before"
    if head.seq > last:
        return "beyond"
    if head.seq not in seen:
        return "lost"
    return "agreed" if seen[head.seq] == head.hash else "contradicted"
