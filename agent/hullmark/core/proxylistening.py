"""Where service addresses are listened on, and who may call.

Any container on a network that a service is on may call it: the service address is listened on at that network's bridge, and at no other way into
the host. At our other bridges only the addresses of containers that may use the service get through; the rest is refused by the proxy, so that
there is a record of it. So is everybody who calls a service with which nothing on this host has to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hullmark.core import proxynames
from hullmark.model.directory import OtherEntry, ServiceEntry, ServiceName
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import ASK, MOST_REFUSING, SVC, Bind, Frontend, caller_of, key_of


@dataclass(frozen=True)
class Listening:
    """`unwatched`: ports of service addresses that refuse somebody without a record, as there would be too many sockets."""

    frontends: list[Frontend]
    callers: tuple[str, ...]
    unwatched: int


def listening(
    entries: Iterable[ServiceEntry], sight: ProxySight, others: Iterable[OtherEntry] = ()
) -> Listening:
    """Which refusing sockets there are doesn't move with what else happens on the host: they are the first by the services' names, those of services that
    this host has to do with before all others."""
    places = _Places(sight)
    frontends: list[Frontend] = []
    callers: set[str] = set()
    refusing = unwatched = 0
    for entry in sorted(entries, key=lambda one: one.name):
        home = places.home(entry)
        asking = places.asking(entry) - home
        strange = [one for one in places.interfaces if one not in home and one not in asking]
        callers.update(places.callers(entry))
        for port in sorted(set(entry.ports)):
            kept = strange[: max(0, MOST_REFUSING - refusing)]
            refusing += len(kept)
            unwatched += len(kept) < len(strange)
            backend = key_of(SVC, entry.name, port)
            for name, asks, interfaces in (
                (backend, False, home),
                (key_of(ASK, entry.name, port), True, asking.union(kept)),
            ):
                if interfaces:
                    binds = places.binds(entry.address, port, interfaces)
                    frontends.append(Frontend(name, backend, binds, asks=asks))
    for other in sorted(others):
        for port in sorted(set(other.ports)):
            kept = places.interfaces[: max(0, MOST_REFUSING - refusing)]
            refusing += len(kept)
            unwatched += len(kept) < len(places.interfaces)
            if kept:
                binds = places.binds(other.address, port, kept)
                frontends.append(Frontend(key_of(ASK, other.name, port), "", binds))
    return Listening(frontends, tuple(sorted(callers)), unwatched)


@dataclass(frozen=True, order=True)
class Call:
    """From an address of a container here to a service."""

    address: str
    name: ServiceName


def calls(entries: Iterable[ServiceEntry], sight: ProxySight) -> Iterator[Call]:
    """All that is allowed, by whichever address of a container and whichever of its networks."""
    places = _Places(sight)
    for entry in entries:
        yield from places.calls(entry)


class _Places:
    """Who and what is where on this host. An engine's network that several apps use is one bridge: whoever is on it is on the network."""

    def __init__(self, sight: ProxySight) -> None:
        sound = [one for one in sorted(sight.bridges) if _is_there(one)]
        self.interfaces = sorted({one.interface for one in sound})
        self._indexes = {one.interface: one.index for one in sound}
        self._at = {(one.app, one.network): one.interface for one in sound}
        self._on: dict[str, list[str]] = defaultdict(list)
        self._of_app: dict[str, list[Member]] = defaultdict(list)
        self._of_name: dict[ServiceName, list[Member]] = defaultdict(list)
        for member in sight.members:
            self._of_app[member.instance.app].append(member)
            self._of_name[member.name].append(member)
            for network, address in member.addresses.items():
                self._on[self._at.get((member.instance.app, network), "")].append(address)

    def home(self, entry: ServiceEntry) -> set[str]:
        places = ((entry.name.app, network) for network in entry.networks)
        return {self._at[place] for place in places if place in self._at}

    def asking(self, entry: ServiceEntry) -> set[str]:
        """Interfaces where somebody is who may call."""
        places = (
            (member.instance.app, network)
            for member in self._may_call(entry)
            for network in member.addresses
        )
        return {self._at[place] for place in places if place in self._at}

    def callers(self, entry: ServiceEntry) -> Iterator[str]:
        """Also by another of their networks: which one a container sends by is its own routing's choice."""
        for member in self._may_call(entry):
            for network, address in member.addresses.items():
                is_home = member.instance.app == entry.name.app and network in entry.networks
                if proxynames.is_ipv4(address) and not is_home:
                    yield caller_of(address, entry.name)

    def calls(self, entry: ServiceEntry) -> Iterator[Call]:
        addresses = [
            address for member in self._may_call(entry) for address in member.addresses.values()
        ]
        for interface in self.home(entry):
            addresses += self._on[interface]
        return (Call(address, entry.name) for address in addresses)

    def binds(self, address: str, port: int, interfaces: Iterable[str]) -> tuple[Bind, ...]:
        return tuple(Bind(address, port, one, self._indexes[one]) for one in sorted(interfaces))

    def _may_call(self, entry: ServiceEntry) -> Iterator[Member]:
        for member in self._of_app.get(entry.name.app, ()):
            if not entry.networks.keys().isdisjoint(member.addresses):
                yield member
        for user in entry.users:
            yield from self._of_name.get(user, ())


def _is_there(bridge: Bridge) -> bool:
    return bridge.index > 0 and proxynames.is_interface(bridge.interface)
