"""Published ports that proxies answer: each belongs to one service on every host that answers it.

Said when an app is planned and applied, with who is in the way: another app's service, an instance whose port its engine binds, a program of the host; and with what no service may have at all (`keptports`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from hullmark.core import constraints, keptports
from hullmark.core.portclaims import NO_MASTERS, Masters, answers, masters_ports, published_ports
from hullmark.core.serviceports import TCP, by_engine, by_proxy
from hullmark.errors import Problem
from hullmark.model.app import EVERY_ADDRESS, App, Service
from hullmark.model.directory import ServiceName
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener
from hullmark.model.loopback import bare, is_loopback
from hullmark.model.names import parse_container_name
from hullmark.model.observed import NO_STATE
from hullmark.model.orders import PublishedPort
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

NAMED_MOST = 3
"""Hosts of one message."""
EVERY_HOST = "every host"
LOCAL = "127.0.0.1"
OTHER = "another published port, or x-hullmark.ingress with other hosts"
_Others = Sequence[tuple[str, Service]]
_Found = dict[tuple[int, str, str, str], dict[str, None]]
"""Hosts by port, protocol, party and what is allowed."""


def conflicts(snapshot: Snapshot, app: App, masters: Masters = NO_MASTERS) -> Iterator[Problem]:
    """One for each port and party that is in its way, with the hosts where that is so."""
    for name, service in sorted(app.services.items()):
        ports = list(published_ports(by_proxy(service.ports)))
        found: _Found = defaultdict(dict)
        for host, port, party in _in_the_way(snapshot, app, name, masters) if ports else ():
            for mine in ports:
                if _clash(mine, port):
                    found[mine.published, TCP, party, OTHER][host] = None
        taken = {(host, number) for (number, *_), hosts in found.items() for host in hosts}
        for host, port, party, allowed in _kept(snapshot, app, name, masters):
            if (host, port.published) not in taken:
                found[port.published, port.protocol, party, allowed][host] = None
        for (number, protocol, party, allowed), hosts in found.items():
            text = f"port {number}/{protocol} {party} on {listed(list(hosts))}"
            yield Problem(text, field=f"services.{name}.ports", allowed=allowed)


def _kept(
    snapshot: Snapshot, app: App, name: str, masters: Masters
) -> Iterator[tuple[str, PublishedPort, str, str]]:
    service, full = app.services[name], ServiceName(app.name, name)
    for host, port, party, allowed in keptports.kept(snapshot, masters, full, service):
        yield host.name, port, party, allowed


def _by_name(snapshot: Snapshot) -> list[HostRecord]:
    return sorted(snapshot.hosts.values(), key=lambda host: host.name)


def _in_the_way(
    snapshot: Snapshot, app: App, name: str, masters: Masters
) -> Iterator[tuple[str, PublishedPort, str]]:
    """(host, port, who has it there), on hosts that may answer the service's ports."""
    service, others = app.services[name], list(_others(snapshot, app, name))
    for host in _by_name(snapshot):
        facts = snapshot.observed.get(host.host_id, NO_STATE).facts
        if constraints.failing(service.ingress, host, facts) is not None:
            continue
        found = list(_held(snapshot, host, others, app))
        if answers(snapshot, host, service):
            found += _programs(facts, app, _of_masters(masters, host, facts))
        for port, party in found:
            yield host.name, port, party
    if not snapshot.hosts:
        for other, theirs in others:
            for port in published_ports(by_proxy(theirs.ports)):
                yield EVERY_HOST, port, f"is published by {other}"


def _others(snapshot: Snapshot, app: App, name: str) -> Iterator[tuple[str, Service]]:
    """Every other service that publishes a port through proxies; of the app itself as it is to be."""
    apps = {key: one.app for key, one in snapshot.apps.items() if not one.removing}
    apps[app.name] = app
    for owner, each in sorted(apps.items()):
        for key, service in sorted(each.services.items()):
            if (owner, key) != (app.name, name) and by_proxy(service.ports):
                yield f"{owner}/{key}", service


def _held(
    snapshot: Snapshot, host: HostRecord, others: _Others, app: App
) -> Iterator[tuple[PublishedPort, str]]:
    """Ports of the host that other services have there: through its proxy, or through the engine."""
    facts = snapshot.observed.get(host.host_id, NO_STATE).facts
    for other, service in others:
        if constraints.failing(service.ingress, host, facts) is None:
            for port in published_ports(by_proxy(service.ports)):
                yield port, f"is published by {other}"
    for item in snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS).assignments:
        if item.instance.app != app.name:
            for port in item.ports:
                yield port, f"is taken by {item.instance}"


def _clash(one: PublishedPort, other: PublishedPort) -> bool:
    if (one.published, one.protocol) != (other.published, other.protocol) or not one.published:
        return False
    same = one.host_ip == other.host_ip
    return same or one.host_ip in EVERY_ADDRESS or other.host_ip in EVERY_ADDRESS


def _of_masters(masters: Masters, host: HostRecord, facts: HostFacts) -> frozenset[int]:
    return frozenset(
        number for places in masters.values() for number in masters_ports(places, host, facts)
    )


def _programs(
    facts: HostFacts, app: App, of_masters: Collection[int]
) -> Iterator[tuple[PublishedPort, str]]:
    """What listens there else than the proxy, the app itself as it was, or a master, whose ports are kept whether it listens or not."""
    for listener in facts.listeners:
        instance = parse_container_name(listener.container)
        own = instance is not None and instance.app == app.name
        if own or listener.process == PROXY or _is_apart(listener.address):
            continue
        if listener.protocol == TCP and listener.port in of_masters and not listener.container:
            continue
        port = PublishedPort(0, listener.port, listener.protocol, listener.address)
        yield port, f"is taken by {party_of(listener)}"


def taken_from(ports: Iterable[PublishedPort], listeners: Iterable[Listener]) -> str:
    """Who listens on a port that an instance is to have; empty where nobody is seen to."""
    wanted = {(one.published, one.protocol) for one in ports}
    found = (one for one in listeners if (one.port, one.protocol) in wanted)
    told = (f"port {one.port}/{one.protocol} taken by {party_of(one)}" for one in found)
    return next(told, "")


def party_of(listener: Listener) -> str:
    if listener.container:
        return f"container {listener.container}"
    return f"process {listener.process}" if listener.process else "another process"


def _is_apart(address: str) -> bool:
    """A port that is published on every address is bound on those that others reach and on 127.0.0.1, so a resolver on 127.0.0.53 is in
    nobody's way."""
    return is_loopback(address) and str(bare(address)) != LOCAL


def held(snapshot: Snapshot) -> Mapping[str, Sequence[tuple[PublishedPort, str]]]:
    """By host's id: ports that its proxy answers, and whose they are, as far as an engine is to bind one of that number somewhere."""
    services = [
        (f"{app}/{name}", service)
        for app, record in sorted(snapshot.apps.items())
        if not record.removing
        for name, service in sorted(record.app.services.items())
        if service.ports
    ]
    ranges = {
        (port.published_first, port.published_last)
        for _, service in services
        for port in by_engine(service.ports)
        if port.published_first
    }
    found: dict[str, list[tuple[PublishedPort, str]]] = defaultdict(list)
    answering: dict[tuple[str, ...], Sequence[str]] = {}
    for whose, service in services if ranges else ():
        ports = [
            port
            for port in published_ports(by_proxy(service.ports))
            if any(first <= port.published <= last for first, last in ranges)
        ]
        if ports and service.ingress not in answering:
            answering[service.ingress] = [
                host_id
                for host_id, host in snapshot.hosts.items()
                if answers(snapshot, host, service)
            ]
        for host_id in answering[service.ingress] if ports else ():
            found[host_id] += ((port, whose) for port in ports)
    return found


def listed(hosts: Sequence[str]) -> str:
    noun = "" if hosts == [EVERY_HOST] else "host " if len(hosts) == 1 else "hosts "
    rest = f" and {len(hosts) - NAMED_MOST} more" if len(hosts) > NAMED_MOST else ""
    return noun + ", ".join(hosts[:NAMED_MOST]) + rest
