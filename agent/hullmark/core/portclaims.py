"""Who declares which port of a host: instances, published ports of services, the proxy, masters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.answering import Answering
from hullmark.core.constraints import failing
from hullmark.core.lastknown import proxies_of
from hullmark.core.serviceports import is_host_network, ports_of
from hullmark.model.app import EVERY_ADDRESS, PortSpec, Service
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.loopback import is_loopback
from hullmark.model.observed import NO_STATE, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.ports import Holder
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

Places = tuple[tuple[str, int], ...]
Masters = Mapping[str, Places]
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
        self._published = Answering(snapshot, proxies_of(snapshot)).by_service()

    def of(self, host: HostRecord) -> tuple[Claim, ...]:
        """Each once."""
        found = [*_by_engine(self._snapshot, host), *_on_host_network(self._snapshot, host)]
        found += self._by_proxy(host)
        facts = self._snapshot.observed.get(host.host_id, NO_STATE).facts
        for name, places in self._masters.items():
            for number in masters_ports(places, host, facts):
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
        service = _service(snapshot, instance)
        if service is None or not is_host_network(service):
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
    """Whether this host is to answer the service's published ports, as `Answering.hosts` says of all hosts of apps that there are."""
    state = snapshot.observed.get(host.host_id)
    facts = None if state is None else state.facts
    if failing(service.ingress, host, facts) is not None:
        return False
    return bool(service.ingress) or (facts is not None and bool(facts.proxy_version))


def masters_ports(places: Places, host: HostRecord, facts: HostFacts) -> tuple[int, ...]:
    """Of a master that is reached at these places: its ports on this host. One that is reached on loopback only has hosts on its own machine only, so
    it is on each of them; where it has another address as well, that tells where it is."""
    here = {host.name, facts.hostname, *facts.addresses}
    elsewhere = {where for where, _ in places if not is_loopback(where)}
    runs_here = bool(elsewhere & here) or not elsewhere
    return tuple(
        number for where, number in places if where in here or (runs_here and is_loopback(where))
    )


def lacks(facts: HostFacts, host_ip: str) -> bool:
    """Whether the host is known not to have this address, so that its proxy can't listen there. Every host has those of 127.0.0.0/8."""
    if host_ip in EVERY_ADDRESS or host_ip.startswith("127."):
        return False
    return bool(facts.addresses) and host_ip not in facts.addresses
