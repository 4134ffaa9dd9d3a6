"""The mark, as the API has it (`model/loadline.py`)."""

from __future__ import annotations

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ADMINS, Route
from hullmark.model.loadline import (
    LoadLineAnswer,
    LoadLineRemoval,
    LoadLineRequest,
    LoadLineView,
    OverrideEnd,
    OverrideRequest,
)


async def shown_mark(desk: Desk, call: Call) -> LoadLineView:
    return desk.cluster.loadlines.view()


async def set_mark(desk: Desk, call: Call) -> LoadLineAnswer:
    body: LoadLineRequest = call.body
    return await desk.cluster.loadlines.set(body, call.change(desk, body.request_id, body.ticket))


async def clear_mark(desk: Desk, call: Call) -> LoadLineAnswer:
    body: LoadLineRemoval = call.body
    return await desk.cluster.loadlines.clear(body, call.change(desk, body.request_id, body.ticket))


async def override_mark(desk: Desk, call: Call) -> LoadLineAnswer:
    body: OverrideRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.loadlines.override(body, change)


async def end_mark_override(desk: Desk, call: Call) -> LoadLineAnswer:
    body: OverrideEnd = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.loadlines.end_override(body, change)


ROUTES = (
    Route("GET", "/v1/mark", shown_mark, "The mark, and which hosts miss it", LoadLineView),
    Route(
        "PUT",
        "/v1/mark",
        set_mark,
        "Set which controls a host has to prove before it gets new work",
        LoadLineAnswer,
        LoadLineRequest,
        needs=ADMINS,
    ),
    Route(
        "DELETE",
        "/v1/mark",
        clear_mark,
        "Clear the mark: the cluster requires no control",
        LoadLineAnswer,
        LoadLineRemoval,
        needs=ADMINS,
    ),
    Route(
        "POST",
        "/v1/mark/override",
        override_mark,
        "Let new work through that needs a control, for some time",
        LoadLineAnswer,
        OverrideRequest,
        needs=ADMINS,
    ),
    Route(
        "DELETE",
        "/v1/mark/override",
        end_mark_override,
        "End an override before its time",
        LoadLineAnswer,
        OverrideEnd,
        needs=ADMINS,
    ),
)
