"""Whether the kernel has the rules of nftables' saved file: every table, chain, hook, policy, set and rule of it, in order, and no
table beside them that nobody is known to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Optional

from hullmark.core.checks.judge import (
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.core.checks.nftrules import Compiled, Text, compiled, declared
from hullmark.model.control import Finding, Reading, Status, Trouble

_TABLE = re.compile(r"table (ip|ip6|inet|arp|bridge|netdev) \S+")
_WRONG = re.compile(r"^(\S+:\d+:\d+(?:-\d+)?: Error: (?!Could not process).*)", re.MULTILINE)
_REFUSES = re.compile(
    r"\[ (immediate reg 0 drop|reject |nat |redir|masq|tproxy|queue)|: drop 0|jump|goto"
)
RELOAD = (
    "compare with nft list ruleset, find out who changed it, and load the saved file again (nft -f)"
)


def judge(seen: Seen) -> Finding:
    finding = _unreadable(seen)
    if finding is not None:
        return finding
    included: dict[str, list[str]] = {}
    for each in seen.readings:
        if each.name == "included":
            included.setdefault(each.facts.get("pattern", ""), []).append(each.text)
    text, live_text = declared(seen["saved"].text, included), declared(seen["live"].text)
    if text.unclear or _named_by_variable(text):
        return _incomparable(seen, text.unclear or "a table or chain is named by a variable")
    if live_text.unclear:
        return not_understood(seen["live"])
    return _compared(seen, text, live_text)


def _compared(seen: Seen, text: Text, live_text: Text) -> Finding:
    saved, live = seen["compiled"], seen["recompiled"]
    wanted, found = compiled(saved.text, text), compiled(live.text, live_text)
    if wanted is None or found is None:
        return not_understood(saved if wanted is None else live)
    if not wanted.rules and text.rules and not wanted.unclear:
        return error(f"{saved.source} shows nothing of what it compiles")
    if not _filters(wanted, text):
        return not_applicable(f"{seen['saved'].source}: it refuses and redirects nothing")
    unclear = wanted.unclear or found.unclear
    differ = [*_declared(text, live_text), *_strangers(seen, text)]
    differ += _counts(text, live_text) if unclear else _compiled(wanted, found)
    if differ:
        return failed(f"live rules differ from {seen['saved'].source}: {differ[0]}", RELOAD)
    return _incomparable(seen, unclear) if unclear else seen.passed()


def _incomparable(seen: Seen, why: str) -> Finding:
    return error(f"{seen['saved'].source}: can't be compared: {why}")


def _unreadable(seen: Seen) -> Optional[Finding]:
    """Why there is nothing to compare."""
    for name in ("tables", "saved"):
        reading = seen.find(name)
        if reading is None:
            return error(f"{name}: not looked at")
        if name == "saved" and reading.trouble is Trouble.MISSING:
            return not_applicable("nftables has no saved rules on this host")
        finding = _whole(reading)
        if finding is not None:
            return finding
    if not seen["saved"].text.strip():
        return not_applicable(f"{seen['saved'].source}: empty")
    if not all(_TABLE.fullmatch(line.strip()) for line in seen["tables"].text.splitlines()):
        return not_understood(seen["tables"])
    for reading in seen.readings:
        wrong = (
            _WRONG.search(reading.errors) if reading.name == "compiled" and reading.code else None
        )
        if wrong is not None:
            what = first_line(wrong.group(1))
            return failed(
                f"{seen['saved'].source} can't be loaded at the next start: {what}",
                "mend it: nft -c -f FILE",
            )
        finding = _whole(reading)
        if finding is not None:
            return finding
    missing = [name for name in ("compiled", "live", "recompiled") if seen.find(name) is None]
    return error(f"{missing[0]}: not looked at") if missing else None


def _whole(reading: Reading) -> Optional[Finding]:
    finding = untold(reading)
    if finding is not None and (
        finding.status is not Status.NOT_APPLICABLE or reading.name == "tables"
    ):
        return finding
    if finding is not None:
        return error(f"{reading.source}: it is gone")
    if reading.code:
        return not_understood(reading)
    return error(f"{reading.source}: too long to be compared") if reading.cut else None


def _named_by_variable(text: Text) -> bool:
    named = [*(name for _, name in text.tables), *(chain.name for chain in text.chains)]
    return any("$" in name for name in named)


def _filters(wanted: Compiled, text: Text) -> bool:
    """Whether these rules do anything at all: the file that comes with the package holds chains without a rule."""
    if "drop" in text.policies.values() or wanted.unclear:
        return True
    return any(_REFUSES.search(rule) for rules in wanted.rules.values() for rule in rules)


def _declared(text: Text, live: Text) -> Iterator[str]:
    """By what both texts say."""
    for family, name in sorted(set(text.tables) - set(live.tables)):
        yield f"table {family} {name} isn't in the kernel"
    for family, name in sorted(set(live.dormant) ^ set(text.dormant)):
        yield f"table {family} {name} is switched {'off (dormant)' if (family, name) in live.dormant else 'on'}"
    for chain in sorted(set(text.chains) - set(live.chains), key=str):
        yield f"chain {chain} isn't in the kernel"
    for chain in sorted(set(live.chains) - set(text.chains), key=str):
        yield f"chain {chain} is in the kernel only"
    for chain in text.chains:
        ours, theirs = (each.policies.get(chain, "accept") for each in (text, live))
        if ours != theirs:
            yield f"chain {chain} has policy {theirs}, saved is {ours}"
        ours, theirs = (each.hooks.get(chain, "no hook") for each in (text, live))
        if ours != theirs:
            yield f"chain {chain} has {theirs}, saved is {ours}"


def _counts(text: Text, live: Text) -> Iterator[str]:
    """Where no more can be compared."""
    for chain in text.chains:
        ours, theirs = text.rules.count(chain), live.rules.count(chain)
        if ours != theirs:
            yield f"chain {chain}: {theirs} rules live, {ours} saved"


def _compiled(wanted: Compiled, found: Compiled) -> Iterator[str]:
    yield from _rules(wanted.rules, found.rules)
    yield from _sets(wanted, found)


def _rules(
    wanted: Mapping[tuple[str, str, str], list[str]],
    found: Mapping[tuple[str, str, str], list[str]],
) -> Iterator[str]:
    for place in sorted(set(wanted) | set(found)):
        ours, theirs = wanted.get(place, []), found.get(place, [])
        if ours != theirs:
            where, numbers = " ".join(place), f"{len(theirs)} rules live, {len(ours)} saved"
            same = "; others" if len(ours) == len(theirs) else ""
            yield f"chain {where}: {numbers}{same}"


def _sets(wanted: Compiled, found: Compiled) -> Iterator[str]:
    for place in sorted(set(wanted.sets) ^ set(found.sets)):
        where = "in the kernel only" if place in found.sets else "not in the kernel"
        yield f"set {' '.join(place)} is {where}"
    for place in sorted(set(wanted.sets) & set(found.sets)):
        if wanted.sets[place] != found.sets[place]:
            yield f"set {' '.join(place)} has other elements"


def _strangers(seen: Seen, text: Text) -> Iterator[str]:
    """Tables that neither the file nor another tool has."""
    for line in seen["tables"].text.splitlines():
        table = line.replace("table ", "", 1).strip()
        known = table in {f"{family} {name}" for family, name in text.tables}
        if (
            table
            and not known
            and not any(fnmatchcase(table, each) for each in seen.texts("others"))
        ):
            yield f"table {table} is in the kernel only"
