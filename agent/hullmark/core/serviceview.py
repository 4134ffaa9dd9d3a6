"""Services as people and load balancers see them: addresses, who serves them, and where their published ports answer."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import absence, nameless, portclaims, portrules, reaching, unheard
from hullmark.core.callees import qualified
from hullmark.core.directory import Table
from hullmark.core.directoryline import Line
from hullmark.core.portplaces import holder_instead
from hullmark.core.roster import Placed, Roster
from hullmark.core.serviceports import (
    TCP,
    by_engine,
    by_proxy,
    has_address,
    is_host_network,
    ports_of,
)
from hullmark.model.app import EVERY_ADDRESS, PortMode, PortSpec, Service
from hullmark.model.directory import ServiceName
from hullmark.model.host import NO_FACTS, HostFacts, Listener
from hullmark.model.orders import PublishedPort
from hullmark.model.records import AppRecord
from hullmark.model.services import HostShare, Published, ServiceReach, Spot
from hullmark.model.snapshot import Snapshot

NO_PROXY = "it has no proxy that is up"


@dataclass(frozen=True)
class Survey:
    """What services are seen from. `table`: the directories of all hosts, None while this leader doesn't know how all of them stand. What is asked of each
    service again is gathered once, when it is first asked, and goes with the survey."""

    snapshot: Snapshot
    table: Optional[Table]
    roster: Roster

    @classmethod
    def of(cls, snapshot: Snapshot, table: Optional[Table]) -> Survey:
        return cls(snapshot, table, Roster.of(snapshot))

    def line(self, name: ServiceName) -> Optional[Line]:
        """The service as directories have it; None for one that has no address."""
        return None if self.table is None else self.table.lines.get(name)

    def facts(self, host_id: str) -> HostFacts:
        state = self.snapshot.observed.get(host_id)
        return NO_FACTS if state is None else state.facts

    def seen(self, item: Placed) -> bool:
        return absence.is_seen(self.snapshot, item.host_id)

    def serves(self, item: Placed) -> bool:
        """As its host says now."""
        return item.status is not None and item.status.serving and self.seen(item)

    def is_unheard(self, item: Placed) -> bool:
        """Whether nobody can tell if it serves, because its host is not heard."""
        return unheard.is_unheard(self.snapshot, item)

    def serving_on(self, host_id: str, name: ServiceName) -> int:
        placed = self.roster.placed(name.app, name.service)
        return sum(item.host_id == host_id and self.serves(item) for item in placed)

    def users(self, name: ServiceName) -> Sequence[str]:
        """Services that say that they use it, in order."""
        return self._users.get(str(name), ())

    def listeners(self, host_id: str, port: int) -> Sequence[Listener]:
        """What listens there with TCP, at whichever address."""
        return self._listeners.get((host_id, port), ())

    @functools.cached_property
    def _users(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for app, record in sorted(self.snapshot.apps.items()):
            for name, service in sorted(record.app.services.items()):
                for used in {qualified(app, use) for use in service.uses}:
                    found[used].append(f"{app}/{name}")
        return dict(found)

    @functools.cached_property
    def _listeners(self) -> Mapping[tuple[str, int], Sequence[Listener]]:
        found: dict[tuple[str, int], list[Listener]] = defaultdict(list)
        for host_id, state in self.snapshot.observed.items():
            for one in state.facts.listeners:
                if one.protocol == TCP:
                    found[host_id, one.port].append(one)
        return dict(found)


def reaches(survey: Survey, app: str = "", service: str = "") -> tuple[ServiceReach, ...]:
    """Of one service, of one app, or of all, in order. What is being removed is not there any more."""
    records = (survey.snapshot.apps[name] for name in sorted(survey.snapshot.apps))
    return tuple(
        reach_of(survey, record, name)
        for record in records
        if app in ("", record.app.name) and not record.removing
        for name in sorted(record.app.services)
        if service in ("", name)
    )


def reach_of(survey: Survey, record: AppRecord, name: str) -> ServiceReach:
    """Of one service of an app that is not being removed."""
    asked, full = record.app.services[name], ServiceName(record.app.name, name)
    placed = survey.roster.placed(full.app, name)
    address = survey.snapshot.addresses.get(str(full), "")
    wanted, serving = survey.roster.wanted(record, name), sum(map(survey.serves, placed))
    missing = 0 if asked.container.one_shot else max(0, wanted - serving)
    unknown = min(_unknown(survey, record, name), missing)
    untold = unheard.notes(survey.snapshot, survey.line(full), placed) if unknown else ()
    return ServiceReach(
        full,
        address,
        "" if address else why_no_address(asked),
        ports_of(asked),
        asked.container.scope,
        asked.client_address,
        wanted,
        serving,
        tuple(_shares(survey, placed)),
        tuple(_published(survey, full, asked)),
        tuple(qualified(full.app, use) for use in asked.uses),
        tuple(survey.users(full)),
        asked.container.one_shot,
        (
            *nameless.of_service(survey.snapshot, survey.roster, record.app, name),
            *reaching.unserved(survey.snapshot, record.app, name),
            *untold,
        ),
        unknown,
    )


def _unknown(survey: Survey, record: AppRecord, name: str) -> int:
    """Slots of which nobody can tell whether one serves. A slot may have an instance of each of two generations."""
    slots = survey.roster.by_slot(record, name).values()
    return sum(
        any(map(survey.is_unheard, posts)) and not any(map(survey.serves, posts)) for posts in slots
    )


EXPOSE = "name the TCP port of its containers in its `expose`, and apply it"
"""What gives a service an address that could have one."""


def why_no_address(service: Service) -> str:
    if service.container.one_shot:
        return "it runs once and serves nobody"
    if is_host_network(service):
        return "its containers use the host's own network"
    if has_address(service):
        return "none was given yet"
    return (
        "no TCP port of it is known" if not ports_of(service) else "its containers have no network"
    )


def _shares(survey: Survey, placed: Iterable[Placed]) -> Iterator[HostShare]:
    by_host: dict[str, list[Placed]] = {}
    for item in placed:
        by_host.setdefault(item.host_id, []).append(item)
    found = [
        HostShare(
            survey.snapshot.host_name(host_id),
            len(items),
            sum(map(survey.serves, items)),
            host_state(survey.snapshot, host_id),
            sum(map(survey.is_unheard, items)),
            len(unheard.known_last(survey.snapshot, items)),
        )
        for host_id, items in by_host.items()
    ]
    yield from sorted(found)


def host_state(snapshot: Snapshot, host_id: str) -> str:
    """`ready`, `silent`, `lost`, or `never`."""
    if absence.is_awaited(snapshot, host_id):
        return "never"
    if absence.is_lost(snapshot, host_id):
        return "lost"
    return "silent" if absence.is_quiet(snapshot, host_id) else "ready"


def _published(survey: Survey, name: ServiceName, service: Service) -> Iterator[Published]:
    for spec in by_proxy(service.ports):
        yield _answering(survey, name, spec)
    bound = _own if is_host_network(service) else _bound
    for spec in by_engine(service.ports):
        spots = tuple(sorted(bound(survey, name, spec), key=_place))
        yield Published(spec.published_first, spec.target, PortMode.HOST, spec.protocol, spots)


def _answering(survey: Survey, name: ServiceName, spec: PortSpec) -> Published:
    """Where proxies answer it; and hosts whose proxy should, but doesn't."""
    spots, silent, taken, barred = [], [], [], []
    line, snapshot = survey.line(name), survey.snapshot
    host_ip = "" if spec.host_ip in EVERY_ADDRESS else spec.host_ip
    wanted = spec.published_first, host_ip, spec.target
    found = Published(spec.published_first, spec.target, known=survey.table is not None)
    if line is None:
        return found
    for host_id in sorted(line.published.keys() & snapshot.hosts.keys()):
        for entry in line.published_for(host_id):
            if (entry.port, entry.host_ip, entry.target) != wanted:
                continue
            host, facts = snapshot.host_name(host_id), survey.facts(host_id)
            if not absence.is_ready(snapshot, host_id):
                silent.append(f"{host}: {host_state(snapshot, host_id)}")
            elif not facts.proxy_version:
                silent.append(f"{host}: {NO_PROXY}")
            elif portclaims.lacks(facts, host_ip):
                silent.append(f"{host}: {host_ip} is not an address of this host")
            else:
                address = _address(entry.host_ip, facts)
                spot = Spot(host, address, entry.port, survey.serving_on(host_id, name))
                listeners = survey.listeners(host_id, entry.port)
                holder = holder_instead(listeners, entry.port, address)
                allowed = portrules.allows(
                    facts.port_rules, name.app, name.service, entry.port, "tcp", entry.host_ip
                )
                if not allowed:
                    barred.append(spot)
                    silent.append(f"{host}: its policy (ports.published) does not allow it")
                elif holder:
                    taken.append(spot)
                    silent.append(f"{host}: {holder} has port {entry.port} of {address}")
                else:
                    spots.append(spot)
    return dataclasses.replace(
        found,
        spots=tuple(sorted(spots, key=_place)),
        silent=tuple(sorted(silent)),
        taken=tuple(sorted(taken, key=_place)),
        barred=tuple(sorted(barred, key=_place)),
    )


def _bound(survey: Survey, name: ServiceName, spec: PortSpec) -> Iterator[Spot]:
    """Ports that engines hold for its instances."""
    for item in survey.roster.placed(name.app, name.service):
        if item.status is None or not survey.serves(item):
            continue
        for port in item.status.ports:
            if port.published and _is_of(port, spec):
                address = _address(port.host_ip, survey.facts(item.host_id))
                yield Spot(survey.snapshot.host_name(item.host_id), address, port.published, 1)


def _own(survey: Survey, name: ServiceName, spec: PortSpec) -> Iterator[Spot]:
    """Where its containers have the host's network, and no engine holds a port for them."""
    for item in survey.roster.placed(name.app, name.service):
        if survey.serves(item):
            address = _address(spec.host_ip, survey.facts(item.host_id))
            yield Spot(survey.snapshot.host_name(item.host_id), address, spec.target, 1)


def _is_of(port: PublishedPort, spec: PortSpec) -> bool:
    first = spec.published_first
    fits = not first or first <= port.published <= max(first, spec.published_last)
    return (port.target, port.protocol) == (spec.target, spec.protocol) and fits


def _place(spot: Spot) -> tuple[bool, str, int, str]:
    return not spot.serving, spot.host, spot.port, spot.address


def _address(host_ip: str, facts: HostFacts) -> str:
    """By which others reach the host; empty where none is known."""
    if host_ip not in EVERY_ADDRESS:
        return host_ip
    old_first = sorted(facts.addresses, key=lambda one: ":" in one)
    return facts.proxy_address or next(iter(old_first), "")
