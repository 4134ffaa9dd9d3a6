"""Which IPv4 networks the host already knows, so that none of ours overlaps them."""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path

import psutil

NETWORKS_MOST = 200
"""A host that is a router may have a million."""
_SINGLE = 32
_DEFAULT = ipaddress.IPv4Network("0.0.0.0/0")


def known_networks(root: Path = Path("/")) -> tuple[ipaddress.IPv4Network, ...]:
    """Networks of routes (without the default one) and of the host's own addresses."""
    found = set(_interfaces())
    try:
        table = (root / "proc/net/route").read_text()
    except OSError:
        table = ""
    found.update(routes(table))
    found.discard(_DEFAULT)
    return tuple(sorted(found))


def other_networks(inside: str, root: Path = Path("/")) -> tuple[str, ...]:
    """The same without single addresses, loopback, and what is `inside` this network, which comes and goes with apps; the largest ones, where
    there are very many."""
    own = ipaddress.IPv4Network(inside)
    found = [
        network
        for network in known_networks(root)
        if network.prefixlen < _SINGLE and not network.is_loopback and not network.subnet_of(own)
    ]
    return tuple(map(str, sorted(sorted(found, key=_size)[:NETWORKS_MOST])))


def leads_to(network: str, pid: int, root: Path = Path("/")) -> bool:
    """Whether a process has a way to a network, by the routes of its own network namespace. Where they can't be read, it is taken to have one."""
    try:
        table = (root / f"proc/{pid}/net/route").read_text()
    except OSError:
        return True
    wanted = ipaddress.IPv4Network(network)
    return any(wanted.subnet_of(one) for one in routes(table))


def _size(network: ipaddress.IPv4Network) -> int:
    return network.prefixlen


def routes(table: str) -> list[ipaddress.IPv4Network]:
    """The destinations of /proc/net/route: hexadecimal in the machine's byte order (proc(5))."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 8:
            destination, mask = (_address(columns[index]) for index in (1, 7))
            found.append(ipaddress.IPv4Network(f"{destination}/{mask}", strict=False))
    return found


def _address(text: str) -> str:
    return socket.inet_ntoa(struct.pack("=I", int(text, 16)))


def _interfaces() -> list[ipaddress.IPv4Network]:
    found = []
    for given in psutil.net_if_addrs().values():
        for address in given:
            if address.family == socket.AF_INET and address.netmask:
                text = f"{address.address}/{address.netmask}"
                found.append(ipaddress.IPv4Network(text, strict=False))
    return found
