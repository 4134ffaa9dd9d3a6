"""Who may call which service: by a network that both are on, by a declared use, or through a published port.

A service's askers are hosts, with what is behind them: a proxy knows by its own host's networks and addresses which container calls, and others
believe it, because the leader told them that something there may.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hullmark.model.app import Service
from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.records import NO_ASSIGNMENTS, AppRecord
from hullmark.model.scope import CDE, OUT
from hullmark.model.snapshot import Snapshot

PUBLISHED = ""
"""The scope of who comes through a published port: anybody may be behind it."""
_BITS: Mapping[str, int] = {PUBLISHED: 1, CDE: 2, OUT: 4}
ALL_BITS = sum(_BITS.values())
_SCOPES = tuple(
    tuple(scope for scope, bit in _BITS.items() if bits & bit) for bits in range(ALL_BITS + 1)
)

Askers = Mapping[str, int]
"""By host id the scopes of who asks there, as `scopes` reads them."""


def scope_of(service: Service) -> str:
    return CDE if service.container.scope == CDE else OUT


def scopes(bits: int) -> tuple[str, ...]:
    """As admissions have them, in order."""
    return _SCOPES[bits]


def networks_of(record: AppRecord, service: Service) -> Mapping[str, tuple[str, ...]]:
    """The app's own networks that the service is on, with its aliases there. One that is the engine's already is no network of the app's."""
    known = record.app.networks
    return {
        place.network: place.aliases
        for place in service.container.networks
        if place.network not in known or not known[place.network].external
    }


def used_by(app: str, service: Service) -> Iterator[ServiceName]:
    """What the service says that it uses."""
    for use in service.uses:
        other, _, name = use.rpartition("/")
        yield ServiceName(other or app, name)


def ordered(snapshot: Snapshot, host_id: str) -> Iterator[InstanceId]:
    """What the host has by its orders, and what it is to remove. Its own word is not asked: one that lies would be let in everywhere."""
    orders = snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
    for assignment in orders.assignments:
        yield assignment.instance
    for tombstone in orders.tombstones:
        yield tombstone.instance


def present(snapshot: Snapshot) -> Mapping[ServiceName, frozenset[str]]:
    """On which hosts there are instances of each service, or are to be."""
    found: dict[ServiceName, set[str]] = defaultdict(set)
    for host_id in snapshot.hosts:
        for instance in ordered(snapshot, host_id):
            found[ServiceName(instance.app, instance.service)].add(host_id)
    return {name: frozenset(hosts) for name, hosts in found.items()}


@dataclass(frozen=True)
class Callers:
    """Of all apps. `users`: which services said that they use one and share no network with it."""

    by_network: Mapping[tuple[str, str], Askers]
    by_use: Mapping[ServiceName, Askers]
    users: Mapping[ServiceName, tuple[ServiceName, ...]]

    def askers(
        self,
        name: ServiceName,
        networks: Mapping[str, object],
        own: Askers,
        published: Mapping[str, object],
    ) -> dict[str, int]:
        """Of one service: `own` are the hosts of its own instances, `published` those that answer a port of it."""
        found = dict.fromkeys(published, _BITS[PUBLISHED])
        groups = [own, self.by_use.get(name, {})]
        groups += [self.by_network.get((name.app, network), {}) for network in networks]
        for group in groups:
            for host_id, bits in group.items():
                found[host_id] = found.get(host_id, 0) | bits
        return found


def own_askers(service: Service, hosts: frozenset[str]) -> Askers:
    return dict.fromkeys(hosts, _BITS[scope_of(service)])


def callers(apps: Mapping[str, AppRecord], where: Mapping[ServiceName, frozenset[str]]) -> Callers:
    """`where` as `present` gives it."""
    by_network: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    by_use: dict[ServiceName, dict[str, int]] = defaultdict(dict)
    users: dict[ServiceName, list[ServiceName]] = defaultdict(list)
    for app, record in apps.items():
        for key, service in record.app.services.items():
            name = ServiceName(app, key)
            own = own_askers(service, where.get(name, frozenset()))
            networks = networks_of(record, service)
            for network in networks:
                _add(by_network[app, network], own)
            for used in used_by(app, service):
                _add(by_use[used], own)
                if not _share(record, networks, used):
                    users[used].append(name)
    return Callers(by_network, by_use, {used: tuple(sorted(set(by))) for used, by in users.items()})


def _add(found: dict[str, int], more: Askers) -> None:
    for host_id, bits in more.items():
        found[host_id] = found.get(host_id, 0) | bits


def _share(record: AppRecord, networks: Mapping[str, object], used: ServiceName) -> bool:
    """Whether a service of this app, with these networks, is on one network with the other."""
    other = record.app.services.get(used.service) if used.app == record.app.name else None
    return other is not None and bool(networks.keys() & networks_of(record, other).keys())
