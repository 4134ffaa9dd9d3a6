"""Declared flows of traffic, as the API has them."""

from __future__ import annotations

import asyncio

from hullmark.core.flows import flows
from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Parameter, Route
from hullmark.model.flows import FlowList
from hullmark.model.scope import CDE, OUT


async def listed(desk: Desk, call: Call) -> FlowList:
    scope = call.query["scope"]
    if scope not in ("", CDE, OUT):
        raise InvalidInput([Problem(f"scope {scope[:40]} is none", allowed=f"{CDE} or {OUT}")])
    return FlowList(await asyncio.to_thread(flows, desk.cluster.snapshot(), scope))


ROUTES = (
    Route(
        "GET",
        "/v1/flows",
        listed,
        "Declared flows: who may call which service, why, and where it is encrypted",
        FlowList,
        query=(Parameter("scope", "", "only flows with an end in this scope, cde or out"),),
    ),
)
