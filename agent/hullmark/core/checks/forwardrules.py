"""What packet filters do with what a host forwards, as `nft list ruleset` and `iptables-save` print it.

A packet that one chain at the hook drops is dropped, whatever others say of it. So one is enough: one that drops what none of its
rules accepts, and accepts nothing that neighbours open (`forwardway`), or rules that drop what is opened to the addresses in question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.checks.forwardway import Inside, Walk, Way
from hullmark.core.checks.spans import Span, all_spans_of, is_in, spans_of

_TABLE = re.compile(r"^table (\S+) (\S+) \{")
_CHAIN = re.compile(r"^\s+chain (\S+) \{")
_DORMANT = re.compile(r"^\tflags \S*\bdormant\b")
"""Of a table: the kernel has it and does nothing with it."""
_HOOK = re.compile(r"^\s+type \w+ hook forward priority [^;]*;(?: policy (\w+);)?")
_VERSIONS = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
_ASIDE = re.compile(
    r'(?:-m comment )?(?:--)?\bcomment (?:"(?:[^"\\]|\\.)*"|\S+)|\bcounter(?: packets \d+ bytes \d+)?|'
    r'\blog prefix "[^"]*"(?: (?:level|flags|group) \S+)*'
)
"""Words of a rule that decide nothing."""
_VERSION = re.compile(r"\bmeta nfproto ipv[46] ")
"""Where a rule has addresses these say so too."""
_PLACES = r"(\{[^{}]*\}|[0-9a-f.:/-]+)"
_TO = re.compile(rf"(?:^| )(?:ct original )?ip6? daddr {_PLACES}(?= |$)")
_NOT_FROM = re.compile(rf"(?:^| )(?:ct original )?ip6? saddr != {_PLACES}(?= |$)")
_NOT_BRIDGED = re.compile(r'(?:^| )(?:meta )?iifkind != "bridge"(?= |$)')
_BY = re.compile(r'(?:^| )(?:meta )?iifname (\{[^{}*]*\}|"[^"*]*")(?= |$)')
NO_BRIDGE = ""
"""All links that are none."""
_SHUTS = re.compile(r"^(?:ct state (?:invalid,)?new )?(?:drop|reject(?: with .*)?)$")
_LETS_ON = re.compile(r"(?:^| )(?:accept|jump|goto|return|queue|vmap|-[jg] (?!DROP\b|REJECT\b))")
_OF_REPLIES = re.compile(r"^ct state (?:established,related|\{ established, related \}) accept$")


@dataclass(frozen=True)
class Shut:
    """What comes to these addresses is dropped: `links`, by these interfaces (NO_BRIDGE among them), None: by all; `of_inside`, also with a
    source that is excused."""

    to: Span
    links: Optional[frozenset[str]]
    of_inside: bool

    def is_of(self, link: str) -> bool:
        return self.links is None or link in self.links


@dataclass(frozen=True)
class Chain:
    """All that is forwarded goes through it, of these versions of IP. `chains`: the rules of its table, by chain and in order, in nftables' words
    or iptables'."""

    versions: tuple[int, ...]
    policy: str
    name: str
    chains: Mapping[str, Sequence[str]] = field(hash=False)

    @property
    def rules(self) -> Sequence[str]:
        return self.chains[self.name]

    def way(self, inside: Inside) -> Way:
        """Of what neighbours open to containers. It goes on after the chain where nothing drops it for good."""
        way = Walk(self.chains, inside).of(self.name)
        return Way(way.opening, way.goes_on and self.policy != "drop")

    def shut(self, inside: Sequence[Span]) -> Iterator[Shut]:
        """What its rules drop, up to the first that may let something past those after it. A source may be excused that is in `inside`."""
        for rule in self.rules:
            if _LETS_ON.search(rule) and not _OF_REPLIES.match(rule):
                return
            to, but_from = _TO.search(rule), _NOT_FROM.search(rule)
            rest = _NOT_FROM.sub("", _TO.sub("", _VERSION.sub("", rule), count=1), count=1)
            links, rest = _links_of(rest)
            drops = _SHUTS.match(rest.strip())
            if to and drops and (but_from is None or _are_in(but_from[1], inside)):
                for span in spans_of(to[1]):
                    yield Shut(span, links, of_inside=not but_from)


def _links_of(conditions: str) -> tuple[Optional[frozenset[str]], str]:
    """As `Shut.links`, and the other conditions."""
    by = _BY.search(conditions)
    if by:
        names = frozenset(re.findall(r'"([^"]+)"', by[1]))
        return names, _BY.sub("", conditions, count=1)
    unbridged = _NOT_BRIDGED.search(conditions)
    return frozenset([NO_BRIDGE]) if unbridged else None, _NOT_BRIDGED.sub("", conditions)


def chains_of(ruleset: str) -> Iterator[Chain]:
    """Of `nft list ruleset`."""
    family, name = "", ""
    chains: dict[str, list[str]] = {}
    hooked: dict[str, str] = {}
    for line in _whole_lines(ruleset):
        table, chain = _TABLE.match(line), _CHAIN.match(line)
        if table:
            family, name, chains, hooked = table[1], "", {}, {}
        elif line.startswith("}"):
            for each, policy in hooked.items():
                yield Chain(_VERSIONS[family], policy, each, chains)
            hooked = {}
        elif chain:
            name = chain[1]
            chains[name] = []
        elif _DORMANT.match(line):
            family = ""
        elif name and (hook := _HOOK.match(line)):
            hooked.update({name: hook[1] or ""} if family in _VERSIONS else {})
        elif line.strip() == "}":
            name = ""
        elif name:
            chains[name].append(_bare(line))


def _whole_lines(ruleset: str) -> Iterator[str]:
    """nft prints the members of a long set on several."""
    begun = ""
    for line in ruleset.splitlines():
        begun += line.lstrip() if begun else line
        if not line.endswith(","):
            yield begun
            begun = ""
        else:
            begun += " "


def old_chains_of(saved: str, version: int) -> Iterator[Chain]:
    """Of `iptables-save`, or `ip6tables-save`."""
    lines = saved.partition("*filter\n")[2].partition("COMMIT\n")[0].splitlines()
    named = [line[1:].split() for line in lines if line.startswith(":")]
    chains: dict[str, list[str]] = {words[0]: [] for words in named if words}
    for line in lines:
        verb, _, rest = line.partition(" ")
        name, _, rule = rest.partition(" ")
        if verb == "-A" and name in chains:
            chains[name].append(_bare(rule))
    for words in named:
        if words[:1] == ["FORWARD"] and words[1:]:
            yield Chain((version,), words[1].lower(), "FORWARD", chains)


def is_a_ruleset(text: str) -> bool:
    """Whether either of the tools printed it. An empty one is, too."""
    lines = text.splitlines()
    return not text.strip() or any(_TABLE.match(line) or line.startswith("*") for line in lines)


def are_shut(chains: Iterable[Chain], inside: Inside) -> bool:
    """Whether rules drop what comes to all that is wanted from elsewhere: by its source, and by each link that neighbours come by, as
    one may take a source of the inside. Nothing wanted: no."""
    version, wanted = inside.version, inside.wanted
    mine = [chain for chain in chains if version in chain.versions]
    found = [one for chain in mine for one in chain.shut(wanted) if one.to.version == version]
    needed = [[one.to for one in found if one.links is None]]
    for link in (NO_BRIDGE, *inside.others):
        needed.append([one.to for one in found if one.of_inside and one.is_of(link)])
    return bool(wanted) and all(is_in(one, spans) for spans in needed for one in wanted)


def table_for(networks: Sequence[str], others: Iterable[str] = ()) -> str:
    """The table of nftables that shuts these networks, in one line: what others open to them is dropped, whatever other tables accept;
    what their containers open, and what the engine publishes, goes on. The second rule of each is for who takes an address of theirs: containers
    come from bridges. `others` are bridges that none of them comes from, for a third."""
    rules = []
    names = [f'"{name}"' for name in sorted(others)]
    for version, family in ((4, "ip"), (6, "ip6")):
        mine = [one for one in networks if any(span.version == version for span in spans_of(one))]
        if mine:
            places = _set_of(mine)
            to, other = f"ct original {family} daddr {places}", f"saddr != {places}"
            rules.append(f"{to} ct original {family} {other} drop;")
            rules.append(f'{to} meta iifkind != "bridge" drop;')
            rules += [f"{to} iifname {_set_of(names)} drop;"] if names else []
    hook = "type filter hook forward priority filter; policy accept;"
    return f"table inet containers {{ chain forward {{ {hook} {' '.join(rules)} }}; }}"


def _set_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"


def _are_in(places: str, others: Sequence[Span]) -> bool:
    """Whether all of them are, and none is in words that aren't known."""
    found = all_spans_of(places)
    return found is not None and all(is_in(one, others) for one in found)


def _bare(rule: str) -> str:
    return " ".join(_ASIDE.sub(" ", rule).split())
