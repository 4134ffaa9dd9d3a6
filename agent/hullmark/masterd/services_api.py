"""Services as people and load balancers ask for them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping

from hullmark.core.absence import is_ready
from hullmark.core.serviceview import NO_PROXY, Survey, host_state, reaches
from hullmark.errors import NotFound
from hullmark.masterd.carrying import traffic_of
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Login, Parameter, Route
from hullmark.model.directory import ServiceName
from hullmark.model.proxy import Down, PortTraffic, Traffic
from hullmark.model.services import (
    ENDPOINTS_PATH,
    EndpointsAnswer,
    EndpointsRequest,
    HostTraffic,
    ServiceList,
    ServiceReach,
)
from hullmark.model.snapshot import Snapshot
from hullmark.model.wire import digest, to_wire

NO_ANSWER = "its agent did not answer in time"


async def services(desk: Desk, call: Call) -> ServiceList:
    """Raises NotFound for an app, or a service of it, that there isn't."""
    app, service = call.query["app"], call.query["service"]
    survey = await _survey(desk)
    found = await asyncio.to_thread(reaches, survey, app, service)
    if app and not found:
        what = f"service {service[:80]} in app {app[:80]}" if service else f"app {app[:80]}"
        raise NotFound(f"there is no {what}", remedy="hullmark services lists all")
    if not call.query["traffic"]:
        return ServiceList(found)
    asked, silent = await asyncio.to_thread(carriers, survey, found)
    told = await traffic_of(desk, asked, app, service)
    traffic, unheard = _told(survey.snapshot, asked, told)
    return ServiceList(found, True, traffic, tuple(sorted((*silent, *unheard))))


async def _survey(desk: Desk) -> Survey:
    """Of this moment. With many services each look at all of them takes a while, in which the master has to answer others."""
    snapshot, table = desk.cluster.snapshot(), desk.cluster.directories.table
    return await asyncio.to_thread(Survey.of, snapshot, table)


def carriers(survey: Survey, found: Iterable[ServiceReach]) -> tuple[list[str], list[str]]:
    """The hosts whose proxies carry these services, or refuse them; and those that can't be asked, with why. That a host has no proxy is of no concern
    where nothing has to do with them."""
    snapshot, asked, silent = survey.snapshot, [], []
    concerned = {key for reach in found for key in _askers(survey, reach.name)}
    for host_id in sorted(concerned | _refusing(survey, found)):
        host = snapshot.host_name(host_id)
        if not is_ready(snapshot, host_id):
            silent.append(f"{host}: {host_state(snapshot, host_id)}")
        elif survey.facts(host_id).proxy_version:
            asked.append(host_id)
        else:
            silent.append(f"{host}: {NO_PROXY}")
    return asked, silent


def _refusing(survey: Survey, found: Iterable[ServiceReach]) -> set[str]:
    """All that were told of one of these services, be it that they have nothing to do with it."""
    lines = (survey.line(reach.name) for reach in found)
    if survey.table is None or not any(line is not None and line.other for line in lines):
        return set()
    return set(survey.table.proxied & survey.snapshot.hosts.keys())


def _askers(survey: Survey, name: ServiceName) -> Iterable[str]:
    line = survey.line(name)
    return () if line is None else line.askers.keys() & survey.snapshot.hosts.keys()


def _told(
    snapshot: Snapshot, asked: Iterable[str], told: Mapping[str, Traffic]
) -> tuple[tuple[HostTraffic, ...], list[str]]:
    traffic, silent = [], []
    for host_id in asked:
        host, answer = snapshot.host_name(host_id), told.get(host_id)
        if answer is None or answer.why:
            silent.append(f"{host}: {NO_ANSWER if answer is None else answer.why}")
        else:
            ports = tuple(_named(snapshot, port) for port in answer.ports)
            traffic.append(HostTraffic(host, ports, answer.strangers))
    return tuple(sorted(traffic, key=lambda one: one.host)), silent


def _named(snapshot: Snapshot, port: PortTraffic) -> PortTraffic:
    """With the names of hosts, not their ids."""
    down = tuple(Down(snapshot.host_name(one.member), one.why) for one in port.down)
    return dataclasses.replace(port, down=down)


async def endpoints(desk: Desk, call: Call) -> EndpointsAnswer:
    """Nothing, until this leader knows how all hosts stand: a new term must not empty anybody's files."""
    body: EndpointsRequest = call.body
    record, survey = desk.cluster.leader_record, await _survey(desk)
    if survey.table is None:
        return EndpointsAnswer(record.epoch, record.leader)
    found, known = await asyncio.to_thread(_answering, survey)
    if known == body.digest:
        return EndpointsAnswer(record.epoch, record.leader, ready=True, same=True, digest=known)
    return EndpointsAnswer(record.epoch, record.leader, True, False, known, found)


def _answering(survey: Survey) -> tuple[tuple[ServiceReach, ...], str]:
    """All services, with the digest of that."""
    found = reaches(survey)
    return found, digest([to_wire(one) for one in found])


ROUTES = (
    Route(
        "GET",
        "/v1/services",
        services,
        "Services: addresses, who serves and answers, what was carried",
        ServiceList,
        query=(
            Parameter("app", "", "only this app"),
            Parameter("service", "", "only this service of it"),
            Parameter("traffic", False, "ask hosts what their proxies carried, for at most 3 s"),
        ),
    ),
)

AGENTS = (
    Route(
        "POST",
        ENDPOINTS_PATH,
        endpoints,
        "Where published ports answer, for a host's load balancer",
        EndpointsAnswer,
        EndpointsRequest,
        login=Login.HOST,
        sync=True,
    ),
)
