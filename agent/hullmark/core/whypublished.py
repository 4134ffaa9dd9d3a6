"""The end of the way to a service: its published ports, and what nobody here can see of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from hullmark.core import enumeration, nameless, shutin, unheard
from hullmark.core.portplaces import covers, holder_instead
from hullmark.core.serviceports import is_host_network
from hullmark.core.serviceview import reach_of
from hullmark.core.whycase import Case
from hullmark.core.whycommands import with_remedy
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.app import PortMode
from hullmark.model.host import PROXY, Listener
from hullmark.model.observed import HostProblem, HostState
from hullmark.model.records import AppRecord
from hullmark.model.services import Published, ServiceReach, Spot
from hullmark.model.why import Link, Step

PORTS = "proxy.ports"
"""Code of a host's problem: published ports that its proxy doesn't answer; the message names them."""
FIREWALL = (
    "whether a host's firewall lets clients in, and containers' calls, is not seen here; what it has to let in: "
    "hullmark ports --firewall nftables, or iptables, firewalld, ufw"
)


def published_links(case: Case, record: AppRecord, reach: ServiceReach) -> Sequence[Link]:
    of_host = is_host_network(record.app.services[reach.name.service])
    holder = "its containers themselves" if of_host else "the engine"
    return [
        link
        for published in reach.published
        for link in (
            _bound(reach, published, holder)
            if published.mode is PortMode.HOST
            else _answered(case, reach, published)
        )
    ]


def spots_of(reach: ServiceReach) -> tuple[Spot, ...]:
    """Where its TCP ports answer for clients, which are on other machines."""
    tcp = (published for published in reach.published if published.protocol == "tcp")
    spots = (spot for published in tcp for spot in published.spots)
    return tuple(spot for spot in spots if spot.address and not spot.is_local)


def hints(case: Case, record: AppRecord, reach: ServiceReach) -> tuple[str, ...]:
    """Who is shut in by its networks, or knows no names, has no way here; what is between a client and the host can't be seen from here."""
    unrouted = shutin.callers(case.shut_in(record), reach.name.service)
    unable = nameless.callers(case.nameless_callers, str(reach.name))
    found = (*unrouted, *unable, *reach.notes)
    spots = (spot for published in reach.published for spot in published.spots)
    if not reach.address and all(spot.is_local for spot in spots):
        return found
    return (*found, FIREWALL)


def unheard_notes(case: Case, record: AppRecord, service: str) -> tuple[str, ...]:
    """Of hosts that have instances and are not heard, where instances are missing."""
    reach = reach_of(case.survey, record, service)
    if not reach.unknown:
        return ()
    placed = case.survey.roster.placed(record.app.name, service)
    return tuple(unheard.notes(case.snapshot, case.survey.line(reach.name), placed))


def _bound(reach: ServiceReach, published: Published, holder: str) -> Iterator[Link]:
    """On the host of each instance."""
    port = f"{published.port or published.target}/{published.protocol}"
    for spot in published.spots:
        text = f"{port} is held by {holder}"
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
    others = {spot.host for spot in (*published.taken, *published.barred)}
    for told in published.silent:
        host, _, why = told.partition(": ")
        if host in others:
            continue
        if not _is_heard(case, host):
            text = f"{port}: whether it is answered is not known: {why}"
            yield unknown(Step.PUBLISHED, text, "hullmark hosts", host)
            continue
        yield broken(Step.PUBLISHED, f"{port} is not answered: {why}", "hullmark hosts", host)
    for spot in (*published.spots, *published.taken, *published.barred):
        yield _left_out(case, reach, spot) or _listening(case, published, spot)
    if not (published.spots or published.silent):
        text = f"{port} is answered by no host: none has a proxy and fits x-hullmark.ingress"
        yield broken(Step.PUBLISHED, text, "hullmark hosts")


def _left_out(case: Case, reach: ServiceReach, spot: Spot) -> Optional[Link]:
    """Where the host itself says that its proxy doesn't answer it, by policy or for a program."""
    taken, of_service = f"{spot.address}:{spot.port}:", f":{spot.port} of {reach.name}:"

    def is_meant(one: str) -> bool:
        """With an address before the port, or with the port alone."""
        return one.startswith(taken) or of_service in f":{one}"

    for problem in _problems(case, spot):
        mine = enumeration.part_of(problem.message, is_meant) if problem.code == PORTS else ""
        if mine:
            text = with_remedy(mine, problem.remedy)
            return broken(Step.PUBLISHED, text, f"hullmark ports --host {spot.host}", spot.host)
    return None


def _listening(case: Case, published: Published, spot: Spot) -> Link:
    port, host = f"{published.port}/{published.protocol}", spot.host
    found = _listeners(case, spot)
    holder = holder_instead(found, spot.port, spot.address)
    if holder:
        text = f"{port} belongs to {holder} of the host"
        return broken(Step.PUBLISHED, text, f"hullmark ports --host {host}", host)
    if any(one.process == PROXY for one in found):
        where = f" on {spot.address} only, for the host's own programs" if spot.is_local else ""
        return ok(Step.PUBLISHED, f"{port} is answered by the proxy{where}", host)
    text = f"{port}: the host did not tell yet that it listens; it looks every few seconds"
    if found:
        text = f"{port}: a process listens there, and the host did not tell yet whose it is"
    return unknown(Step.PUBLISHED, text, f"ss -ltnp 'sport = :{spot.port}'", host, there=True)


def _is_heard(case: Case, host: str) -> bool:
    """By its name."""
    return all(case.is_ready(host_id) for host_id in _ids(case, host))


def _ids(case: Case, host: str) -> Sequence[str]:
    """Of those with this name."""
    return [key for key, record in case.snapshot.hosts.items() if record.name == host]


def _states(case: Case, spot: Spot) -> Sequence[HostState]:
    found = _ids(case, spot.host)
    return [case.snapshot.observed[key] for key in found if key in case.snapshot.observed]


def _problems(case: Case, spot: Spot) -> Sequence[HostProblem]:
    return [problem for state in _states(case, spot) for problem in state.problems]


def _listeners(case: Case, spot: Spot) -> Sequence[Listener]:
    return [
        one
        for host_id in _ids(case, spot.host)
        for one in case.survey.listeners(host_id, spot.port)
        if covers(one, spot.address)
    ]
