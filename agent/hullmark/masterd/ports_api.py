"""The ledger of host ports, as the API has it."""

from __future__ import annotations

from hullmark.core.ports import ledger
from hullmark.errors import NotFound
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Parameter, Route
from hullmark.model.ports import PortList


async def ports(desk: Desk, call: Call) -> PortList:
    snapshot, host = desk.cluster.snapshot(), call.query["host"]
    if host and all(record.name != host for record in snapshot.hosts.values()):
        raise NotFound(f"host {host[:80]} is not enrolled", remedy="hullmark hosts lists them")
    return PortList(ledger(snapshot, host))


ROUTES = (
    Route(
        "GET",
        "/v1/ports",
        ports,
        "Host ports that are held, and by whom",
        PortList,
        query=(Parameter("host", "", "only this host, by its name"),),
    ),
)
