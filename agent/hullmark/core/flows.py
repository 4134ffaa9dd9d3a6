"""The declared flows, from apps, where they run, and which hosts answer published ports."""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.core.answering import Answering
from hullmark.core.askers import (
    callers,
    networks_of,
    own_askers,
    present,
    scope_of,
    scopes,
    used_by,
)
from hullmark.core.lastknown import proxies_of
from hullmark.core.serviceports import by_engine, has_address, is_host_network, ports_of
from hullmark.core.servicescopes import refusal
from hullmark.model.app import Service
from hullmark.model.directory import ServiceName
from hullmark.model.flows import Encrypted, Flow, FlowKind
from hullmark.model.loopback import is_loopback
from hullmark.model.observed import NO_STATE
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot


def flows(snapshot: Snapshot, scope: str = "") -> tuple[Flow, ...]:
    """All, or those with an end in the scope; in order of services, callers from outside first."""
    found = _Flows(snapshot).all()
    kept = (one for one in found if not scope or scope in (one.caller_scope, one.scope))
    return tuple(sorted(kept, key=_place))


def _place(flow: Flow) -> tuple[object, ...]:
    where = flow.protocol, flow.published, flow.local, flow.ports
    return flow.service, flow.caller, flow.kind.value, *where


class _Flows:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._apps = {name: record for name, record in snapshot.apps.items() if not record.removing}
        self._where = present(snapshot)
        self._published = Answering(snapshot, proxies_of(snapshot)).by_service()
        self._callers = callers(self._apps, self._where)
        self._users: dict[ServiceName, list[ServiceName]] = {}
        for app, record in self._apps.items():
            for key, service in record.app.services.items():
                for used in set(used_by(app, service)):
                    self._users.setdefault(used, []).append(ServiceName(app, key))

    def all(self) -> Iterator[Flow]:
        for app, record in self._apps.items():
            for key, service in record.app.services.items():
                name = ServiceName(app, key)
                yield from self._from_outside(name, service)
                if has_address(service):
                    yield from self._by_use(name, service)
                    yield from self._by_network(name, record, service)

    def _by_use(self, name: ServiceName, service: Service) -> Iterator[Flow]:
        for user in self._users.get(name, ()):
            yield self._between(FlowKind.USES, user, name, service)

    def _by_network(self, name: ServiceName, record: AppRecord, service: Service) -> Iterator[Flow]:
        own = networks_of(record, service)
        for key, other in record.app.services.items():
            caller = ServiceName(name.app, key)
            shared = tuple(sorted(own.keys() & networks_of(record, other).keys()))
            if caller != name and shared and caller not in self._users.get(name, ()):
                yield self._between(FlowKind.NETWORK, caller, name, service, shared)

    def _between(
        self,
        kind: FlowKind,
        caller: ServiceName,
        name: ServiceName,
        service: Service,
        networks: tuple[str, ...] = (),
    ) -> Flow:
        calling = self._apps[caller.app].app.services[caller.service]
        there, here = self._hosts(caller), self._hosts(name)
        return Flow(
            kind,
            str(caller),
            scope_of(calling),
            str(name),
            scope_of(service),
            ports_of(service),
            networks=networks,
            caller_hosts=self._names(there),
            service_hosts=self._names(here),
            across_hosts=_crosses(there, here),
            encrypted=_encrypted(there, here),
            refused_by=self._refusing(name, there),
        )

    def _from_outside(self, name: ServiceName, service: Service) -> Iterator[Flow]:
        here = self._hosts(name)
        answers = self._published.get(name, {})
        ways: dict[tuple[int, bool], set[tuple[int, str]]] = {}
        for host_id, specs in answers.items():
            for port, host_ip, target in specs:
                ways.setdefault((port, is_loopback(host_ip)), set()).add((target, host_id))
        for (port, local), found in sorted(ways.items()):
            there = frozenset(host_id for _, host_id in found)
            crosses = _crosses(there, here)
            yield Flow(
                FlowKind.PUBLISHED,
                "",
                "",
                str(name),
                scope_of(service),
                tuple(sorted({target for target, _ in found})),
                published=(port,),
                caller_hosts=self._names(there),
                service_hosts=self._names(here),
                across_hosts=crosses,
                encrypted=Encrypted.BETWEEN_HOSTS if crosses else Encrypted.NO,
                refused_by=self._refusing(name, there),
                local=local,
            )
        for protocol, port, target, local in _of_hosts(service):
            yield Flow(
                FlowKind.HOST,
                "",
                "",
                str(name),
                scope_of(service),
                (target,),
                protocol,
                (port,) if port else (),
                caller_hosts=self._names(here),
                service_hosts=self._names(here),
                encrypted=Encrypted.NO,
                local=local,
            )

    def _refusing(self, name: ServiceName, there: frozenset[str]) -> tuple[str, ...]:
        """Hosts of the service that turn away some of these, with what each asks as: where a host has several askers, one that is allowed is enough."""
        record, here = self._apps[name.app], self._hosts(name)
        service, found = record.app.services[name.service], []
        own = own_askers(service, here)
        published = self._published.get(name, {})
        asking = self._callers.askers(name, networks_of(record, service), own, published)
        for host_id in here:
            rules = self._snapshot.observed.get(host_id, NO_STATE).facts.caller_rules
            for other in there - {host_id} if rules else ():
                rule = refusal(rules, name.app, name.service, scopes(asking.get(other, 0)))
                if rule is not None:
                    place = f" ({rule.place})" if rule.place else ""
                    found.append(f"{self._snapshot.host_name(host_id)}{place}")
                    break
        return tuple(sorted(found))

    def _hosts(self, name: ServiceName) -> frozenset[str]:
        return self._where.get(name, frozenset())

    def _names(self, host_ids: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(self._snapshot.host_name(host_id) for host_id in host_ids))


def _of_hosts(service: Service) -> list[tuple[str, int, int, bool]]:
    """Protocol, port of the host (0: the engine chooses one) and of the container, and whether it is on loopback alone. Of a range the first."""
    if is_host_network(service):
        found = {("tcp", port, port, False) for port in ports_of(service)}
        udp = (one for one in service.ports if one.protocol != "tcp")
        return sorted(found | {(one.protocol, one.target, one.target, False) for one in udp})
    return sorted(
        {
            (one.protocol, one.published_first, one.target, is_loopback(one.host_ip))
            for one in by_engine(service.ports)
        }
    )


def _crosses(there: frozenset[str], here: frozenset[str]) -> bool:
    """Whether some of it goes from one host to another."""
    return bool(there) and bool(here) and len(there | here) > 1


def _encrypted(there: frozenset[str], here: frozenset[str]) -> Encrypted:
    if not there or not here:
        return Encrypted.UNKNOWN
    if not _crosses(there, here):
        return Encrypted.NO
    return Encrypted.BETWEEN_HOSTS if there & here else Encrypted.YES
