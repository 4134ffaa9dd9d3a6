"""Saving a snapshot, as the API has it: the answer is the file itself, sent as it is made."""

from __future__ import annotations

from aiohttp import web

from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ADMINS, Route


async def save(desk: Desk, call: Call) -> web.StreamResponse:
    saved = await desk.cluster.snapshots.take(desk.authority, call.change(desk))
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    whole = False
    try:
        await response.prepare(call.request)
        for piece in saved.pieces:
            await response.write(piece)
        await response.write_eof()
        whole = True
    finally:
        if not whole:
            call.hang_up()
    return response


ROUTES = (
    Route(
        "GET",
        "/v1/snapshot",
        save,
        "All that the cluster's store holds at one revision, signed: values of apps' environments too",
        lines=True,
        needs=ADMINS,
        told=True,
    ),
)
