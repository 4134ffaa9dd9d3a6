"""What a configuration that was written here says: what it is, and what it listens on. And what a plan does.
What HAProxy says of it, in words that stay the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from hullmark.model.proxyplan import Bind, ProxyPlan

_SPEAKER = re.compile(r"(\[[A-Z]+\])[ \t]*\(\d+\)[ \t]*:")
"""How HAProxy begins a line: how bad it is, and which process says so."""
_WORKER = re.compile(r"(?<=[Ww]orker)(?: #\d+)? \(\d+\)")


def digest_in(text: str) -> str:
    """Of a configuration's structure, as the file says it. Empty where it says none."""
    return next((rest for key, rest in _words(text) if key == "description"), "")


def backends_in(text: str) -> frozenset[str]:
    """Their names, also of those that have no server."""
    return frozenset(rest.split()[0] for key, rest in _words(text) if key == "backend" and rest)


def binds_in(text: str) -> frozenset[Bind]:
    """What a configuration that was written here listens on. In one that somebody changed a line may be any: such a one is left out."""
    indexes: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for key, rest in _words(text):
        words = rest.split()
        if key == "#" and words[:1] == ["interface"] and words[3:4] and words[3].isdigit():
            indexes[words[1]] = int(words[3])
        elif key == "bind" and words and words[0].rpartition(":")[2].isdigit():
            found.append((words[0], words[2] if words[1:2] == ["interface"] and words[2:] else ""))
    binds = set()
    for place, interface in found:
        address, _, port = place.rpartition(":")
        binds.add(Bind(address.strip("[]"), int(port), interface, indexes.get(interface, 0)))
    return frozenset(binds)


def binds_of(plan: ProxyPlan) -> set[Bind]:
    return {*plan.tls, *(bind for one in plan.frontends for bind in one.binds)}


def stale(wanted: Iterable[Bind], former: str) -> tuple[Bind, ...]:
    """Those that a former configuration has on an interface of the same name which was another then."""
    known = {(one.address, one.port, one.interface): one.index for one in binds_in(former)}
    return tuple(
        one
        for one in sorted(wanted)
        if known.get((one.address, one.port, one.interface), one.index) != one.index
    )


def without(plan: ProxyPlan, binds: Iterable[Bind]) -> ProxyPlan:
    """The rest of it: a frontend that is left with nothing to listen on is none."""
    gone = frozenset(binds)
    kept = (
        replace(one, binds=tuple(each for each in one.binds if each not in gone))
        for one in plan.frontends
    )
    return replace(
        plan,
        frontends=tuple(one for one in kept if one.binds),
        tls=tuple(one for one in plan.tls if one not in gone),
    )


def addresses_in(text: str) -> dict[str, str]:
    """Of each frontend the address that it listens on first."""
    found: dict[str, str] = {}
    frontend = ""
    for key, rest in _words(text):
        if key == "frontend":
            frontend = rest.split()[0]
        elif key == "bind":
            found.setdefault(frontend, rest.split()[0].rpartition(":")[0])
    return found


def _words(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        key, _, rest = line.strip().partition(" ")
        yield key, rest


def without_processes(said: str) -> str:
    """HAProxy's words without the ids of its processes: each try has others, and what fails again and again is told as one problem."""
    return _WORKER.sub("", _SPEAKER.sub(r"\1", said))
