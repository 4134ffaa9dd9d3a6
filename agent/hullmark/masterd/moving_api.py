"""Moving slots, as the API has it."""

from __future__ import annotations

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ADMINS, DEPLOYERS, Route
from hullmark.model.move import MoveAnswer, MoveRequest


async def move(desk: Desk, call: Call) -> MoveAnswer:
    body: MoveRequest = call.body
    if body.accept_data_loss:
        call.must_be(ADMINS, "giving up data")
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.moving.move(call.names["app"], body, change)


ROUTES = (
    Route(
        "POST",
        "/v1/apps/{app}/move",
        move,
        "Move slots to other hosts, whatever becomes of their data",
        MoveAnswer,
        MoveRequest,
        needs=DEPLOYERS,
    ),
)
