"""The paths that a host needs in the words of nftables, firewalld and ufw. For people to read and to load: Hullmark loads none."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Sequence
from typing import Callable

from hullmark.model.ports import FirewallNeeds, FirewallRule, Hook

FIREWALLS = ("nftables", "firewalld", "ufw")
COMMENT_MOST = 120
"""Of nftables' comments, which take 127 bytes."""
Pair = tuple[str, str]


def rendered(firewall: str, needs: Sequence[FirewallNeeds]) -> tuple[str, ...]:
    """Lines, those of each host after its name. Raises KeyError for a firewall that is not known."""
    heading, rule, end = _WRITERS[firewall]
    found: list[str] = []
    for each in needs:
        found += [f"# {each.host}", *(f"# {why}" for why in each.unknown)]
        if each.rules:
            found += heading
            for one in each.rules:
                found += rule(one)
            found += end
        found.append("")
    return tuple(found[:-1])


# -- nftables

_NFT_HEAD = (
    "# For nft -f, or for your own file: rules of chains input, forward and output of table inet filter. Change the names to your",
    "# own's; a chain that ends with a rule which drops or rejects needs them before that one. Each chain needs, as it has already:",
    "#   ct state established,related accept",
    "# and input and output: iifname lo accept, oifname lo accept. A chain that accepts by default needs none of them.",
)


def _nft(rule: FirewallRule) -> Iterator[str]:
    for source, destination in _families(rule):
        words = [f"add rule inet filter {rule.hook.value}"]
        for family, addresses, side in (
            *_by_family(source, "saddr"),
            *_by_family(destination, "daddr"),
        ):
            words.append(f"{family} {side} {_set(addresses)}")
        if rule.forwarded:
            words.append(f"meta l4proto {rule.protocol} ct status dnat")
            words.append(f"ct original proto-dst {_set(_texts(rule.forwarded))}")
        elif rule.ports:
            words.append(f"{rule.protocol} dport {_set(_texts(rule.ports))}")
        elif rule.protocol:
            words.append(f"meta l4proto {rule.protocol}")
        yield " ".join([*words, f'accept comment "{rule.why[:COMMENT_MOST]}"'])


def _by_family(addresses: Sequence[str], side: str) -> Iterator[tuple[str, Sequence[str], str]]:
    if addresses:
        yield ("ip" if _version(addresses[0]) == 4 else "ip6"), addresses, side


def _set(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{{ {', '.join(items)} }}"


# -- firewalld

_FIREWALLD_HEAD = (
    "# In the default zone; add --zone=ZONE for another. Docker puts its bridges into its own zone and Podman its networks into `trusted`,",
    "# where containers may call already: their rules are for engines that do not.",
)
_FIREWALLD_END = ("firewall-cmd --reload",)


def _firewalld(rule: FirewallRule) -> Iterator[str]:
    if rule.hook is Hook.OUTPUT:
        yield f"# {rule.why}: goes out by itself, unless a policy of yours for HOST says otherwise"
        return
    if rule.hook is Hook.FORWARD:
        yield f"# {rule.why}: firewalld lets it through, unless StrictForwardPorts is yes"
        return
    yield f"# {rule.why}"
    for source, destination in _pairs(rule):
        ports = [f'port port="{port}" protocol="{rule.protocol}"' for port in rule.ports]
        for what in ports or [f'protocol value="{rule.protocol}"']:
            words = ["rule"]
            if source or destination:
                words.append(f'family="ipv{_version(source or destination)}"')
            words += [f'source address="{source}"'] if source else []
            words += [f'destination address="{destination}"'] if destination else []
            told = " ".join([*words, what, "accept"])
            yield f"firewall-cmd --permanent --add-rich-rule={shlex.quote(told)}"


# -- ufw

_UFW_HEAD = (
    "# What Docker hands on to containers passes before ufw looks, whatever its rules say: route rules are for Podman's nftables driver.",
)


def _ufw(rule: FirewallRule) -> Iterator[str]:
    for source, destination in _pairs(rule):
        words = ["ufw", "route"] if rule.hook is Hook.FORWARD else ["ufw"]
        words.append("allow")
        words += ["out"] if rule.hook is Hook.OUTPUT else []
        words += ["proto", rule.protocol] if rule.protocol else []
        words += ["from", source or "any", "to", destination or "any"]
        words += ["port", ",".join(_texts(rule.ports))] if rule.ports else []
        yield shlex.join([*words, "comment", rule.why.replace("'", "")])


# -- common to all


def _texts(numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(number) for number in numbers)


def _version(text: str) -> int:
    return ipaddress.ip_network(text, strict=False).version


def _families(rule: FirewallRule) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Sources and destinations of one version of IP at a time: a rule has those of one only."""
    if not (rule.sources or rule.destinations):
        yield (), ()
        return
    for version in (4, 6):
        sources = [one for one in rule.sources if _version(one) == version]
        destinations = [one for one in rule.destinations if _version(one) == version]
        fits = (sources or not rule.sources) and (destinations or not rule.destinations)
        if fits:
            yield sources, destinations


def _pairs(rule: FirewallRule) -> Iterator[Pair]:
    """One source and one destination at a time; empty for any."""
    for sources, destinations in _families(rule):
        for source in sources or ("",):
            for destination in destinations or ("",):
                yield source, destination


_Writer = tuple[Sequence[str], Callable[[FirewallRule], Iterator[str]], Sequence[str]]
_WRITERS: dict[str, _Writer] = {
    "nftables": (_NFT_HEAD, _nft, ()),
    "firewalld": (_FIREWALLD_HEAD, _firewalld, _FIREWALLD_END),
    "ufw": (_UFW_HEAD, _ufw, ()),
}
