"""The paths that a host needs in the words of nftables, iptables, firewalld and ufw. For people to read and to load: Hullmark loads none."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, Optional

from hullmark.core.checks.forwardrules import table_for
from hullmark.core.checks.forwardway import PODMANS
from hullmark.model.control import Posture, Status
from hullmark.model.ports import FirewallNeeds, FirewallRule, Hook

FIREWALLS = ("nftables", "iptables", "firewalld", "ufw")
COMMENT_MOST = 120
"""Of nftables' comments, which take 127 bytes; iptables' take 255."""
Pair = tuple[str, str]


def in_use(posture: Optional[Posture]) -> str:
    """The firewall that a host has as its controls see it. Where they see none, nftables': which tables there are says a person."""
    found = {} if posture is None else posture.controls
    for status in (Status.PASS, Status.FAIL):
        for firewall in ("firewalld", "ufw", "nftables"):
            control = found.get(f"firewall-{firewall}")
            if control is not None and control.status is status:
                return firewall
    return "nftables"


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
            found += end(each.rules)
        found.append("")
    return tuple(found[:-1])


# -- nftables

BRIDGES = (PODMANS, "cni-podman*", "docker0", "br-*")
"""Of Podman's networks (with netavark and with CNI), of Docker's default one and its others. Each has a rule: older versions of nft take no * in a set."""
_NFT_HEAD = (
    "# For nft -f, or for your own file: rules of chains input, forward and output of table inet filter. Change the names to your",
    "# own's; a chain that ends with a rule which drops or rejects needs them before that one. Each chain needs, as it has already:",
    "#   ct state established,related accept",
    "# and input and output: iifname lo accept, oifname lo accept. A chain that accepts by default needs none of them.",
    "# A network whose bridge has a name of yours needs the rule with iifname with that name.",
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
        end = f'accept comment "{rule.why[:COMMENT_MOST]}"'
        for link in _links(rule, source):
            yield " ".join([*words, *link, end])


def _links(rule: FirewallRule, source: Sequence[str]) -> Iterator[Sequence[str]]:
    """What rules say of the link: a neighbour may take a container's address, and come by a bridge that is no network's."""
    if rule.hook is not Hook.FORWARD or not source:
        yield ()
        return
    for name in BRIDGES:
        yield 'meta iifkind "bridge"', f'iifname "{name}"'


def _by_family(addresses: Sequence[str], side: str) -> Iterator[tuple[str, Sequence[str], str]]:
    if addresses:
        yield ("ip" if _version(addresses[0]) == 4 else "ip6"), addresses, side


def _set(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{{ {', '.join(items)} }}"


# -- iptables

PORTS_MOST = 15
"""Of one match multiport (iptables-extensions(8)), by which ufw does it as well."""
_IPTABLES_HEAD = (
    "# Commands, in the order in which they count; what follows `iptables -w` is also a line for iptables-restore, as in /etc/iptables/rules.v4 (ip6tables: rules.v6).",
    "# A chain that ends with a rule which drops or rejects needs them before that one. Each chain needs, as it has already:",
    "#   -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "# and INPUT and OUTPUT: -i lo and -o lo. A chain that accepts by default needs none of them. What an engine hands on by rules in these same chains",
    "# passes whatever comes after them: those of FORWARD are for Podman's nftables driver. iptables-restore without --noflush takes engines' rules away.",
)
_COMMANDS = {4: "iptables", 6: "ip6tables"}
_PODMANS = f"{PODMANS[:-1]}+"
_NOT_QUOTED = str.maketrans("", "", '"\\$`!')


def _iptables(rule: FirewallRule) -> Iterator[str]:
    for source, destination in _families(rule):
        known = (*source, *destination)
        for version in (_version(known[0]),) if known else (4, 6):
            words = [_COMMANDS[version], "-w", "-A", rule.hook.value.upper()]
            words += ["-s", ",".join(source)] if source else []
            words += ["-d", ",".join(destination)] if destination else []
            # A neighbour may take a container's address, and no match tells bridges from other links.
            words += ["-i", _PODMANS] if rule.hook is Hook.FORWARD and source else []
            words += ["-p", rule.protocol] if rule.protocol else []
            comment = f'"{rule.why.translate(_NOT_QUOTED)[:COMMENT_MOST]}"'
            for ports in _iptables_ports(rule):
                yield " ".join([*words, *ports, "-m comment --comment", comment, "-j ACCEPT"])


def _iptables_ports(rule: FirewallRule) -> Iterator[Sequence[str]]:
    """Of one rule each."""
    for port in _texts(rule.forwarded):
        yield "-m", "conntrack", "--ctstate", "DNAT", "--ctorigdstport", port
    if rule.forwarded:
        return
    for some in _some_at_a_time(rule.ports):
        if len(some) > 1:
            yield ("-m", "multiport", "--dports", ",".join(some))
        else:
            yield ("--dport", *some) if some else ()


def _iptables_end(rules: Sequence[FirewallRule]) -> Iterator[str]:
    """The proxy knows who calls by the address, and a neighbour may take one. This finds it of networks that are there: the way back to all other addresses
    of the range is the one to everywhere."""
    forwarded = [rule for rule in rules if rule.hook is Hook.FORWARD]
    networks = dict.fromkeys(one for rule in forwarded for one in rule.sources)
    if networks:
        yield "# What comes from an address of a network that is there comes by that network; in rules.v4 and rules.v6 this belongs to table raw, without -t raw:"
    for one in networks:
        command = _COMMANDS[_version(one)]
        yield f"{command} -w -t raw -A PREROUTING -s {one} -m rpfilter --invert -j DROP"


# -- firewalld

_FIREWALLD_HEAD = (
    "# In the default zone; add --zone=ZONE for another. Docker puts its bridges into its own zone and Podman its networks into `trusted`,",
    "# where containers may call already: their rules are for engines that do not.",
)


def _firewalld_end(rules: Sequence[FirewallRule]) -> Iterator[str]:
    yield "firewall-cmd --reload"


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
    "# Where nftables starts at boot too, its file flushes ufw's rules, or half of them: systemctl disable nftables, or update-rc.d nftables disable.",
)
_UFW_TABLE, _UFW_HOOK = "/etc/ufw/containers.nft", "/etc/ufw/after.init"
"""The hook is ufw's own, run after its rules were loaded where it is executable; see ufw-framework(8)."""
_UFW_LOADS = f"/usr/sbin/nft -f {_UFW_TABLE}"
_UFW_ADDS = f"sed -i 's|^start)$|&\\n    {_UFW_LOADS}|' {_UFW_HOOK}; chmod +x {_UFW_HOOK}"
_UFW_ASKS = f"""
"NOT KEPT: {_UFW_HOOK} is this host's own, and left as it is. Below its start) it needs: {_UFW_LOADS} (and it has to be executable)"
""".strip()
_UFW_KEEP = (
    f"if cmp -s /usr/share/ufw/after.init {_UFW_HOOK}; then {_UFW_ADDS}; fi",
    f"[ -x {_UFW_HOOK} ] && grep -Eq '^[^#]*nft -f {_UFW_TABLE}( |;|$)' {_UFW_HOOK} || {{ echo {_UFW_ASKS} >&2; false; }}",
)
"""Only the hook that is as ufw's package brought it is changed: in it nothing is done yet, and there is such a line."""


def _ufw(rule: FirewallRule) -> Iterator[str]:
    for source, destination in _pairs(rule):
        words = ["ufw", "route"] if rule.hook is Hook.FORWARD else ["ufw"]
        words.append("allow")
        words += ["out"] if rule.hook is Hook.OUTPUT else []
        words += ["proto", rule.protocol] if rule.protocol else []
        words += ["from", source or "any", "to", destination or "any"]
        for ports in _some_at_a_time(rule.ports):
            some = ["port", ",".join(ports)] if ports else []
            yield shlex.join([*words, *some, "comment", rule.why.replace("'", "")])


def _ufw_end(rules: Sequence[FirewallRule]) -> Iterator[str]:
    """ufw can't tell a port that the engine handed on from the same port of any container."""
    forwarded = [rule for rule in rules if rule.hook is Hook.FORWARD]
    networks = dict.fromkeys(
        one for rule in forwarded for one in (*rule.sources, *rule.destinations)
    )
    if networks:
        yield "# Route rules also let in who routes containers' addresses to this host, to these ports of every container. A table of nftables'"
        yield "# beside ufw's drops that. Where a bridge isn't the engine's networks' alone, as br0, take the one that `hullmark controls container-routing`"
        yield "# prints. ufw loads it after its own rules, by its after.init:"
        # nft takes the file as one change: the former table stays until the new one is there.
        anew = ("table inet containers", "delete table inet containers")
        lines = shlex.join([*anew, table_for(tuple(networks))])
        yield f"printf '%s\\n' {lines} >{_UFW_TABLE}"
        yield f"nft -f {_UFW_TABLE}"
        yield from _UFW_KEEP


# -- common to all


def _some_at_a_time(ports: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """As many as a rule of iptables, and so of ufw, takes; nothing once where there are none."""
    texts = _texts(ports)
    for first in range(0, max(len(texts), 1), PORTS_MOST):
        yield texts[first : first + PORTS_MOST]


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


def _no_end(rules: Sequence[FirewallRule]) -> Sequence[str]:
    return ()


_End = Callable[[Sequence[FirewallRule]], Iterable[str]]
_Writer = tuple[Sequence[str], Callable[[FirewallRule], Iterator[str]], _End]
_WRITERS: dict[str, _Writer] = {
    "nftables": (_NFT_HEAD, _nft, _no_end),
    "iptables": (_IPTABLES_HEAD, _iptables, _iptables_end),
    "firewalld": (_FIREWALLD_HEAD, _firewalld, _firewalld_end),
    "ufw": (_UFW_HEAD, _ufw, _ufw_end),
}
