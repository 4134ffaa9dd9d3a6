"""The way to a service, as the API has it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Optional

from hullmark.core.absence import is_ready
from hullmark.core.serviceview import Survey
from hullmark.core.why import Case, why
from hullmark.masterd.carrying import traffic_of
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Parameter, Route
from hullmark.model.directory import ServiceName
from hullmark.model.why import Why

SETTLES_S = 2.0
"""A host that has another directory than this leader's may be fetching it."""


async def walk(desk: Desk, call: Call) -> Why:
    """What there is not is a broken link of the answer, no error."""
    app, service, calling = call.names["app"], call.query["service"], call.query["caller"]
    caller = ServiceName(*calling.partition("/")[::2]) if calling else None
    case = _case(desk)
    hosts = _carriers(case, app, service, caller)
    traffic = await traffic_of(desk, hosts, app, service)
    await _settle(desk, hosts)
    seen = dataclasses.replace(_case(desk), traffic=traffic)
    return await asyncio.to_thread(why, seen, app, service, caller)


def _case(desk: Desk) -> Case:
    cluster = desk.cluster
    unplaced, blind_s = cluster.stuck()
    survey = Survey.of(cluster.snapshot(), cluster.directories.table)
    trouble = cluster.store_trouble
    return Case(survey, unplaced, blind_s, cluster.directories.accepted, {}, trouble)


def _carriers(case: Case, app: str, service: str, caller: Optional[ServiceName]) -> list[str]:
    """Hosts that need one of the services that are asked for, and can be asked; of a caller those where it is."""
    record = case.snapshot.apps.get(app)
    names = () if record is None else tuple(record.app.services)
    wanted = [ServiceName(app, name) for name in names if service in ("", name)]
    found = {host_id for name in wanted for host_id in case.needing(name)}
    if caller is not None:
        placed = case.survey.roster.placed(caller.app, caller.service)
        found &= {item.host_id for item in placed}
    return sorted(host_id for host_id in found if is_ready(case.snapshot, host_id))


async def _settle(desk: Desk, host_ids: list[str]) -> None:
    """Wait a moment until these hosts have accepted what this leader has for them now."""
    until = desk.clock() + SETTLES_S
    while desk.clock() < until:
        case = _case(desk)
        if all(case.accepted.get(one, "") == case.digest(one) for one in host_ids):
            return
        await desk.hold(desk.cluster.version, max(0.05, min(0.25, until - desk.clock())))


ROUTES = (
    Route(
        "GET",
        "/v1/apps/{app}/why",
        walk,
        "Why a service can't be reached: each link of the way to it",
        Why,
        query=(
            Parameter("service", "", "only this service"),
            Parameter("caller", "", "only from this one, APP/SERVICE, to the service"),
        ),
    ),
)
