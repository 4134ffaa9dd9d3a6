"""Which IPv4 networks the host already knows, so that none of ours overlaps them."""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress
from pathlib import Path

import psutil

from hullmark.errors import Refused
from hullmark.host.iproute import ip

NETWORKS_MOST = 200
"""A host that is a router may have a million."""
_SINGLE = 32
_DEFAULT = ipaddress.IPv4Network("0.0.0.0/0")
_LOOPBACK = "lo"
_UNICAST, _LOCAL = "unicast", "local"
_TAKING = (_UNICAST, _LOCAL, "anycast", "nat", "blackhole", "unreachable", "prohibit")
_OTHER = ("broadcast", "multicast", "throw")
"""Types of routes (ip-route(8)) that take nothing from anybody: one of type `throw` leaves its destination to other tables."""


def known_networks(root: Path = Path("/")) -> tuple[ipaddress.IPv4Network, ...]:
    """Networks and single addresses of routes (without the default one), and of the host's interfaces. A single address on the loopback device is
    left out: services' are there."""
    found = {*_interfaces(), *_routed(root)}
    found.discard(_DEFAULT)
    return tuple(sorted(found))


def other_networks(inside: str, services: str, root: Path = Path("/")) -> tuple[str, ...]:
    """The same without loopback, what is `inside` this network, which comes and goes with apps, and single addresses that aren't in the range
    `services`, where that is known yet (not empty). Where there are very many: what meets that range, and the largest ones."""
    own, range_ = ipaddress.IPv4Network(inside), ipaddress.IPv4Network(services or _DEFAULT)
    found = [
        network
        for network in known_networks(root)
        if (network.prefixlen < _SINGLE or network.overlaps(range_))
        and not network.is_loopback
        and not network.subnet_of(own)
    ]
    found.sort(key=lambda network: (not network.overlaps(range_), network.prefixlen))
    return tuple(map(str, sorted(found[:NETWORKS_MOST])))


def _routed(root: Path) -> list[ipaddress.IPv4Network]:
    """Of every table. Of the main one alone where the program `ip` isn't installed, without which there are no service addresses either, or where
    what it says is no text, as with an interface's name."""
    with suppress(Refused, UnicodeDecodeError):
        return listed(ip("-4", "-oneline", "route", "show", "table", "all"))
    try:
        return routes((root / "proc/net/route").read_text())
    except OSError:
        return []


def listed(said: str) -> list[ipaddress.IPv4Network]:
    """The destinations of `ip route`, a route on each line. What the kernel itself has as local is an interface's address."""
    found = []
    for line in said.splitlines():
        words = line.split()
        kind = words.pop(0) if words and words[0] in (*_TAKING, *_OTHER) else _UNICAST
        is_address = kind == _LOCAL and " proto kernel " in line
        if words and kind in _TAKING and not is_address:
            with suppress(ValueError):
                found.append(ipaddress.IPv4Network(words[0], strict=False))
    return found


def leads_to(network: str, pid: int, root: Path = Path("/")) -> bool:
    """Whether a process has a way to a network, by the routes of its own network namespace. Where they can't be read, it is taken to have one."""
    try:
        table = (root / f"proc/{pid}/net/route").read_text()
    except OSError:
        return True
    wanted = ipaddress.IPv4Network(network)
    return any(wanted.subnet_of(one) for one in routes(table))


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
    for name, given in psutil.net_if_addrs().items():
        for address in given:
            if address.family == socket.AF_INET and address.netmask:
                text = f"{address.address}/{address.netmask}"
                network = ipaddress.IPv4Network(text, strict=False)
                if network.prefixlen < _SINGLE or name != _LOOPBACK:
                    found.append(network)
    return found
