"""Network interfaces: their names, and their IPv4 addresses."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass

import psutil

_LOCAL = ("docker", "br-", "podman", "cni", "veth", "virbr", "hm")
_DEFAULT_BRIDGES = ("docker0", "podman0")
_DISCARD = 9
"""The port of a protocol that answers nothing (RFC 863). Nothing is sent there either."""


@dataclass(frozen=True)
class Interface:
    """`index` is the kernel's number of it: one that was made anew has another. `network` is what its address is in."""

    name: str
    index: int
    address: str
    network: ipaddress.IPv4Network


def is_local(name: str) -> bool:
    """Loopback, or a bridge or pair of an engine's or a hypervisor's: other hosts can't reach its addresses."""
    return name == "lo" or name.startswith(_LOCAL)


def bindable() -> tuple[str, ...]:
    """Where a port of the host is bound that is to be on all of its addresses, and on no service's: its own IPv4 addresses, that of the engine's
    default bridge, by which containers name their host, loopback, and all of IPv6, where there is any. None where it has no address but loopback."""
    found: list[str] = []
    has_ipv6 = False
    for name, given in sorted(psutil.net_if_addrs().items()):
        if is_local(name) and name not in _DEFAULT_BRIDGES:
            continue
        found += [each.address for each in given if each.family == socket.AF_INET]
        has_ipv6 = has_ipv6 or any(
            each.family == socket.AF_INET6 and not each.address.startswith("fe80:")
            for each in given
        )
    if not found:
        return ()
    return (*dict.fromkeys(found), "127.0.0.1", *(("::",) if has_ipv6 else ()))


def interfaces() -> tuple[Interface, ...]:
    """Each with each of its IPv4 addresses, but for loopback."""
    found = []
    for name, given in sorted(psutil.net_if_addrs().items()):
        for address in given if name != "lo" else ():
            if address.family == socket.AF_INET and address.netmask:
                network = ipaddress.IPv4Network(f"{address.address}/{address.netmask}", False)
                with contextlib.suppress(OSError):  # gone since
                    index = socket.if_nametoindex(name)
                    found.append(Interface(name, index, address.address, network))
    return tuple(found)


def source_towards(address: str) -> str:
    """The IPv4 address of this host from which it would call that one; empty where there is no way, or it is this host itself."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        # To connect a datagram socket only looks up the route (udp(7)).
        asking.connect((address, _DISCARD))
        found = str(asking.getsockname()[0])
        return "" if ipaddress.IPv4Address(found).is_loopback else found
    return ""
