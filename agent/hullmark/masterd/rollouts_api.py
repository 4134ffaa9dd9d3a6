"""Rollouts and history, as the API has them."""

from __future__ import annotations

from functools import partial

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import AFTER, DEPLOYERS, HOLD, RECORDS, Route
from hullmark.model.rollout import HistoryList, RolloutAnswer, RolloutRequest, RolloutView


async def rollout(desk: Desk, call: Call) -> RolloutView:
    return await desk.held(call, partial(desk.cluster.rollouts.view, call.names["app"]))


async def change(desk: Desk, call: Call) -> RolloutAnswer:
    body: RolloutRequest = call.body
    asked = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.rollouts.change(call.names["app"], body, asked)


async def history(desk: Desk, call: Call) -> HistoryList:
    return await desk.cluster.rollouts.history(call.names["app"])


ROUTES = (
    Route(
        "GET",
        "/v1/apps/{app}/rollout",
        rollout,
        "How far an app's change has come",
        RolloutView,
        query=(AFTER, HOLD),
    ),
    Route(
        "POST",
        "/v1/apps/{app}/rollout",
        change,
        "Pause a change, let it go on, or go back to a former generation",
        RolloutAnswer,
        RolloutRequest,
        needs=DEPLOYERS,
    ),
    Route(
        "GET",
        "/v1/apps/{app}/history",
        history,
        "The newest generations of an app: who made each, and what it changed",
        HistoryList,
        needs=RECORDS,
    ),
)
