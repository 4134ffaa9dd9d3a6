"""Ports of a host that no deployer may publish there, whether or not their owner listens just now: one that is only being started again would find its
port taken, and nobody would reach the host, its master or its proxy any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.core import constraints, portrules
from hullmark.core.answering import unless_told
from hullmark.core.lastknown import proxies_of
from hullmark.core.portclaims import Masters, answers, masters_ports, published_ports
from hullmark.core.serviceports import TCP, by_engine, by_proxy
from hullmark.model.app import PortSpec, Service
from hullmark.model.directory import ServiceName
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import NO_STATE
from hullmark.model.orders import PublishedPort
from hullmark.model.snapshot import Snapshot

SYSTEM: Mapping[tuple[int, str], str] = {(22, TCP): "ssh"}
"""What people reach a host by. Its policy may give such a port away: `ports.published` has to name it."""
OTHER = "another published port, or other hosts"


def kept(
    snapshot: Snapshot, masters: Masters, name: ServiceName, service: Service
) -> Iterator[tuple[HostRecord, PublishedPort, str, str]]:
    """Those of the service's published ports that are kept on a host, with for whom, and what is allowed. Hosts come by their names."""
    is_open = bool(service.ports) and not service.ingress
    asked = unless_told(snapshot, proxies_of(snapshot)) if is_open else ()
    for host in (
        sorted(snapshot.hosts.values(), key=lambda host: host.name) if service.ports else ()
    ):
        facts = snapshot.observed.get(host.host_id, NO_STATE).facts
        may_answer = host.host_id in asked or answers(snapshot, host, service)
        for port in _published(facts, host, service, may_answer):
            own = _own(facts, masters, host, port)
            system = SYSTEM.get((port.published, port.protocol), "")
            if own:
                yield host, port, own, OTHER
            elif system and not portrules.names(facts.port_rules, name, port):
                allowed = (
                    f"{OTHER}, such as those whose policy names {port.published} in ports.published"
                )
                yield host, port, f"is kept for {system}", allowed


def _published(
    facts: HostFacts, host: HostRecord, service: Service, may_answer: bool
) -> Iterator[PublishedPort]:
    """On this host, if it may come to that: of a range that the engine chooses from, each."""
    if may_answer:
        yield from published_ports(by_proxy(service.ports))
    if constraints.failing(service.deploy.placement.constraints, host, facts) is None:
        for spec in by_engine(service.ports):
            yield from _each(spec)


def _each(spec: PortSpec) -> Iterator[PublishedPort]:
    first, last = spec.published_first, max(spec.published_first, spec.published_last)
    for number in range(first, last + 1) if first else ():
        yield PublishedPort(spec.target, number, spec.protocol, spec.host_ip)


def _own(facts: HostFacts, masters: Masters, host: HostRecord, port: PublishedPort) -> str:
    """What of Hullmark's own has it there."""
    if port.protocol != TCP:
        return ""
    for master, places in sorted(masters.items()):
        if port.published in masters_ports(places, host, facts):
            return f"is master {master}'s"
    is_proxys = port.published == facts.proxy_port
    return "is the proxy's own, for other hosts," if is_proxys else ""
