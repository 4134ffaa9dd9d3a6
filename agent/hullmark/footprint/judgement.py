"""Which announcement, if any, covers a difference, or a thing that is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Optional

from hullmark.footprint.announcements import (
    ANNOUNCEMENTS,
    MAY_HAVE,
    NEEDED,
    PACKAGES_OF_OURS,
    Announcement,
    If,
)
from hullmark.footprint.comparison import Comparison, Difference
from hullmark.footprint.snapshot import sha256

ACCESS = {
    "capability": "capability",
    "acl": "access list",
    "default_acl": "access list",
    "attributes": "attribute",
}
"""Fields of a file that give a right, or take one away."""
_WORDS = {
    "{n}": r"\d+",
    "{id}": "[0-9a-f]{12}",
    "{container}": "[0-9a-f]{64}",
    "{package}": r"(?P<package>[a-z0-9][a-z0-9+.-]*?)",
    "**": ".*",
    "*": "[^/]*",
    "?": "[^/]",
}
_TOKEN = re.compile(r"\{[a-z]+\}|\*\*|\*|\?|\[[A-Z]+\]")


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """Of a pattern of the table. Raises KeyError for a word in braces that it doesn't know."""
    found, at = "", 0
    for token in _TOKEN.finditer(pattern):
        found += re.escape(pattern[at : token.start()])
        found += token.group() if token.group()[0] == "[" else _WORDS[token.group()]
        at = token.end()
    return re.compile(found + re.escape(pattern[at:]), re.DOTALL)


class Judge:
    """`pictures`: the files that the compared pictures are in."""

    def __init__(self, comparison: Comparison, pictures: Iterable[str] = ()) -> None:
        self._lines = comparison.lines
        self._pictures = frozenset(one for one in pictures if one)
        self._announced = reached(comparison.needs)
        self._changed = {
            one.key.partition(":")[0] for one in comparison.differences if one.kind == "package"
        }
        self._accounts = {
            one.key.rpartition(":")[0] for one in comparison.differences if one.kind == "account"
        }
        links = {
            change: {_numberless(one) for one in comparison.differences if one.change == change}
            for change in ("added", "removed")
        }
        self._renumbered = (links["added"] & links["removed"]) - {None}

    def announcement(self, difference: Difference) -> Optional[Announcement]:
        """The first one that covers it."""
        return next(
            (one for one in BY_KIND.get(difference.kind, ()) if self._covers(one, difference)), None
        )

    def _covers(self, one: Announcement, difference: Difference) -> bool:
        if difference.change not in one.changes:
            return False
        if not rights(difference) <= MAY_HAVE.get(one.name, frozenset()):
            return False
        if one.name == "own-picture":
            return difference.key in self._pictures
        changed = (
            {**difference.before, **difference.after} if difference.change == "changed" else {}
        )
        if one.fields and not set(changed) <= set(one.fields):
            return False
        found = matching(one, difference.key)
        return (
            found is not None
            and fitting(one, difference.key, difference.present)
            and self._holds(one.condition, difference)
            and self._of_announced(found)
        )

    def _of_announced(self, found: re.Match[str]) -> bool:
        package = found.groupdict().get("package")
        return package is None or self._both(package)

    def _both(self, package: str) -> bool:
        return package in self._announced and package in self._changed

    def _holds(self, condition: If, difference: Difference) -> bool:
        if condition is If.PACKAGE_ANNOUNCED:
            return difference.key.partition(":")[0] in self._announced
        if condition is If.OF_PACKAGE:
            return self._both(difference.package)
        if condition is If.PACKAGES_DIFFER:
            return bool(self._changed)
        if condition is If.LINES_DIFFER:
            return difference.key in self._accounts
        if condition is If.RENUMBERED:
            return _numberless(difference) in self._renumbered
        if condition is If.STILL_THERE:
            return difference.present.get("line") in self._lines.get(difference.key, [[], []])[1]
        if condition is If.LOCKED:
            return set(difference.after.get("lines", [])) <= locked(difference.key)
        if condition is If.COPY_OF_LINE:
            path, _, name = difference.key.rpartition(":")
            original = self._lines.get(f"{path.rstrip('-')}:{name}", [[], []])
            return difference.after.get("lines", []) in original
        return True


RIGHTS = frozenset({"type", "mode", "owner", *ACCESS})


def rights(difference: Difference) -> frozenset[str]:
    """What a file has now that hardly any line of the table announces; of a changed one only where something of this changed."""
    changed = {*difference.before, *difference.after}
    if difference.kind != "file" or difference.change == "removed" or not changed & RIGHTS:
        return frozenset()
    return frozenset(_rights(difference.whole))


def _rights(now: Mapping[str, Any]) -> Iterator[str]:
    kind, mode = now.get("type", ""), int(now.get("mode", "0"), 8)
    if kind not in ("file", "folder", "link", ""):
        yield "neither file, folder nor link"
    if kind != "folder" and mode & 0o6000:
        yield "set-id"
    if kind != "link" and mode & 0o002 and not (kind == "folder" and mode & 0o1000):
        yield "writable for anybody"
    yield from (what for name, what in ACCESS.items() if name in now)


@cache
def locked(key: str) -> frozenset[str]:
    """Hashes of all lines without a password that the system's tools may write to `shadow` or `gshadow` for a new name."""
    path, _, name = key.rpartition(":")
    words = ("!", "*", "!!", "!*")
    if "gshadow" in path:
        return frozenset(sha256(f"{name}:{word}::") for word in words)
    days = range(18_000, 30_000)
    return frozenset(sha256(f"{name}:{word}:{day}::::::") for word in words for day in days)


def _numberless(difference: Difference) -> Optional[tuple[str, ...]]:
    """What stays of a runlevel's link when its number changes; None for anything else."""
    found = re.fullmatch(r"(/etc/rc.\.d/[SK])\d+(.*)", difference.key, re.DOTALL)
    there = difference.present
    if not found or there.get("type") != "link":
        return None
    return (*found.groups(), there["target"], there["owner"])


def _by_kind() -> Mapping[str, tuple[Announcement, ...]]:
    kinds = {one.kind for one in ANNOUNCEMENTS}
    return {kind: tuple(one for one in ANNOUNCEMENTS if one.kind == kind) for kind in kinds}


BY_KIND = _by_kind()


def matching(one: Announcement, key: str) -> Optional[re.Match[str]]:
    """The pattern of the announcement that fits the key."""
    matches = (expression(pattern).fullmatch(key) for pattern in one.patterns)
    return next((found for found in matches if found), None)


def fitting(one: Announcement, key: str, fields: Mapping[str, Any]) -> bool:
    """Whether the values that the announcement looks at are as it says; `program` is the end of a process's key."""
    name, allowed = one.values
    if not name:
        return True
    value = "/" + key.partition(" /")[2] if name == "program" else fields.get(name, "")
    values = value if isinstance(value, list) else [value]
    return all(re.fullmatch(allowed, str(each), re.DOTALL) for each in values)


def reached(needs: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Hullmark's packages, and all that they and these need, in turn."""
    found = {*PACKAGES_OF_OURS, *NEEDED}
    ahead = list(found)
    while ahead:
        for name in needs.get(ahead.pop(), ()):
            if name not in found:
                found.add(name)
                ahead.append(name)
    return frozenset(found)
