"""What operators say of hosts, as the API has it."""

from __future__ import annotations

from functools import partial

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import AFTER, HOLD, Route
from hullmark.model.hostlife import (
    AvailabilityRequest,
    HostChange,
    HostChanges,
    HostDetail,
    LabelsRequest,
    MaintenanceEndRequest,
    MaintenanceRequest,
    RemovedHost,
    RemoveHostRequest,
)


async def host(desk: Desk, call: Call) -> HostDetail:
    return await desk.held(call, partial(desk.cluster.host_detail, call.names["host"]))


async def set_labels(desk: Desk, call: Call) -> HostChange:
    body: LabelsRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.hostlife.set_labels(call.names["host"], body, change)


async def remove_host(desk: Desk, call: Call) -> RemovedHost:
    body: RemoveHostRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.hostlife.remove(call.names["host"], body, change)


async def set_availability(desk: Desk, call: Call) -> HostChanges:
    body: AvailabilityRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.hostlife.set_availability(body, change)


async def start_maintenance(desk: Desk, call: Call) -> HostChanges:
    body: MaintenanceRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.hostlife.start_maintenance(body, change)


async def end_maintenance(desk: Desk, call: Call) -> HostChanges:
    body: MaintenanceEndRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.hostlife.end_maintenance(body, change)


ROUTES = (
    Route(
        "GET",
        "/v1/hosts/{host}",
        host,
        "One host with its instances, and how far a drain of it is",
        HostDetail,
        query=(AFTER, HOLD),
    ),
    Route(
        "POST",
        "/v1/hosts/{host}/labels",
        set_labels,
        "Set and remove a host's labels",
        HostChange,
        LabelsRequest,
    ),
    Route(
        "DELETE",
        "/v1/hosts/{host}",
        remove_host,
        "Remove a host from the cluster, and withdraw its invites",
        RemovedHost,
        RemoveHostRequest,
    ),
    Route(
        "POST",
        "/v1/availability",
        set_availability,
        "Cordon hosts, drain them, or use them again",
        HostChanges,
        AvailabilityRequest,
    ),
    Route(
        "POST",
        "/v1/maintenance",
        start_maintenance,
        "Start maintenance of hosts: their silence is expected",
        HostChanges,
        MaintenanceRequest,
    ),
    Route(
        "DELETE",
        "/v1/maintenance",
        end_maintenance,
        "End maintenance of hosts",
        HostChanges,
        MaintenanceEndRequest,
    ),
)
