"""Rulesets of nftables in a form that can be compared: what `nft` makes of a text for the kernel, and what only the text says.

`nft --check --debug=netlink` prints the instructions that it made of each rule. Saved and live rules are both given to it as
text, so whatever one and the same host's `nft` adds or leaves out is the same on both sides. It prints no chain's name with its
hook and no policy: these are read from the text.
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
_BASE = re.compile(r"(\w+) \S+ \S+ use \d+ type (\w+) hook (\w+) prio (-?\d+)")
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


@dataclass(frozen=True)
class Compiled:
    """`rules` by family, table and chain, in order; `sets` by table and name, None for the elements of one that changes by itself;
    `hooks` of base chains."""

    rules: dict[tuple[str, str, str], list[str]]
    sets: dict[tuple[str, str], Optional[frozenset[str]]]
    hooks: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    family: str
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


@dataclass
class Text:
    """What is declared in a text: `policies` by chain, of those that say one; `dormant` are tables that do nothing. `unclear`: why
    this can't be told."""

    tables: list[tuple[str, str]] = field(default_factory=list)
    dormant: list[tuple[str, str]] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    policies: dict[Chain, str] = field(default_factory=dict)
    unclear: str = ""


def compiled(printed: str) -> Optional[Compiled]:
    """None where it has lines that aren't understood."""
    found = Compiled({}, {}, ())
    hooks: list[str] = []
    nameless: list[str] = []
    for head, body in _blocks(printed):
        base, rule, declared = _BASE.match(head), _HEAD.match(head), _SET.fullmatch(head)
        if base:
            hooks.append(" ".join(base.groups()))
        elif " use " in head:
            continue  # a table, a chain without a hook, or a counter
        elif rule and rule.group(3).startswith("@"):
            continue  # what the kernel has already
        elif rule and all(line.startswith(("[", "userdata")) for line in body):
            place = (rule.group(1), rule.group(2), rule.group(3))
            found.rules.setdefault(place, []).append(_rule(body, nameless))
            nameless = []
        elif declared and all(line.startswith("element") for line in body):
            _declare(found, declared, body, nameless)
        else:
            return None
    return Compiled(found.rules, found.sets, tuple(sorted(hooks)))


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
    found: Compiled, declared: re.Match[str], body: Sequence[str], nameless: list[str]
) -> None:
    name, table, flags = declared.group(1), declared.group(2), int(declared.group(3), 16)
    elements = frozenset(each for line in body for each in _ELEMENT.findall(line))
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
    """Each `{` opens what the words of its statement say; within a chain its statements are looked at for a policy."""
    places: list[object] = []
    words: list[str] = []
    for mark in marks:
        if mark.startswith("#") or mark == "\\\n":
            continue
        if mark == "{":
            places.append(_opened(words, places, found))
            words = []
        elif mark in (";", "\n", "}"):
            _statement(words, places, found)
            words = []
            if mark == "}" and places:
                places.pop()
        else:
            words.append(mark)
    if places:
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
        if "policy" in words and words.index("policy") + 1 < len(words):
            _policy(inside, words[words.index("policy") + 1], found)
    elif isinstance(inside, tuple):
        if words[0] == "flags" and "dormant" in words:
            _keep(found.dormant, inside)
    elif not places:
        _step(words, found)


def _policy(chain: Chain, policy: str, found: Text) -> None:
    if policy not in ("accept", "drop"):
        found.unclear = f"the policy of {chain} is {policy}"
    found.policies[chain] = policy


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
