"""Rulesets of nftables in a form that can be compared: what `nft` makes of a text for the kernel, and what only the text says.

`nft --check --debug=netlink` prints the instructions that it made of each rule. Saved and live rules are both given to it as
text, so whatever one and the same host's `nft` adds or leaves out is the same on both sides. Hooks and policies of chains it does
not print in every version: these are read from the text. Before 1.0 it doesn't print of which chain a rule is: rules come in the
text's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, TypeVar

_Kept = TypeVar("_Kept")
FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
INCLUDES_DEEP = 4
_HEAD = re.compile(rf"({'|'.join(FAMILIES)}) (\S+) (\S+)")
_BARE_HEAD = re.compile(rf"({'|'.join(FAMILIES)})")
_NO_VERDICT = re.compile(r"\S+\s+: \d+")
_A_MAP = 0x8
_PRIORITY = re.compile(r"([a-z]*) ?([+-]? ?\d+)?")
PRIORITIES = {
    "raw": -300,
    "mangle": -150,
    "dstnat": -100,
    "filter": 0,
    "security": 50,
    "srcnat": 100,
}
BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
_SET = re.compile(r"(\S+) (\S+) ([0-9a-f]+)( .*)?")
_ELEMENT = re.compile(r"\s*element\s+(.*?)\s*\[end\]")
_LOOKUP = re.compile(r"(__(?:set|map)%d)")
_COUNTED = (
    (re.compile(r"counter pkts \d+ bytes \d+"), "counter"),
    (re.compile(r"consumed \d+"), "consumed"),
)
_TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|\\\n|[{};\n]|[^\s{};"#]+')
_OF_THEIR_OWN_WILL = 0x30
"""Flags of a set whose elements come and go by themselves: with a timeout, or filled by rules."""
_STEPS = frozenset({"insert", "replace", "rename", "reset"})
"""Verbs of a file that changes rules step by step: what comes of it can't be told from what is in it."""


@dataclass
class Compiled:
    """`rules` by family, table and chain, in order; `sets` by table and name, None for the elements of one that changes by itself.
    `unclear`: why it can't be compared."""

    rules: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    sets: dict[tuple[str, str], Optional[frozenset[str]]] = field(default_factory=dict)
    maps: set[tuple[str, str]] = field(default_factory=set)
    unclear: str = ""


@dataclass(frozen=True)
class Chain:
    family: str
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


@dataclass
class Text:
    """What is declared in a text: `hooks` and `policies` by chain, of those that say one; `dormant` are tables that do nothing;
    `rules` the chain of each rule. `unclear`: why this can't be told."""

    tables: list[tuple[str, str]] = field(default_factory=list)
    dormant: list[tuple[str, str]] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    hooks: dict[Chain, str] = field(default_factory=dict)
    policies: dict[Chain, str] = field(default_factory=dict)
    rules: list[Chain] = field(default_factory=list)
    unclear: str = ""


def compiled(printed: str, text: Text) -> Optional[Compiled]:
    """Of what was compiled from this text. None where there are lines that aren't understood."""
    found = Compiled()
    nameless: list[str] = []
    order = iter(text.rules)
    for head, body in _blocks(printed):
        rule, set_ = _HEAD.fullmatch(head), _SET.fullmatch(head)
        instructions = bool(body) and all(line.startswith(("[", "userdata")) for line in body)
        if " use " in head or (rule and rule.group(3).startswith("@")):
            continue  # a table, chain or counter; what the kernel has already
        if instructions and (rule or _BARE_HEAD.fullmatch(head)):
            chain = Chain(*rule.groups()) if rule else next(order, None)
            if chain is None or (rule is None and chain.family != head):
                found.unclear = "which chain a rule is of can't be told with this nft"
                return found
            place = (chain.family, chain.table, chain.name)
            found.rules.setdefault(place, []).append(_rule(body, nameless))
            nameless = []
        elif set_ and all(line.startswith("element") for line in body):
            _declare(found, set_, body, nameless)
        else:
            return None
    return found


def _blocks(printed: str) -> Iterator[tuple[str, list[str]]]:
    head = ""
    body: list[str] = []
    for line in printed.splitlines():
        if line and not line[0].isspace():
            if head:
                yield head, body
            head, body = line.rstrip(), []
        elif line.strip():
            body.append(line.strip())
    if head:
        yield head, body


def _rule(body: Sequence[str], nameless: list[str]) -> str:
    """Without its comment and what it counted; a set without a name is shown as its elements."""
    lines = [line for line in body if not line.startswith("userdata")]
    text = "\n".join(lines)
    for pattern, shown in _COUNTED:
        text = pattern.sub(shown, text)
    waiting = iter(nameless)
    return _LOOKUP.sub(lambda match: next(waiting, match.group(1)), text)


def _declare(
    found: Compiled, match: re.Match[str], body: Sequence[str], nameless: list[str]
) -> None:
    name, table, flags = match.group(1), match.group(2), int(match.group(3), 16)
    elements = frozenset(each for line in body for each in _ELEMENT.findall(line))
    is_map = _is_map(found, name, table, flags)
    if is_map and any(_NO_VERDICT.fullmatch(each) for each in elements):
        found.unclear = "this nft doesn't show the verdicts of maps"
    if _LOOKUP.fullmatch(name):
        if body:
            nameless.append("{" + ", ".join(sorted(elements)) + "}")
        return
    known = found.sets.get((table, name), frozenset())
    changing = known is None or bool(flags & _OF_THEIR_OWN_WILL)
    found.sets[table, name] = None if changing or known is None else known | elements


def declared(text: str, included: Optional[Mapping[str, Sequence[str]]] = None) -> Text:
    """Of a saved text, or of what `nft list table` printed. `included`: what `include "..."` brings in, by what stands there."""
    found = Text()
    _read(_marks(text, included or {}, INCLUDES_DEEP), found)
    return found


def _marks(text: str, included: Mapping[str, Sequence[str]], deep: int) -> Iterator[str]:
    before = ""
    for mark in _TOKEN.findall(text):
        yield mark
        if before == "include" and mark.startswith('"') and deep:
            yield "\n"
            for each in included.get(mark[1:-1], ()):
                yield from _marks(each, included, deep - 1)
        before = mark
    yield "\n"


def _read(marks: Iterable[str], found: Text) -> None:
    """Tables and chains open a place, whose statements are looked at; all else in braces is part of its statement."""
    places: list[object] = []
    words: list[str] = []
    inner = 0
    for mark in marks:
        if mark.startswith("#") or mark == "\\\n":
            continue
        if inner:
            inner += {"{": 1, "}": -1}.get(mark, 0)
            words.append(mark)
        elif mark == "{":
            place = _opened(words, places, found)
            if place is None:
                inner = 1
                words.append(mark)
            else:
                places.append(place)
                words = []
        elif mark in (";", "\n", "}"):
            _statement(words, places, found)
            words = []
            if mark == "}" and places:
                places.pop()
        else:
            words.append(mark)
    if places or inner:
        found.unclear = found.unclear or "a { is never closed"


def _opened(words: Sequence[str], places: Sequence[object], found: Text) -> object:
    said = list(words)
    if said[:1] in (["add"], ["create"]):
        said = said[1:]
    inside = places[-1] if places else None
    if said[:1] == ["table"] and not places:
        table = _table(said[1:])
        _keep(found.tables, table)
        return table
    if said[:1] == ["chain"] and (not places or isinstance(inside, tuple)):
        chain = _chain(said[1:], inside)
        if chain is None:
            found.unclear = f"not understood: {' '.join(words)}"
            return None
        _keep(found.tables, (chain.family, chain.table))
        _keep(found.chains, chain)
        return chain
    return None


def _statement(words: Sequence[str], places: Sequence[object], found: Text) -> None:
    inside = places[-1] if places else None
    if not words:
        return
    if isinstance(inside, Chain):
        _of_chain(inside, words, found)
    elif isinstance(inside, tuple):
        if words[0] == "flags" and "dormant" in words:
            _keep(found.dormant, inside)
    elif not places:
        _step(words, found)


def _of_chain(chain: Chain, words: Sequence[str], found: Text) -> None:
    if words[0] == "type":
        hook = _hook(chain, words)
        if hook is None:
            found.unclear = f"not understood: {' '.join(words)[:80]}"
        found.hooks[chain] = hook or ""
    elif words[0] == "policy":
        policy = " ".join(words[1:])
        if policy not in ("accept", "drop"):
            found.unclear = f"the policy of {chain} is {policy}"
        found.policies[chain] = policy
    elif words[0] not in ("comment", "flags", "include"):
        found.rules.append(chain)


def _hook(chain: Chain, words: Sequence[str]) -> Optional[str]:
    """With its priority as a number: one that was saved by hand may say either."""
    if "priority" not in words:
        return None
    at = list(words).index("priority")
    match = _PRIORITY.fullmatch(" ".join(words[at + 1 :]))
    names = BRIDGE_PRIORITIES if chain.family == "bridge" else PRIORITIES
    if match is None or (match.group(1) and match.group(1) not in names):
        return None
    number = names.get(match.group(1), 0) + int((match.group(2) or "0").replace(" ", ""))
    return " ".join([*(word.strip('"') for word in words[:at]), str(number)])


def _step(words: Sequence[str], found: Text) -> None:
    """A statement of its own: `flush ruleset`, `add rule inet filter input ...`."""
    verb, what = words[0], words[1] if len(words) > 1 else ""
    removes = verb in ("flush", "delete", "destroy") and what not in ("ruleset", "table")
    placed = (verb, what) == ("add", "rule") and not {"index", "position"}.isdisjoint(words)
    if removes or placed or verb in _STEPS:
        found.unclear = f"it changes rules step by step: {' '.join(words)[:60]}"
    said = words[1:] if verb in ("add", "create") else words
    if said[:1] == ["table"]:
        _keep(found.tables, _table(said[1:]))
    elif said[:1] == ["chain"]:
        chain = _chain(said[1:], None)
        if chain is not None:
            _keep(found.tables, (chain.family, chain.table))
            _keep(found.chains, chain)
    elif said[:1] == ["rule"] and len(said) > 3:
        family = said[1] in FAMILIES
        found.rules.append(Chain(*said[1:4]) if family else Chain("ip", said[1], said[2]))


def _is_map(found: Compiled, name: str, table: str, flags: int) -> bool:
    """Elements are printed apart from what their set is."""
    if flags & _A_MAP:
        found.maps.add((table, name))
    return (table, name) in found.maps


def _table(words: Sequence[str]) -> tuple[str, str]:
    if len(words) > 1 and words[0] in FAMILIES:
        return words[0], words[1]
    return "ip", words[0] if words else ""


def _chain(words: Sequence[str], inside: object) -> Optional[Chain]:
    if isinstance(inside, tuple):
        return Chain(inside[0], inside[1], words[0]) if len(words) == 1 else None
    if len(words) == 3 and words[0] in FAMILIES:
        return Chain(words[0], words[1], words[2])
    return Chain("ip", words[0], words[1]) if len(words) == 2 else None


def _keep(those: list[_Kept], one: _Kept) -> None:
    if one not in those:
        those.append(one)
