"""What becomes of a packet on its way through a chain: one that a neighbour sends to a container's address, to open a connection.

A rule is passed over where it surely isn't for such a packet. One whose conditions aren't understood may be for it: what it accepts
is let in, and what it drops may be dropped by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hullmark.core.checks.savedrules import translated
from hullmark.core.checks.spans import Span, all_spans_of, is_in, meet

DEEP = 16
"""Jumps within each other, as many as nftables has (NFT_JUMP_STACK_SIZE)."""
_VERDICT = re.compile(
    r"(?:^| )(?:(accept|drop|return)|(reject)(?: with [a-z0-9 -]+)?|(jump|goto) (\S+))$"
)
_MAY_ACCEPT = re.compile(r"(?:^| )(?:xt|queue|synproxy|vmap|accept|jump|goto|#)(?= |$)")
"""Words of rules whose end isn't understood: others go on to the next rule."""
_MAP = re.compile(r"^(.*?) ?\bvmap \{([^{}]*)\}$")
_NAMES = r'(\{[^{}]*\}|"[^"]*")(?= |$)'
_IN = re.compile(rf"(?:^| )(?:meta )?iif(?:name)? {_NAMES}")
_NOT_IN = re.compile(rf"(?:^| )(?:meta )?iifname != {_NAMES}")
_OUT = re.compile(rf"(?:^| )(?:meta )?oif(?:name)? {_NAMES}")
_BRIDGED = re.compile(r'(?:^| )(?:meta )?iifkind "bridge"(?= |$)')
PODMANS = "podman*"
"""Podman's names for its networks' bridges, also for those to come."""
_STATE = re.compile(r"(?:^| )ct state (\{[^{}]*\}|[a-z,]+)(?= |$)")
_HANDED_ON = re.compile(r"(?:^| )ct status dnat(?= |$)")
_OTHERS_HEADERS = "(?<!reply)(?<!vxlan)(?<!geneve)(?<!gre)(?<!gretap)"
_PLACE = re.compile(
    rf"(?:^|{_OTHERS_HEADERS} )(?:ct original )?(ip6?) ([sd]addr) (!= )?(\{{[^{{}}]*\}}|[0-9a-f.:/-]+)(?= |$)"
)
_FAMILIES = {"ip": 4, "ip6": 6}
_NFPROTO = re.compile(r"(?:^| )meta nfproto ipv([46])(?= |$)")
_PROTOCOL = re.compile(
    r"(?:^| )(?:meta l4proto|ip protocol|ip6 nexthdr) (\{[^{}]*\}|[a-z0-9-]+)(?= |$)"
)
_WITHOUT_PORTS = frozenset({"icmp", "icmpv6", "icmp6", "ipv6-icmp", "1", "58"})
_ICMP = re.compile(r"(?:^|(?<!with) )icmp(?:v6)? (?:type|code) ")
_PORT = re.compile(r"(?:^| )(?:tcp|udp|sctp|dccp|th) dport \d+(?= |$)")
_NOT_NEW = frozenset({"established", "related", "dnat"})
"""Replies; and what the engine handed on, because it is published."""


@dataclass(frozen=True)
class Inside:
    """Where the packet is for, by one version of IP. `wanted`: all addresses of containers, also of those to come; `taken`: those of
    networks that are there: who sends from one of these gets no answer, which goes to the network. `bridges`: the networks' interfaces;
    none: not known. `others`: bridges that are no network's, or not only, as where the host's own way out is one: neighbours may come by them."""

    version: int
    wanted: tuple[Span, ...]
    taken: tuple[Span, ...] = ()
    bridges: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Way:
    """`opening`: the first rule that may let the packet in, after its chain's name; empty: none does. `goes_on`: whether the packet may
    come out at the chain's end."""

    opening: str
    goes_on: bool


@dataclass(frozen=True)
class _Step:
    """Of one rule. `returns`: the packet may leave the chain here; `ends`: it never gets to the next rule."""

    opening: str = ""
    returns: bool = False
    ends: bool = False


_PASSED_OVER = _Step()


class Walk:
    """Through the chains of one table. Each is looked at once; one that leads to itself lets in."""

    def __init__(self, chains: Mapping[str, Sequence[str]], inside: Inside) -> None:
        self._chains = chains
        self._inside = inside
        self._known: dict[str, Way] = {}

    def of(self, name: str, deep: int = 0) -> Way:
        known = self._known.get(name)
        if known is not None:
            return known
        if name not in self._chains or deep > DEEP:
            return Way(f"{name}: not followed", goes_on=True)
        self._known[name] = Way(f"{name}: leads to itself", goes_on=True)
        self._known[name] = way = self._through(name, deep)
        return way

    def _through(self, name: str, deep: int) -> Way:
        opening, returns = "", False
        for rule in self._chains[name]:
            words = rule
            if rule.startswith(("-", "!")):
                words = translated(rule, self._inside.version, self._chains)
            step = self._step(f"{name}: {rule}", " ".join(words.split()), deep)
            opening = opening or step.opening
            returns = returns or step.returns
            if step.ends:
                return Way(opening, returns)
        return Way(opening, goes_on=True)

    def _step(self, told: str, words: str, deep: int) -> _Step:
        if is_for_others(words, self._inside):
            return _PASSED_OVER
        table = _MAP.match(words)
        if table:
            return self._mapped(told, table[1], table[2], deep)
        verdict = _VERDICT.search(words)
        if verdict is None:
            return _Step(told) if _MAY_ACCEPT.search(words) else _PASSED_OVER
        # Those of the other version of IP are passed over already.
        is_for_all = not _NFPROTO.sub("", words[: verdict.start()]).strip()
        if verdict[3]:
            return self._jumped(verdict[3], verdict[4], is_for_all, deep)
        if verdict[1] == "accept":
            return _Step(told, ends=is_for_all)
        return _Step(returns=verdict[1] == "return", ends=is_for_all)

    def _jumped(self, how: str, name: str, is_for_all: bool, deep: int) -> _Step:
        way = self.of(name, deep + 1)
        if how == "goto":
            return _Step(way.opening, way.goes_on, is_for_all)
        return _Step(way.opening, ends=is_for_all and not way.goes_on)

    def _mapped(self, told: str, key: str, elements: str, deep: int) -> _Step:
        """Each element as a rule of its own. Of a key of several parts what is which isn't told apart."""
        if " . " in key:
            return _Step(told)
        steps = []
        for element in elements.split(","):
            value, _, verdict = element.strip().rpartition(" : ")
            steps.append(self._step(told, f"{key} {value} {verdict}", deep))
        opening = next((step.opening for step in steps if step.opening), "")
        return _Step(opening, any(step.returns for step in steps))


def is_for_others(words: str, inside: Inside) -> bool:
    """Whether such a packet surely isn't what a rule of nftables is for: one of its conditions is enough."""
    return (
        any(_is_elsewhere(match, words, inside) for match in _PLACE.finditer(words))
        or any(int(match[1]) != inside.version for match in _NFPROTO.finditer(words))
        or _is_of_replies(words)
        or _is_without_ports(words)
        or _is_between_others(words, inside)
        or _is_published(words, inside)
    )


def _is_elsewhere(match: re.Match[str], words: str, inside: Inside) -> bool:
    family, side, negated, places = match.groups()
    spans = all_spans_of(places)
    if _FAMILIES[family] != inside.version:
        return True
    if spans is None or not inside.wanted:
        return False
    if side == "daddr":
        return _are_in(inside.wanted, spans) if negated else not meet(spans, inside.wanted)
    known = inside.wanted if _is_by_networks(words, inside) else inside.taken
    return not negated and _are_in(spans, known)


def _is_by_networks(words: str, inside: Inside) -> bool:
    """By bridges alone, and by none that is no network's."""
    but = _NOT_IN.search(words)
    left_out = _members(but[1]) if but else frozenset()
    return _BRIDGED.search(words) is not None and inside.others <= left_out


def _is_of_replies(words: str) -> bool:
    state = _STATE.search(words)
    return _HANDED_ON.search(words) is not None or (
        state is not None and _NOT_NEW.issuperset(_members(state[1]))
    )


def _is_without_ports(words: str) -> bool:
    protocol = _PROTOCOL.search(words)
    return _ICMP.search(words) is not None or (
        protocol is not None and _WITHOUT_PORTS.issuperset(_members(protocol[1]))
    )


def _is_between_others(words: str, inside: Inside) -> bool:
    """By the interfaces: it comes from containers or the host itself, or goes to none."""
    comes, goes = _IN.search(words), _OUT.search(words)
    bridged = _BRIDGED.search(words) is not None
    if comes and all(_is_containers(name, bridged, inside) for name in _members(comes[1])):
        return True
    names = _members(goes[1]) if goes else frozenset()
    sure = bool(names and inside.bridges) and not any(set('*"') & set(name) for name in names)
    return sure and inside.bridges.isdisjoint(names)


def _is_containers(name: str, bridged: bool, inside: Inside) -> bool:
    """Of an interface's name, or of the beginning of several, before a *. `bridged`: they are bridges."""
    if name in {"lo", *inside.bridges} - inside.others:
        return True
    stem = name[:-1] if name.endswith("*") else ""
    met = [one for one in inside.others if one == name or (stem and one.startswith(stem))]
    return (bridged or name == PODMANS) and not met


def _is_published(words: str, inside: Inside) -> bool:
    """As engines let in what they publish: one container's address and port, on its network's interface."""
    goes = _OUT.search(words)
    to = [match for match in _PLACE.finditer(words) if match[2] == "daddr" and not match[3]]
    spans = (all_spans_of(to[0][4]) or ()) if to else ()
    return (
        goes is not None
        and inside.bridges.issuperset(_members(goes[1]))
        and len(spans) == 1
        and spans[0].first == spans[0].last
        and is_in(spans[0], inside.taken)
        and _PORT.search(words) is not None
    )


def _are_in(ones: Iterable[Span], others: Sequence[Span]) -> bool:
    return all(is_in(one, others) for one in ones)


def _members(said: str) -> frozenset[str]:
    """Of a set in braces, a list or one word; names without their quotes. What is put together of several keeps them."""
    return frozenset(_unquoted(said.strip("{} ").split(",")))


def _unquoted(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        bare = word.strip()
        simple = bare.count('"') == 2 and bare.startswith('"') and bare.endswith('"')
        yield bare[1:-1] if simple else bare
