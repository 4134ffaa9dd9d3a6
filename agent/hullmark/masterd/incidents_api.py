"""Incidents, as the API has them (`model/incidentapi.py`)."""

from __future__ import annotations

from hullmark.errors import Forbidden, InvalidInput
from hullmark.masterd.changegate import asker_of
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.repeats import id_problems
from hullmark.masterd.route import AFTER, DEPLOYERS, HOLD, RECORDS, Parameter, Route
from hullmark.model.incidentapi import (
    AcknowledgeRequest,
    IncidentDetail,
    IncidentList,
    NoteRequest,
)

LISTED, LISTED_MOST = 200, 1000
NOTE_BODY_MAX_BYTES = 64 << 10


async def incidents(desk: Desk, call: Call) -> IncidentList:
    return desk.cluster.incidentnotes.listed(
        only_open=call.query["open"],
        host=call.query["host"],
        since=call.query["since"],
        before=call.query["before"],
        limit=call.query["limit"],
    )


async def one_incident(desk: Desk, call: Call) -> IncidentDetail:
    number = call.names["number"]
    return await desk.held(call, lambda: desk.cluster.incidentnotes.shown(number))


async def acknowledge_incident(desk: Desk, call: Call) -> IncidentDetail:
    problems = list(id_problems(call.body.request_id))
    if problems:
        raise InvalidInput(problems)
    if not asker_of(call.caller).human:
        raise Forbidden(
            "only a person acknowledges an incident: somebody has to know of it",
            remedy="hullmark login",
        )
    change = call.change(desk, call.body.request_id, call.body.ticket)
    return await desk.cluster.incidentnotes.acknowledge(call.names["number"], call.body, change)


async def note_incident(desk: Desk, call: Call) -> IncidentDetail:
    change = call.change(desk, call.body.request_id, call.body.ticket)
    return await desk.cluster.incidentnotes.put_note(call.names["number"], call.body, change)


ROUTES = (
    Route(
        "GET",
        "/v1/incidents",
        incidents,
        "Incidents: outages of controls that belong together",
        IncidentList,
        query=(
            Parameter("open", False, "only those that last"),
            Parameter("host", "", "only those of this host"),
            Parameter("since", 0.0, "only those that lasted then or later, seconds since 1970"),
            Parameter("before", 0, "only those with a lower number"),
            Parameter("limit", LISTED, "at most so many, the newest", 1, LISTED_MOST),
        ),
        needs=RECORDS,
    ),
    Route(
        "GET",
        "/v1/incidents/{number}",
        one_incident,
        "One incident with its outages and what people said of it",
        IncidentDetail,
        query=(AFTER, HOLD),
        needs=RECORDS,
    ),
    Route(
        "POST",
        "/v1/incidents/{number}/acknowledge",
        acknowledge_incident,
        "Acknowledge an incident: somebody deals with it",
        IncidentDetail,
        AcknowledgeRequest,
        needs=DEPLOYERS,
    ),
    Route(
        "POST",
        "/v1/incidents/{number}/notes",
        note_incident,
        "Add a note to an incident: its cause, its remedy, its risk",
        IncidentDetail,
        NoteRequest,
        needs=DEPLOYERS,
        body_max_bytes=NOTE_BODY_MAX_BYTES,
    ),
)
