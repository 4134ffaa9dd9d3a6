"""Rules of iptables, as `iptables-restore-translate` words them: the same for a file that a person wrote and for what the kernel says.

What it has no words for it repeats as a remark; such a rule is compared as it is, without what iptables fills in by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

_POLICY = re.compile(r"policy (\w+);")
_UNTOLD = re.compile(r"# -t (\S+) -([AI]) (\S+) ?(.*)")
_REMARK = re.compile(r"# (Translated by|Completed on) .*")
_ADDED = re.compile(r"(add|insert) (table|chain|rule) (ip6?) (\S+)(?: (\S+)(?: (.*))?)?")
_SAME = (
    (re.compile(r" -p (icmpv6|icmp6)(?= |$)"), " -p ipv6-icmp"),
    (re.compile(r" -m (tcp|udp|icmp|icmpv6|icmp6)(?= |$)"), ""),
    (re.compile(r" --name DEFAULT(?= |$)"), ""),
    (re.compile(r" --mask (255\.255\.255\.255|ffff(:ffff){7})(?= |$)"), ""),
    (re.compile(r" --rsource(?= |$)"), ""),
)
"""Other words for the same, and what iptables fills in."""
UNTOLD = "# "


@dataclass
class Rules:
    """By table and chain: rules in order, and the policies of built-in chains. A rule that begins with UNTOLD has no words of
    nftables'."""

    rules: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    policies: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, table: str, chain: str) -> list[str]:
        return self.rules.get((table, chain), [])


def read(*texts: str) -> Optional[Rules]:
    """One text after the other, as they are loaded. None where one holds what isn't understood, or nothing."""
    found = Rules()
    for text in texts:
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines or not all(_take(line.rstrip(), found) for line in lines):
            return None
    return found


def _take(line: str, found: Rules) -> bool:
    untold = _UNTOLD.fullmatch(line)
    if untold is not None:
        table, verb, chain, rule = untold.groups()
        _add(found, verb == "I", (table, chain), UNTOLD + _bare(f" {rule}"))
        return True
    added = _ADDED.fullmatch(line)
    if added is None:
        return _REMARK.fullmatch(line) is not None
    verb, what, _, table, chain, rest = added.groups()
    if what == "table":
        return True
    if not chain:
        return False
    if what == "rule":
        _add(found, verb == "insert", (table, chain), rest or "")
        return True
    found.rules.setdefault((table, chain), [])
    policy = _POLICY.search(rest or "")
    if policy is not None:
        found.policies[table, chain] = policy.group(1)
    return True


def _add(found: Rules, first: bool, place: tuple[str, str], rule: str) -> None:
    rules = found.rules.setdefault(place, [])
    rules.insert(0 if first else len(rules), rule)


def _bare(rule: str) -> str:
    """Its options in one order: a person and the kernel say them in different ones."""
    for pattern, shown in _SAME:
        rule = pattern.sub(shown, rule)
    options: list[str] = []
    for word in rule.split():
        begins = word.startswith("-") or word == "!"
        if options and (not begins or options[-1] == "!"):
            options[-1] += f" {word}"
        else:
            options.append(word)
    return " ".join(sorted(options))
