"""What engines leave in a network namespace: bridges, packet filter rules, IP forwarding.

`survey` remembers the state before an engine starts; `restore` takes away what came with it, going by the
engine's own range of addresses, so that another engine in the same namespace keeps its traffic.
"""

from __future__ import annotations

import ipaddress
import json
import random
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
TABLES = ("filter", "nat")


def here() -> str:
    """The network namespace of this process."""
    return str(Path("/proc/self/ns/net").readlink())


def survey() -> dict[str, Any]:
    """JSON for the workspace's record."""
    return {
        "namespace": here(),
        "forward": FORWARD.read_text().strip(),
        "chains": {table: sorted(_chains(table)) for table in TABLES},
    }


def restore(before: dict[str, Any], addresses: str, alone: bool) -> None:
    """Remove bridges and rules of the range `addresses`; where no other engine is left (`alone`), also the
    chains that were not there before, and set forwarding back. Idempotent.
    """
    if before["namespace"] != here():
        return  # that namespace went away with its processes
    network = ipaddress.IPv4Network(addresses)
    bridges = [name for name, address in _bridges() if address in network]
    for name in bridges:
        _run("ip", "link", "delete", name)
    for table in TABLES:
        for rule in _rules(table):
            if any(name in rule for name in bridges) or _mentions(rule, network):
                _run("iptables", "-w", "-t", table, "-D", *rule[1:])
    if alone:
        for table in TABLES:
            _remove_chains(table, set(_chains(table)) - set(before["chains"][table]))
        # netavark from 1.12 on has a table of its own.
        _run("nft", "delete", "table", "inet", "netavark")
        if before["forward"] == "0":
            _run("iptables", "-w", "-P", "FORWARD", "ACCEPT")
            FORWARD.write_text("0")


def free_addresses() -> str:
    """A random /16 that no address or route of this namespace touches."""
    routes = json.loads(_run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    used = []
    for route in routes:
        if route["dst"] != "default":
            used.append(ipaddress.ip_network(route["dst"], strict=False))
    free = [
        network
        for network in ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=16)
        if not any(network.overlaps(other) for other in used)
    ]
    return str(random.choice(free))


def _bridges() -> list[tuple[str, ipaddress.IPv4Address]]:
    links = json.loads(_run("ip", "-j", "-4", "address", "show", "type", "bridge") or "[]")
    return [
        (link["ifname"], ipaddress.IPv4Address(address["local"]))
        for link in links
        if "ifname" in link
        for address in link["addr_info"]
    ]


def _mentions(rule: list[str], network: ipaddress.IPv4Network) -> bool:
    for word in rule:
        try:
            address = ipaddress.IPv4Network(word.partition(":")[0], strict=False)
        except ValueError:
            continue
        if address.subnet_of(network):
            return True
    return False


def _chains(table: str) -> list[str]:
    return [rule[1] for rule in _listing(table) if rule[0] == "-N"]


def _rules(table: str) -> list[list[str]]:
    """Each as the arguments of iptables, from `-A CHAIN` on."""
    return [rule for rule in _listing(table) if rule[0] == "-A"]


def _listing(table: str) -> list[list[str]]:
    return [shlex.split(line) for line in _run("iptables", "-w", "-t", table, "-S").splitlines()]


def _remove_chains(table: str, chains: set[str]) -> None:
    for rule in _rules(table):
        if rule[1] not in chains and any(word in chains for word in rule):
            _run("iptables", "-w", "-t", table, "-D", *rule[1:])
    for chain in chains:
        _run("iptables", "-w", "-t", table, "-F", chain)
    for chain in chains:
        _run("iptables", "-w", "-t", table, "-X", chain)


def _run(*command: str) -> str:
    """Output, also where the command fails: what is to be removed may be gone already."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout
