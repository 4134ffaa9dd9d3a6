"""The end of the way to a service: its published ports, and what nobody here can see of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from hullmark.core import shutin
from hullmark.core.serviceview import reaches
from hullmark.core.whycase import Case
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.app import EVERY_ADDRESS, PortMode
from hullmark.model.host import PROXY, Listener
from hullmark.model.observed import HostProblem, HostState
from hullmark.model.records import AppRecord
from hullmark.model.services import Published, ServiceReach, Spot
from hullmark.model.why import Link, Step

PORTS = "proxy.ports"
"""Code of a host's problem: published ports that its proxy doesn't answer; the message names them."""
FIREWALL = (
    "whether a firewall lets clients in is not seen by the hosts; what it has to let in: "
    "hullmark ports --firewall nftables, or firewalld, or ufw"
)
LISTED_BELOW = 32768
"""Hosts list what listens below the ports that the kernel gives away, usually from this one on (ip_local_port_range)."""


def published_links(case: Case, record: AppRecord, service: str) -> Sequence[Link]:
    (reach,) = reaches(case.survey, record.app.name, service)
    return [
        link
        for published in reach.published
        for link in (
            _bound(reach, published)
            if published.mode is PortMode.HOST
            else _answered(case, reach, published)
        )
    ]


def spots_of(case: Case, record: AppRecord, service: str) -> tuple[Spot, ...]:
    """Where its TCP ports answer for clients."""
    (reach,) = reaches(case.survey, record.app.name, service)
    tcp = (published for published in reach.published if published.protocol == "tcp")
    return tuple(spot for published in tcp for spot in published.spots if spot.address)


def hints(case: Case, record: AppRecord, service: str) -> tuple[str, ...]:
    """Who is shut in by its networks has no way here; what is between a client and the host can't be seen from here."""
    (reach,) = reaches(case.survey, record.app.name, service)
    shut_in = tuple(shutin.callers(case.snapshot, record.app, service))
    if not any(published.spots for published in reach.published):
        return shut_in
    return (*shut_in, FIREWALL)


def _bound(reach: ServiceReach, published: Published) -> Iterator[Link]:
    """By the engine, for each instance."""
    port = f"{published.port or published.target}/{published.protocol}"
    for spot in published.spots:
        text = f"{port} is held by the engine"
        yield ok(Step.PUBLISHED, text, spot.host)
    if not published.spots and reach.serving:
        text = f"{port} is held by no engine, although instances serve"
        yield broken(Step.PUBLISHED, text, f"hullmark ps {reach.name.app}")


def _answered(case: Case, reach: ServiceReach, published: Published) -> Iterator[Link]:
    """By proxies."""
    port = f"{published.port}/{published.protocol}"
    if case.survey.line(reach.name) is None:
        yield unknown(Step.PUBLISHED, f"{port}: which hosts are to answer it is not known yet")
        return
    for told in published.silent:
        host, _, why = told.partition(": ")
        yield broken(Step.PUBLISHED, f"{port} is not answered: {why}", "hullmark hosts", host)
    for spot in published.spots:
        yield _left_out(case, reach, spot) or _listening(case, published, spot)
    if not (published.spots or published.silent):
        text = f"{port} is answered by no host: none has a proxy and fits x-hullmark.ingress"
        yield broken(Step.PUBLISHED, text, "hullmark hosts")


def _left_out(case: Case, reach: ServiceReach, spot: Spot) -> Optional[Link]:
    """Where the host itself says that its proxy doesn't answer it, by policy or for a program."""
    named = (f"{spot.port} of {reach.name}:", f"{spot.address}:{spot.port}:")
    for problem in _problems(case, spot):
        if problem.code == PORTS and any(name in problem.message for name in named):
            return broken(Step.PUBLISHED, problem.message, problem.remedy, spot.host)
    return None


def _listening(case: Case, published: Published, spot: Spot) -> Link:
    port, host = f"{published.port}/{published.protocol}", spot.host
    found = _listeners(case, spot)
    others = [one for one in found if one.process != PROXY]
    if others:
        holder = others[0].container or others[0].process or "another process"
        text = f"{port} belongs to {holder} of the host"
        return broken(Step.PUBLISHED, text, f"hullmark ports --host {host}", host)
    if found or spot.port >= LISTED_BELOW:
        return ok(Step.PUBLISHED, f"{port} is answered by the proxy", host)
    text = f"{port}: the host did not tell yet that it listens; it looks once a minute"
    return unknown(Step.PUBLISHED, text, f"ss -ltnp 'sport = :{spot.port}'", host, there=True)


def _states(case: Case, spot: Spot) -> Sequence[HostState]:
    found = [key for key, host in case.snapshot.hosts.items() if host.name == spot.host]
    return [case.snapshot.observed[key] for key in found if key in case.snapshot.observed]


def _problems(case: Case, spot: Spot) -> Sequence[HostProblem]:
    return [problem for state in _states(case, spot) for problem in state.problems]


def _listeners(case: Case, spot: Spot) -> Sequence[Listener]:
    return [
        one
        for state in _states(case, spot)
        for one in state.facts.listeners
        if (one.port, one.protocol) == (spot.port, "tcp")
        and (one.address in EVERY_ADDRESS or one.address == spot.address)
    ]
