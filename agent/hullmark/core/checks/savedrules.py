"""Rules of `iptables-save` in nftables' words, as far as who gets into containers depends on them.

What has no words here stays as it is: a condition that is not understood.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

_FAMILIES = {4: "ip", 6: "ip6"}
_SAID_BY_OTHERS = frozenset(
    ["tcp", "udp", "sctp", "dccp", "icmp", "icmp6", "conntrack", "state", "comment"]
)
"""Modules that decide nothing by themselves: their options do."""
_VERDICTS = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "drop",
    "RETURN": "return",
}
_GOES_ON = frozenset(
    [
        "AUDIT",
        "CHECKSUM",
        "CLASSIFY",
        "CONNMARK",
        "CONNSECMARK",
        "CT",
        "DSCP",
        "HL",
        "LOG",
        "MARK",
        "NFLOG",
        "NOTRACK",
        "RATEEST",
        "SECMARK",
        "SET",
        "TCPMSS",
        "TOS",
        "TRACE",
        "TTL",
    ]
)
"""Targets after which the next rule follows (iptables-extensions(8))."""
MAY_ACCEPT = "queue"
"""Of a target that isn't known, and of another program's verdict."""


def translated(rule: str, version: int, chains: Collection[str]) -> str:
    """Of what follows the chain's name. `chains`: those that it may jump to."""
    try:
        words = shlex.split(rule)
    except ValueError:
        return f"{rule} {MAY_ACCEPT}"
    return " ".join(_translated(iter(words), version, chains))


def _translated(words: Iterator[str], version: int, chains: Collection[str]) -> Iterator[str]:
    negated = ""
    for word in words:
        if word == "!":
            negated = "!= "
            continue
        if word in ("-j", "-g"):
            # What follows are the target's own options.
            yield from _verdict(word, next(words, ""), chains)
            return
        yield _condition(word, words, negated, version)
        negated = ""


def _condition(word: str, words: Iterator[str], negated: str, version: int) -> str:
    if word == "-m":
        module = next(words, "")
        return "" if module in _SAID_BY_OTHERS else f"{word} {module}"
    if word in ("-i", "-o"):
        name = next(words, "")
        shown = f"{name[:-1]}*" if name.endswith("+") else name
        return f'{word[1]}ifname {negated}"{shown}"'
    if word in ("-s", "-d"):
        return f"{_FAMILIES[version]} {word[1]}addr {negated}{next(words, '')}"
    if word in ("--ctstate", "--state"):
        return f"ct state {negated}{next(words, '').lower()}"
    if word == "-p":
        return f"meta l4proto {negated}{next(words, '')}"
    if word == "--dport":
        return f"th dport {negated}{next(words, '')}"
    return f"{negated}{word.replace(' ', '_')}"


def _verdict(how: str, target: str, chains: Collection[str]) -> Iterator[str]:
    if target in chains:
        yield f"{'jump' if how == '-j' else 'goto'} {target}"
    elif target not in _GOES_ON:
        yield _VERDICTS.get(target, MAY_ACCEPT)
