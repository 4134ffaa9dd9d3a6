"""Service addresses on the loopback device."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import psutil

from hullmark.errors import Refused
from hullmark.host.iproute import ip
from hullmark.host.routes import known_networks

DEVICE = "lo"
_WHOLE = "255.255.255.255"
_NAMED_MOST = 10
_LARGEST = 16
"""As masters have it. One that says more was broken into, and would have of this host whatever it calls."""


class LoopbackAddresses:
    """Addresses of `cluster_range` (as `10.214.0.0/16`) on `lo`: each is a /32 with scope host, which no other host is told of. What isn't in the range, or
    isn't a single address, is never touched, but for what was put there before under another range. Raises Refused for a range that is none or not private, is
    too large, or holds the loopback device's own addresses."""

    def __init__(self, cluster_range: str) -> None:
        try:
            self.range = ipaddress.IPv4Network(cluster_range)
        except ValueError as error:
            raise Refused(f"not a range of service addresses: {error}") from error
        if self.range.overlaps(ipaddress.IPv4Network("127.0.0.0/8")):
            raise Refused(f"service addresses can't be of {self.range}: that is loopback's own")
        if self.range.prefixlen < _LARGEST:
            raise Refused(f"service addresses can't be of {self.range}: a /{_LARGEST} is the most")
        if self.range.is_global:
            raise Refused(f"service addresses can't be of {self.range}: that is no private network")

    def have(self, addresses: Iterable[str], former: Iterable[str] = ()) -> bool:
        """Add what is missing, remove what is in the range or in `former`, and not wanted. Whether anything changed. Raises Refused where the kernel
        takes it not, and where the host has another use for a range of which nothing is there yet."""
        wanted = {one for one in addresses if self._is_ours(one)}
        ours = set(former)
        present = {one for one in _present() if self._is_ours(one) or one in ours}
        if wanted and not any(map(self._is_ours, present)):
            self._check_free()
        commands = [
            *(
                f"address replace {one}/32 dev {DEVICE} scope host"
                for one in sorted(wanted - present)
            ),
            *(f"address delete {one}/32 dev {DEVICE}" for one in sorted(present - wanted)),
        ]
        if commands:
            _change(commands)
        return bool(commands)

    def _check_free(self) -> None:
        """Only before the first: a route that comes later must not end what works."""
        met = [str(one) for one in known_networks() if one.overlaps(self.range)]
        if met:
            more = ", ..." if len(met) > _NAMED_MOST else ""
            raise Refused(
                f"service addresses can't be of {self.range}: this host has a route to {', '.join(met[:_NAMED_MOST])}{more}",
                remedy="another services.range on every master",
            )

    def _is_ours(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self.range
        except ValueError:
            return False


def _present() -> list[str]:
    return [
        one.address
        for one in psutil.net_if_addrs().get(DEVICE, [])
        if one.family == socket.AF_INET and one.netmask == _WHOLE
    ]


def _change(commands: list[str]) -> None:
    """In one process: a thousand of them would take seconds. One that fails leaves the others done."""
    try:
        ip("-force", "-batch", "-", told="".join(f"{one}\n" for one in commands))
    except Refused as error:
        raise Refused(
            f"service addresses can't be put on {DEVICE}: {error.message}", remedy=error.remedy
        ) from error
