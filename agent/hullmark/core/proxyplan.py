"""What a host's proxy is to do, from what the leader and the agent know."""

from __future__ import annotations

from hullmark.core import proxyadmitting, proxylistening, proxynames, proxypublished, proxyservers
from hullmark.model.directory import Directory, ServiceEntry, ServiceName
from hullmark.model.proxy import ProxySight
from hullmark.model.proxyplan import OWN_KINDS, Backend, Bind, ProxyPlan, key_of


def plan(sight: ProxySight) -> ProxyPlan:
    """The same sight gives the same plan, whatever the order of what is in it. What can't be written safely (a name or an
    address that is none, a service address that is not of the range and so could be this host's or anybody's) is left out."""
    directory = sight.directory
    is_service = proxynames.within(directory.range)
    entries = {
        one.name: one
        for one in directory.services
        if proxynames.is_sound(one) and is_service(one.address)
    }
    tls = _tls(sight)
    others = [
        one
        for one in directory.others
        if proxynames.is_sound(one) and is_service(one.address) and one.name not in entries
    ]
    listening = proxylistening.listening(entries.values(), sight, others)
    published = proxypublished.frontends(sight, entries, tls)
    frontends = listening.frontends + published.frontends
    ports = _ports(entries, directory)
    admitted = proxyadmitting.admitted(sight) if tls else ()
    offered = proxyadmitting.offered(sight, admitted, ports) if tls else set()
    source = proxyservers.Source(sight, entries, has_tls=bool(tls))
    backends = {(one.backend, one.http) for one in frontends if one.backend}
    backends |= {(key_of(kind, *port), False) for port in offered for kind in OWN_KINDS}
    return ProxyPlan(
        host_id=sight.host_id if proxynames.is_host_id(sight.host_id) else "",
        certificate=sight.certificate if tls else "",
        tls=tls,
        frontends=tuple(sorted(frontends)),
        backends=tuple(
            Backend(name, source.servers(name), http) for name, http in sorted(backends)
        ),
        peers=source.peers,
        hosts=_hosts(sight) if tls else (),
        admissions=proxyadmitting.table(sight.host_id, admitted, ports),
        callers=listening.callers,
        range=directory.range,
        addresses=tuple(sorted(filter(is_service, set(directory.addresses)))),
        left_out=published.left_out,
        unwatched=listening.unwatched,
    )


def _tls(sight: ProxySight) -> tuple[Bind, ...]:
    """None without a certificate: a proxy that can't prove who it is neither asks nor answers others."""
    sound = proxynames.is_host_id(sight.host_id) and proxynames.is_address(sight.tls_address)
    if not (sound and proxynames.is_port(sight.tls_port) and sight.certificate):
        return ()
    return (Bind(sight.tls_address, sight.tls_port),)


def _hosts(sight: ProxySight) -> tuple[str, ...]:
    """Those too whose proxies aren't up as far as is known: one that is again looks at this one before the leader has told so."""
    told = sight.directory
    known = {*told.unproxied, *(one.host_id for one in told.peers)} - {sight.host_id}
    return tuple(sorted(filter(proxynames.is_host_id, known)))


def _ports(
    entries: dict[ServiceName, ServiceEntry], directory: Directory
) -> dict[ServiceName, tuple[int, ...]]:
    """All that a service may be reached on: also what is only published."""
    found = {name: set(entry.ports) for name, entry in entries.items()}
    for one in directory.published:
        if one.name in found and proxynames.is_port(one.target):
            found[one.name].add(one.target)
    return {name: tuple(sorted(ports)) for name, ports in found.items()}
