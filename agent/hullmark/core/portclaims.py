"""Who declares which port of a host: instances, published ports of services, the proxy, masters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core import constraints
from hullmark.core.serviceports import by_proxy, is_host_network, ports_of
from hullmark.model.app import PortSpec, Service
from hullmark.model.host import HostRecord
from hullmark.model.observed import NO_STATE, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.ports import Holder
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

Masters = Mapping[str, tuple[tuple[str, int], ...]]
"""Names of masters with the hosts and ports by which they are reached."""


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


def claims(snapshot: Snapshot, host: HostRecord, masters: Masters) -> Iterator[Claim]:
    """All of one host; the same may come more than once."""
    yield from _by_engine(snapshot, host)
    yield from _on_host_network(snapshot, host)
    yield from _published(snapshot, host)
    facts = snapshot.observed.get(host.host_id, NO_STATE).facts
    if facts.proxy_version and facts.proxy_port:
        port = PublishedPort(0, facts.proxy_port, "tcp", facts.proxy_address)
        yield Claim(Holder.PROXY, "for other hosts' proxies", port)
    here = {host.name, facts.hostname, *facts.addresses}
    for name, places in masters.items():
        for where, number in places:
            if where in here:
                yield Claim(Holder.MASTER, name, PublishedPort(0, number))


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


def _published(snapshot: Snapshot, host: HostRecord) -> Iterator[Claim]:
    for app, record in snapshot.apps.items():
        if record.removing:
            continue
        for name, service in record.app.services.items():
            specs = by_proxy(service.ports)
            if specs and answers(snapshot, host, service):
                for port in published_ports(specs):
                    yield Claim(Holder.SERVICE, f"{app}/{name}", port, app, name)


def published_ports(specs: Iterable[PortSpec]) -> Iterator[PublishedPort]:
    """Each with the port of the containers that it leads to. Of a range, which is a choice, it is the first."""
    for spec in specs:
        yield PublishedPort(spec.target, spec.published_first, spec.protocol, spec.host_ip)


def answers(snapshot: Snapshot, host: HostRecord, service: Service) -> bool:
    """Whether the host is to answer the service's published ports: it is asked for, or has a proxy where nobody says which hosts."""
    state = snapshot.observed.get(host.host_id)
    facts = None if state is None else state.facts
    if constraints.failing(service.ingress, host, facts) is not None:
        return False
    return bool(service.ingress) or (facts is not None and bool(facts.proxy_version))
