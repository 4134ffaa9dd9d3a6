"""Service addresses: which service has which address of the range.

A service keeps its address for as long as its app has it. One that was given up is given to another service only when no other is
free, the one that has been free for longest first: whoever still holds it, in a cache or a log, is not soon led to something else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hullmark.model.records import NO_ADDRESSES, ServiceAddresses


@dataclass(frozen=True)
class Allotted:
    """`without` are services for which no address is left."""

    record: ServiceAddresses
    without: tuple[str, ...] = ()


def allot(record: ServiceAddresses, range_: str, wanted: Iterable[str]) -> Allotted:
    """Addresses for just these services (`APP/SERVICE`); the record itself where nothing differs. With another range than the
    record's every service gets one of that range, but for those whose address is in both."""
    names = sorted(set(wanted))
    start = record if record.range == range_ else _moved(record, range_)
    kept = {name: start.given[name] for name in names if name in start.given}
    gone = [address for name, address in sorted(start.given.items()) if name not in kept]
    released = [*start.released, *gone]
    pool = _Pool(range_, start.fresh, released, {*kept.values(), *released})
    without = []
    for name in names:
        if name in kept:
            continue
        address = pool.take()
        if address:
            kept[name] = address
        else:
            without.append(name)
    made = ServiceAddresses(range_, kept, pool.fresh, tuple(pool.released))
    return Allotted(record if made == record else made, tuple(without))


def room(range_: str) -> int:
    """How many services can have an address: all but a network's first and last one."""
    return ipaddress.IPv4Network(range_).num_addresses - 2


class _Pool:
    """What is free: first what no service ever had, from the `fresh`th address of the range on, then what was released."""

    def __init__(self, range_: str, fresh: int, released: list[str], taken: set[str]) -> None:
        self._network = ipaddress.IPv4Network(range_)
        self._room = room(range_)
        self.fresh = fresh
        self.released = released
        self._taken = taken

    def take(self) -> str:
        """Empty where none is left."""
        while self.fresh < self._room:
            self.fresh += 1
            address = str(self._network[self.fresh])
            if address not in self._taken:
                return address
        return self.released.pop(0) if self.released else ""


def _moved(record: ServiceAddresses, range_: str) -> ServiceAddresses:
    """Begun anew in another range. What was released is not remembered: it may not be in there."""
    if record == NO_ADDRESSES:
        return ServiceAddresses(range_)
    network = ipaddress.IPv4Network(range_)
    ends = (network[0], network[-1])
    given = {
        name: address
        for name, address in record.given.items()
        if ipaddress.IPv4Address(address) in network and ipaddress.IPv4Address(address) not in ends
    }
    return ServiceAddresses(range_, given)


def overlapping(range_: str, networks: Iterable[str]) -> Iterator[str]:
    """Those of the networks (CIDR notation) that have addresses of the range. What is no IPv4 network is passed over."""
    mine = ipaddress.IPv4Network(range_)
    for text in networks:
        try:
            other = ipaddress.IPv4Network(text, strict=False)
        except ValueError:
            continue
        if mine.overlaps(other):
            yield text
