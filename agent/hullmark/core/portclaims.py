"""Who declares which port of a host: instances, published ports of services, the proxy, masters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.constraints import failing
from hullmark.core.directory import proxies_of
from hullmark.core.publishing import Publishing
from hullmark.core.serviceports import is_host_network, ports_of
from hullmark.model.app import PortSpec, Service
from hullmark.model.host import HostRecord
from hullmark.model.observed import NO_STATE, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.ports import Holder
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

Masters = Mapping[str, tuple[tuple[str, int], ...]]
"""Names of masters with the hosts and ports by which they are reached."""
NO_MASTERS: Masters = {}


@dataclass(frozen=True)
class Claim:
    """A port of a host and what it belongs to. `open`: by the engine's word; None: what listens there tells. `container`: only its processes are
    what is meant."""

    kind: Holder
    holder: str
    port: PublishedPort
    app: str = ""
    service: str = ""
    open: Optional[bool] = field(default=None, compare=False)
    container: str = ""

    @property
    def declared(self) -> bool:
        return self.kind is not Holder.ORPHAN


class Claims:
    """Of all hosts of a snapshot."""

    def __init__(self, snapshot: Snapshot, masters: Masters = NO_MASTERS) -> None:
        self._snapshot = snapshot
        self._masters = masters
        self._published = Publishing(snapshot, proxies_of(snapshot)).by_service()

    def of(self, host: HostRecord) -> tuple[Claim, ...]:
        """Each once."""
        found = [*_by_engine(self._snapshot, host), *_on_host_network(self._snapshot, host)]
        found += self._by_proxy(host)
        facts = self._snapshot.observed.get(host.host_id, NO_STATE).facts
        here = {host.name, facts.hostname, *facts.addresses}
        for name, places in self._masters.items():
            for where, number in places:
                if where in here:
                    found.append(Claim(Holder.MASTER, name, PublishedPort(0, number)))
        return tuple(dict.fromkeys(found))

    def _by_proxy(self, host: HostRecord) -> Iterator[Claim]:
        for name, answers in self._published.items():
            for number, address, target in answers.get(host.host_id, ()):
                port = PublishedPort(target, number, "tcp", address)
                yield Claim(Holder.SERVICE, str(name), port, name.app, name.service)
        facts = self._snapshot.observed.get(host.host_id, NO_STATE).facts
        if facts.proxy_version and facts.proxy_port:
            port = PublishedPort(0, facts.proxy_port, "tcp", facts.proxy_address)
            yield Claim(Holder.PROXY, "for other hosts' proxies", port)


def _by_engine(snapshot: Snapshot, host: HostRecord) -> Iterator[Claim]:
    state = snapshot.observed.get(host.host_id, NO_STATE)
    orders = snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS)

    def found(
        kind: Holder, holder: str, instance: InstanceId, ordered: Iterable[PublishedPort] = ()
    ) -> Iterator[Claim]:
        name = instance.container_name
        status = state.instances.get(name) or state.orphans.get(name)
        told = () if status is None else status.ports
        for port in (*ordered, *told):
            if port.published:
                held = _held(status, port)
                yield Claim(kind, holder, port, instance.app, instance.service, held)

    for assignment in orders.assignments:
        instance = assignment.instance
        yield from found(Holder.INSTANCE, str(instance), instance, assignment.ports)
    for tombstone in orders.tombstones:
        instance = tombstone.instance
        yield from found(Holder.REMOVING, str(instance), instance, tombstone.ports)
    for name, orphan in state.orphans.items():
        yield from found(Holder.ORPHAN, name, orphan.instance)


def _held(status: Optional[InstanceStatus], port: PublishedPort) -> bool:
    """Engines hold a container's ports for as long as it is up."""
    if status is None or status.phase is not Phase.RUNNING:
        return False
    return any(
        (one.published, one.protocol) == (port.published, port.protocol) for one in status.ports
    )


def _on_host_network(snapshot: Snapshot, host: HostRecord) -> Iterator[Claim]:
    orders = snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS)
    for assignment in orders.assignments:
        instance = assignment.instance
        service = _service(snapshot, instance)
        if service is None or not is_host_network(service):
            continue
        for port in _declared(service):
            yield Claim(
                Holder.INSTANCE,
                str(instance),
                port,
                instance.app,
                instance.service,
                container=instance.container_name,
            )


def _declared(service: Service) -> Iterator[PublishedPort]:
    for number in ports_of(service):
        yield PublishedPort(number, number)
    for text in (*service.container.expose, *service.exposed):
        number_text, _, protocol = text.partition("/")
        if protocol == "udp" and number_text.isdigit():
            yield PublishedPort(int(number_text), int(number_text), "udp")
    for spec in service.ports:
        if spec.protocol != "tcp":
            yield PublishedPort(spec.target, spec.target, spec.protocol)


def _service(snapshot: Snapshot, instance: InstanceId) -> Optional[Service]:
    record = snapshot.apps.get(instance.app)
    return None if record is None else record.app.services.get(instance.service)


def published_ports(specs: Iterable[PortSpec]) -> Iterator[PublishedPort]:
    """Each with the port of the containers that it leads to. Of a range, which is a choice, it is the first."""
    for spec in specs:
        yield PublishedPort(spec.target, spec.published_first, spec.protocol, spec.host_ip)


def answers(snapshot: Snapshot, host: HostRecord, service: Service) -> bool:
    """Whether this host is to answer the service's published ports, as `Publishing.hosts` says of all hosts of apps that there are."""
    state = snapshot.observed.get(host.host_id)
    facts = None if state is None else state.facts
    if failing(service.ingress, host, facts) is not None:
        return False
    return bool(service.ingress) or (facts is not None and bool(facts.proxy_version))
