"""Explanations, as the API has them."""

from __future__ import annotations

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Parameter, Route
from hullmark.model.explanation import Explanation


async def explain(desk: Desk, call: Call) -> Explanation:
    return desk.cluster.explain(call.names["app"], call.query["service"])


ROUTES = (
    Route(
        "GET",
        "/v1/apps/{app}/explain",
        explain,
        "Why instances are not as they should be",
        Explanation,
        query=(Parameter("service", "", "only this service"),),
    ),
)
