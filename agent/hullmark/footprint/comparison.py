"""What differs between two pictures, one difference for each thing or line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Optional

from hullmark.footprint.picture import Picture, Record
from hullmark.footprint.snapshot import ENTERED, place

BY_LINE = frozenset({"firewall", "audit", "mount"})
"""Kinds whose records have `lines`, each of which is judged by itself."""
_NAMES = ("kind", "key")
LINES_SORTED_OUT = 25_000_000
"""Of two lists the product of their lengths above which only what is in them is compared."""


@dataclass(frozen=True)
class Difference:
    """`before` and `after` have the fields that differ, or all where the thing was added or removed; of a line `line`.
    `whole`: all fields of what is there now."""

    kind: str
    key: str
    change: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""
    whole: Mapping[str, Any] = field(default_factory=dict)

    @property
    def present(self) -> Mapping[str, Any]:
        """What is there now, or was there before it was removed."""
        return self.after or self.before


@dataclass
class Comparison:
    """`needs` and `lines` are what a judge asks for: the packages that each needs, in either picture, and the lines of account
    files and of the firewall before and after. `not_compared` is for people: what, and why not."""

    differences: list[Difference] = field(default_factory=list)
    not_compared: list[tuple[str, str]] = field(default_factory=list)
    needs: dict[str, set[str]] = field(default_factory=dict)
    lines: dict[str, list[list[str]]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def compare(before: Picture, after: Picture) -> Comparison:
    """Reads both to their end. Raises InvalidInput where one of them is damaged."""
    found = Comparison()
    blind: set[str] = set()
    records = [before.records, after.records]
    if before.head.former or after.head.former:
        when = "before" if before.head.former else "after"
        found.not_compared.append(("file", f"{when}: {FORMER_WHY}"))
        records = [_as_formerly(each) for each in records]
    for first, second in _matched(*records):
        one = first if first is not None else second
        assert one is not None
        if one["kind"] == "look":
            _look(found, blind, first, second)
        elif one["kind"] not in blind:
            _note(found, first, second)
            found.differences += _differences(first, second)
    return found


FORMER_WHY = (
    "it is of a former version, which did not record access lists, attributes of chattr, or files in /run/systemd: "
    "take a new picture for the next comparison"
)


def _as_formerly(records: Iterator[Record]) -> Iterator[Record]:
    """Without what a former version did not look at."""
    for record in records:
        if record["kind"] != "file":
            yield record
        elif not f"{record['key']}/".startswith(tuple(f"{one}/" for one in ENTERED)):
            yield {name: value for name, value in record.items() if name not in UNKNOWN_FORMERLY}


UNKNOWN_FORMERLY = frozenset({"acl", "default_acl", "attributes"})


def _matched(
    before: Iterator[Record], after: Iterator[Record]
) -> Iterator[tuple[Optional[Record], Optional[Record]]]:
    first, second = next(before, None), next(after, None)
    while first is not None or second is not None:
        if second is None or (first is not None and place(first) < place(second)):
            yield first, None
            first = next(before, None)
        elif first is None or place(second) < place(first):
            yield None, second
            second = next(after, None)
        else:
            yield first, second
            first, second = next(before, None), next(after, None)


def _look(
    found: Comparison, blind: set[str], first: Optional[Record], second: Optional[Record]
) -> None:
    """What was not looked at, or by other means, is not compared, and stands in the report."""
    looks = [
        one or {"seen": False, "by": [], "why": ["it is of another version"]}
        for one in (first, second)
    ]
    kind = (first or second or {})["key"]
    ways = [(one.get("seen") is True, one.get("by", [])) for one in looks]
    for when, one in zip(("before", "after"), looks):
        found.not_compared += [(kind, f"{when}: {why}") for why in one.get("why", [])]
    if ways[0] != ways[1] or not ways[0][0]:
        blind.add(kind)
    if ways[0] != ways[1]:
        sides = [{"seen": seen, "by": " ".join(by)} for seen, by in ways]
        found.differences.append(Difference("look", kind, "changed", sides[0], sides[1]))


def _note(found: Comparison, first: Optional[Record], second: Optional[Record]) -> None:
    one = second or first or {}
    if one["kind"] == "package":
        name = one["key"].partition(":")[0]
        for each in (first, second):
            found.needs.setdefault(name, set()).update((each or {}).get("needs", ()))
    elif one["kind"] in ("account", "firewall"):
        found.lines[one["key"]] = [list((each or {}).get("lines", ())) for each in (first, second)]
    elif one["kind"] == "file" and "unread" in one:
        found.unread[one["key"]] = one["unread"]


def _differences(first: Optional[Record], second: Optional[Record]) -> Iterator[Difference]:
    one = second or first or {}
    kind, key = one["kind"], one["key"]
    package = str((second or {}).get("package") or (first or {}).get("package") or "")
    sides = [_fields(first), _fields(second)]
    if kind in BY_LINE and any("lines" in side for side in sides):
        yield from _by_line(kind, key, *sides)
        return
    if first is None or second is None:
        change = "removed" if second is None else "added"
        yield Difference(kind, key, change, sides[0], sides[1], package, sides[1])
    elif sides[0] != sides[1]:
        names = [
            name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)
        ]
        moved = [{name: side[name] for name in names if name in side} for side in sides]
        yield Difference(kind, key, "changed", moved[0], moved[1], package, sides[1])


def _by_line(
    kind: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Difference]:
    """Order counts: a line that moved was removed and added."""
    old, new = before.get("lines", []), after.get("lines", [])
    if not old and not new and before != after:
        yield Difference(kind, key, "removed" if before else "added", before, after)
    for gone, come in _changes(old, new):
        for line in gone:
            yield Difference(kind, key, "removed", before={"line": line})
        for line in come:
            yield Difference(kind, key, "added", after={"line": line})


def _changes(old: list[str], new: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Lines that went and lines that came, place by place. Of very long lists the order is left out of account: sorting that
    out would take the square of their length."""
    if len(old) * len(new) > LINES_SORTED_OUT:
        yield list((Counter(old) - Counter(new)).elements()), []
        yield [], list((Counter(new) - Counter(old)).elements())
        return
    for code, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if code != "equal":
            yield old[i1:i2], new[j1:j2]


def _fields(record: Optional[Record]) -> dict[str, Any]:
    """What is compared: which package a file belongs to is the package's own difference."""
    return {
        name: value
        for name, value in (record or {}).items()
        if name not in _NAMES and name not in ("package", "needs")
    }
