"""Whether who routes containers' networks to a host gets into them. Engines open ports that are published; what becomes of the others is
the packet filter's, and not every engine has it drop them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

from hullmark.core.checks.forwardrules import (
    Chain,
    are_shut,
    chains_of,
    is_a_ruleset,
    old_chains_of,
    table_for,
)
from hullmark.core.checks.forwardway import Inside
from hullmark.core.checks.judge import Seen, error, failed, not_understood, untold
from hullmark.core.checks.spans import Span, is_in, spans_of
from hullmark.model.control import Finding, Reading, Trouble

GUARDED_SINCE = 28
"""Docker's version from which on it drops what comes to containers' addresses from elsewhere, also to ports published on loopback."""
FORWARDS_LATER = "podman"
"""The engine that has the kernel forward with its first container, and drops nothing then. Docker does so when it starts, and drops."""
ALL = "all"
"""What the kernel forwards, where all interfaces do."""
INTERFACES_MOST = 5
RULE_MOST = 160
"""Characters of a rule that is told."""
REMEDY = "have the shop's firewall drop what others open to containers' addresses. In nftables, beside all other tables: "


@dataclass(frozen=True)
class _Engine:
    """`networks`: the range that the next ones are made in, and those that are elsewhere. `taken`, `bridges` and `others`: as `Inside`."""

    name: str
    version: int
    networks: tuple[str, ...]
    taken: tuple[str, ...]
    bridges: frozenset[str]
    others: frozenset[str]

    def inside(self, version: int) -> Inside:
        wanted, taken = (_spans(ones, version) for ones in (self.networks, self.taken))
        return Inside(version, wanted, taken, self.bridges, self.others)


def _spans(networks: Sequence[str], version: int) -> tuple[Span, ...]:
    found = (span for network in networks for span in spans_of(network))
    return tuple(span for span in found if span.version == version)


def judge(seen: Seen) -> Finding:
    told = seen.find("engine")
    if told is None:
        return error("the engine: not looked at")
    finding = untold(told)
    if finding is not None:
        return finding
    networks = seen.find("networks")
    if networks is None or networks.trouble is not Trouble.NONE:
        return error("the engine's networks and the host's links: not looked at")
    engine = _engine(told, networks)
    if engine is None:
        return not_understood(networks)
    reasons = []
    for version in (4, 6) if engine.inside(6).wanted else (4,):
        found = _of_version(seen, engine, version)
        if isinstance(found, Finding):
            return found
        reasons.append(found)
    return seen.passed("; ".join(dict.fromkeys(filter(None, reasons))))


def _engine(told: Reading, networks: Reading) -> Optional[_Engine]:
    try:
        said, listed = json.loads(told.text), json.loads(networks.text)
        version = str(said["version"]).partition(".")[0]
        number = int(version) if version.isdecimal() else 0
        own, subnets = str(listed["range"]), tuple(map(str, listed["subnets"]))
        name = str(said["name"])
        taken = tuple(map(str, listed["taken"]))
        bridges, others = (frozenset(map(str, listed[each])) for each in ("bridges", "others"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not all(spans_of(one) for one in (*subnets, *filter(None, [own]))):
        return None
    return _Engine(name, number, tuple(_apart(own, subnets)), taken, bridges, others)


def _apart(own: str, subnets: Sequence[str]) -> Iterator[str]:
    """The range, and what isn't in it, in order."""
    mine = spans_of(own)
    if own:
        yield own
    others = {spans_of(one)[0]: one for one in subnets if not is_in(spans_of(one)[0], mine)}
    for span in sorted(others, key=lambda span: (span.version, span.first)):
        yield others[span]


def _of_version(seen: Seen, engine: _Engine, version: int) -> Union[str, Finding]:
    """A finding that ends it, or what there is to say of a host that lets nobody in by this version of IP."""
    name = "forwarding" if version == 4 else "forwarding6"
    forwarding = seen.find(name)
    if version == 6 and forwarding is not None and forwarding.trouble is Trouble.MISSING:
        return ""  # a kernel without IPv6
    if forwarding is None or forwarding.trouble is not Trouble.NONE:
        return error("whether the kernel forwards: not looked at")
    now = _now(forwarding.text, engine)
    if now is None:
        return not_understood(forwarding)
    if not now and engine.name != FORWARDS_LATER:
        return "the host forwards nothing"
    told = [seen.find(one) for one in ("rules", "old_rules" if version == 4 else "old_rules6")]
    usable = [one for one in told if one is not None and _is_whole(one)]
    chains = [chain for one in usable for chain in _chains(one, version)]
    inside = engine.inside(version)
    openings = _openings(chains, inside)
    if "" in openings:
        return _left_open(engine)
    if are_shut(chains, inside):
        return ""
    if not usable:
        return error("neither nft nor iptables-save says what is dropped")
    strange = [one for one in usable if not is_a_ruleset(one.text)]
    if strange:
        return not_understood(strange[0])
    reason = _open(now, version, openings[0] if openings else "") + _by_others(chains, inside)
    return failed(reason, f"{REMEDY}{table_for(engine.networks, engine.others)}")


def _openings(chains: Sequence[Chain], inside: Inside) -> list[str]:
    """Of each chain that drops the rest the first rule that lets in; empty: none does."""
    ways = [chain.way(inside) for chain in chains if inside.version in chain.versions]
    return [way.opening for way in ways if not way.goes_on]


def _by_others(chains: Sequence[Chain], inside: Inside) -> str:
    """Where that is all that lets neighbours in: which bridges they may come by."""
    without = replace(inside, others=frozenset())
    if not ("" in _openings(chains, without) or are_shut(chains, without)):
        return ""
    return f". Bridges of no container network: {_shown(inside.others)}"


def _now(text: str, engine: _Engine) -> Optional[str]:
    """What the kernel forwards, in words; empty: nothing. What comes from containers alone doesn't count. None: not understood."""
    said, *interfaces = text.split() or [""]
    if said not in ("0", "1"):
        return None
    found = {*interfaces} - {"lo", *(engine.bridges - engine.others)}
    return ALL if said == "1" else f"what comes by {_shown(found)}" if found else ""


def _shown(interfaces: Collection[str]) -> str:
    found = sorted(interfaces)
    return ", ".join(found[:INTERFACES_MOST]) + (", …" if found[INTERFACES_MOST:] else "")


def _is_whole(one: Reading) -> bool:
    return one.trouble is Trouble.NONE and one.code == 0 and not one.cut


def _chains(one: Reading, version: int) -> Iterator[Chain]:
    return chains_of(one.text) if one.name == "rules" else old_chains_of(one.text, version)


def _open(now: str, version: int, opening: str) -> str:
    """`opening`: of a chain that drops the rest, the rule that lets in."""
    how = "" if now == ALL else f" {now}" if now else " with Podman's first container"
    forwards = f"forwards{'' if version == 4 else ' IPv6'}{how}"
    if opening:
        rule = opening if len(opening) <= RULE_MOST else f"{opening[: RULE_MOST - 1]}…"
        return f"the host {forwards}, and a rule may let in who routes containers' networks to it, before others are dropped. {rule}"
    return f"the host {forwards}, and no rule drops what isn't allowed: whoever routes containers' networks to it reaches all their ports"


def _left_open(engine: _Engine) -> str:
    """What the engine's version lets in although the rest is dropped."""
    if engine.name == "docker" and 0 < engine.version < GUARDED_SINCE:
        return f"Docker {engine.version} lets who routes there to ports that are published on 127.0.0.1 with mode: host"
    return ""
