"""The controls of all hosts, as the API has them."""

from __future__ import annotations

from hullmark.core.postures import host_postures
from hullmark.errors import NotFound
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Parameter, Route
from hullmark.model.postureview import PostureList


async def posture(desk: Desk, call: Call) -> PostureList:
    cluster, host = desk.cluster, call.query["host"]
    hosts = host_postures(cluster.snapshot(), cluster.hosts().hosts)
    if host:
        hosts = tuple(one for one in hosts if one.host == host)
        if not hosts:
            raise NotFound(f"host {host[:80]} is not enrolled", remedy="hullmark hosts lists them")
    return PostureList(hosts)


ROUTES = (
    Route(
        "GET",
        "/v1/posture",
        posture,
        "The controls of hosts: what each found last, and how far it is proven",
        PostureList,
        query=(Parameter("host", "", "only this host, by its name"),),
    ),
)
