"""Where service addresses are listened on, and who may call.

Any container on a network that a service is on may call it: the service address is listened on at that network's bridge, and at no other way into
the host. At our other bridges only the addresses of containers that may use the service get through; the rest is refused by the proxy, so that
there is a record of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hullmark.core import proxynames
from hullmark.model.directory import ServiceEntry
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import ASK, MOST_REFUSING, SVC, Bind, Frontend, caller_of, key_of


@dataclass(frozen=True)
class Refusing:
    """Sockets that nobody may use: `kept` are within the bound."""

    kept: frozenset[Bind]
    unwatched: int


def frontends(
    entries: Iterable[ServiceEntry], sight: ProxySight, refusing: frozenset[Bind]
) -> list[Frontend]:
    found = []
    for entry in entries:
        home, others, asking = _bridges(entry, sight)
        for port in sorted(set(entry.ports)):
            backend = key_of(SVC, entry.name, port)
            binds = _binds(entry, port, home)
            asked = [
                bind
                for bridge, bind in zip(others, _binds(entry, port, others))
                if bridge.interface in asking or bind in refusing
            ]
            if binds:
                found.append(Frontend(backend, backend, tuple(binds)))
            if asked:
                name = key_of(ASK, entry.name, port)
                found.append(Frontend(name, backend, tuple(asked), asks=True))
    return found


def refusing(entries: Iterable[ServiceEntry], sight: ProxySight) -> Refusing:
    """The first of them by name of the service: which those are doesn't move with what else happens on the host."""
    found = [
        bind
        for entry in sorted(entries, key=lambda one: one.name)
        for bridges in [_bridges(entry, sight)]
        for port in sorted(set(entry.ports))
        for bind in _binds(
            entry, port, [one for one in bridges[1] if one.interface not in bridges[2]]
        )
    ]
    return Refusing(frozenset(found[:MOST_REFUSING]), max(0, len(found) - MOST_REFUSING))


def callers(entries: Iterable[ServiceEntry], sight: ProxySight) -> tuple[str, ...]:
    found = {
        caller_of(address, entry.name)
        for entry in entries
        for member in sight.members
        if _may_call(member, entry)
        for network, address in member.addresses.items()
        if proxynames.is_ipv4(address) and not _is_home(entry, member.instance.app, network)
    }
    return tuple(sorted(found))


def _bridges(
    entry: ServiceEntry, sight: ProxySight
) -> tuple[list[Bridge], list[Bridge], frozenset[str]]:
    """Those of the service's networks, all others of ours, and the names of interfaces among the latter where somebody is who may
    call. An engine's network that several apps use is one bridge: whoever is on it is on the service's network."""
    sound = sorted(
        one for one in sight.bridges if proxynames.is_interface(one.interface) and one.index > 0
    )
    home = {one.interface: one for one in sound if _is_home(entry, one.app, one.network)}
    others = {one.interface: one for one in sound if one.interface not in home}
    places = {
        (member.instance.app, network)
        for member in sight.members
        if _may_call(member, entry)
        for network in member.addresses
    }
    asking = frozenset(one.interface for one in sound if (one.app, one.network) in places)
    return (
        sorted(home.values(), key=_by_interface),
        sorted(others.values(), key=_by_interface),
        asking,
    )


def _by_interface(bridge: Bridge) -> str:
    return bridge.interface


def _binds(entry: ServiceEntry, port: int, bridges: Iterable[Bridge]) -> list[Bind]:
    return [Bind(entry.address, port, one.interface, one.index) for one in bridges]


def _is_home(entry: ServiceEntry, app: str, network: str) -> bool:
    return app == entry.name.app and network in entry.networks


def _may_call(member: Member, entry: ServiceEntry) -> bool:
    """Also by another of its networks: which one a container sends by is its own routing's choice."""
    app = member.instance.app
    shares = any(_is_home(entry, app, network) for network in member.addresses)
    return shares or member.name in entry.users
