"""The answers of `hullmark footprint` as text that an auditor reads."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from hullmark.cli.words import count, one_line, utc
from hullmark.footprint import Report, Verdict
from hullmark.footprint.announcements import MEANING, Whose
from hullmark.footprint.listing import GROUPS, OURS, Item, Listing

SHOWN = 20
"""Things of one announcement that are shown without --all."""

NOUNS = {
    "account": "users and groups",
    "unit": "services",
    "container": "containers",
    "process": "processes",
    "socket": "sockets",
    "timer": "timers and cron entries",
    "firewall": "firewall rules",
    "network": "interfaces, addresses and routes",
    "sysctl": "kernel settings",
    "mount": "mounts",
    "cgroup": "control groups",
    "package": "packages",
    "file": "files",
}
"""In the order of the text: what an auditor asks for first, and the many files last."""


def listing(found: Listing, *, everything: bool) -> Iterator[str]:
    for group, title in GROUPS.items():
        yield title.upper()
        for kind, noun in NOUNS.items():
            items = [one for one in found.items if (one.group, one.kind) == (group, kind)]
            if items or (group == OURS and kind != "container"):
                yield f"  {noun}: {len(items) or 'none'}"
                yield from _items(items, everything=everything)
        yield ""
    yield from _not_looked_at("NOT LOOKED AT", found.not_looked_at)


def _items(items: Iterable[Item], *, everything: bool) -> Iterator[str]:
    """Below what announces them, and why they are there. A package's own files are a number, as its list has them."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for one in items:
        groups.setdefault((one.announced_by, one.reason), []).append(one)
    for (announced_by, reason), group in groups.items():
        if len(group) > SHOWN and announced_by.startswith("package ") and not everything:
            yield f"    {announced_by}: {one_line(reason)}: {len(group)}; --all shows them"
            continue
        yield f"    {announced_by}: {one_line(reason)}"
        for one in group:
            details = {**one.details, "owner": _owner(one.details.get("owner", ""))}
            yield f"      {one_line(one.key)}  {one_line(_details(one.kind, details))}".rstrip()


def _details(kind: str, details: Mapping[str, Any]) -> str:
    if kind in ("file", "timer"):
        size = f"{details['size']} bytes" if "size" in details else details.get("type", "")
        target = f"-> {details['target']}" if "target" in details else ""
        return " ".join(
            str(each)
            for each in (details.get("owner", ""), details.get("mode", ""), size, target)
            if each
        )
    return _values(details)


@cache
def _owner(numbers: str) -> str:
    """By name, as this host knows them. A picture may be of another one."""
    user, _, group = numbers.partition(":")
    try:
        return f"{pwd.getpwuid(int(user)).pw_name}:{grp.getgrgid(int(group)).gr_name}"
    except (KeyError, ValueError, OverflowError):
        return numbers


def _values(details: Mapping[str, Any]) -> str:
    shown = (
        (name, ", ".join(value) if isinstance(value, (list, tuple)) else value)
        for name, value in details.items()
    )
    return " ".join(
        str(value) if name in ("line", "lines", "value") else f"{name}={value}"
        for name, value in shown
        if value != ""
    )


def comparison(found: Report, *, everything: bool) -> Iterator[str]:
    yield f"before  {_head(found.before.host, found.before.taken_at, found.before.as_root)}"
    yield f"after   {_head(found.after.host, found.after.taken_at, found.after.as_root)}"
    yield ""
    yield f"NOT ANNOUNCED: {len(found.not_announced) or 'nothing'}"
    for one in found.not_announced:
        yield _difference(one)
    for whose in Whose:
        yield from _announced(whose, found.verdicts, everything=everything)
    yield ""
    yield from _not_looked_at("NOT COMPARED", found.not_compared)


def _head(host: str, taken_at: float, as_root: bool) -> str:
    return f"{one_line(host)}, {utc(taken_at)}{'' if as_root else ', not taken as root'}"


def _announced(whose: Whose, verdicts: Iterable[Verdict], *, everything: bool) -> Iterator[str]:
    groups: dict[str, list[Verdict]] = {}
    for one in verdicts:
        if one.announcement is not None and one.announcement.whose is whose:
            groups.setdefault(one.announcement.name, []).append(one)
    if not groups:
        return
    yield ""
    yield f"ANNOUNCED, {MEANING[whose]}: {sum(map(len, groups.values()))}"
    for name, group in groups.items():
        announcement = group[0].announcement
        assert announcement is not None
        yield f"  {name}: {announcement.reason}"
        for one in group if everything else group[:SHOWN]:
            yield _difference(one)
        if len(group) > SHOWN and not everything:
            yield f"    and {len(group) - SHOWN} more; --all shows them"


def _difference(verdict: Verdict) -> str:
    one = verdict.difference
    if one.change == "changed":
        moved = [
            f"{name} {_short(one.before.get(name, 'none'))} -> {_short(one.after.get(name, 'none'))}"
            for name in {**one.before, **one.after}
        ]
        text = "; ".join(moved)
    else:
        text = _details(one.kind, one.present)
    return f"    {one.change:8}{one.kind:9}{one_line(one.key)}  {one_line(text)}".rstrip()


def _short(value: Any) -> str:
    """A hash by its beginning: the JSON form has all of it."""
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) != 64 or not text.isalnum() else f"{text[:12]}..."


def _not_looked_at(title: str, found: Iterable[tuple[str, str]]) -> Iterator[str]:
    rows = list(found)
    yield f"{title}: {len(rows) or 'nothing'}"
    for what, why in rows:
        yield f"    {what}: {one_line(why)}"


def summary(found: Report) -> str:
    announced = len(found.verdicts) - len(found.not_announced)
    return f"{count(announced, 'difference')} announced, {len(found.not_announced)} not announced"
