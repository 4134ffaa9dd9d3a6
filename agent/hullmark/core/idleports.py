"""Published ports that no host would answer, or not all that are to: said when an app is planned and applied. It refuses nothing, as hosts, labels and addresses come and go."""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.core import portrules
from hullmark.core.portclaims import answers, lacks, published_ports
from hullmark.core.portconflicts import listed
from hullmark.core.serviceports import by_proxy
from hullmark.model.app import App
from hullmark.model.host import HostFacts
from hullmark.model.loopback import is_loopback
from hullmark.model.observed import NO_STATE
from hullmark.model.orders import PublishedPort
from hullmark.model.snapshot import Snapshot


def warnings(snapshot: Snapshot, app: App) -> Iterator[str]:
    """None while a host has not told yet what it has."""
    if not snapshot.hosts or not snapshot.hosts.keys() <= snapshot.observed.keys():
        return
    for name, service in sorted(app.services.items()):
        ports = [one for one in published_ports(by_proxy(service.ports)) if one.published]
        found = {
            host.name: facts
            for host in sorted(snapshot.hosts.values(), key=lambda host: host.name)
            for facts in [snapshot.observed.get(host.host_id, NO_STATE).facts]
            if facts.proxy_version and answers(snapshot, host, service)
        }
        if ports and not found:
            why = "has a proxy and fits x-hullmark.ingress" if service.ingress else "has a proxy"
            numbers = ", ".join(str(one.published) for one in ports)
            yield f"{app.name}/{name}: no host answers the published port {numbers}: none {why}"
            continue
        for one in ports:
            without = [host for host, facts in found.items() if lacks(facts, one.host_ip)]
            if without:
                where = f"{app.name}/{name}: {one.host_ip}:{one.published} is not answered on {listed(without)}"
                yield f"{where}: {_why(one.host_ip)}"
            barred = [
                host
                for host in found
                if host not in without and not _allows(found[host], app.name, name, one)
            ]
            if barred:
                where = f"{app.name}/{name}: the published port {one.published} is not answered on {listed(barred)}"
                yield f"{where}: policy (ports.published) does not allow it there"


def _allows(facts: HostFacts, app: str, service: str, port: PublishedPort) -> bool:
    rules = facts.port_rules
    return portrules.allows(rules, app, service, port.published, port.protocol, port.host_ip)


def _why(host_ip: str) -> str:
    """Each host has a loopback address of IPv6; no proxy listens there."""
    if is_loopback(host_ip):
        return "proxies answer on no loopback address of IPv6 (publish it on 127.0.0.1, or with mode: host)"
    return "not an address there (x-hullmark.ingress picks the hosts that are to answer)"
