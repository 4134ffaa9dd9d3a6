"""The audit logs, as the API has them: to look through, to follow, to trace, and what vouches for them.

Who reads the record is recorded too (PCI DSS 10.2.1.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from aiohttp import web

from hullmark.core.auditquery import as_written
from hullmark.errors import InvalidInput, NotFound, Problem
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ACCESS, Parameter, Route
from hullmark.masterd.trail import Found, Trail
from hullmark.model.audit import Outcome
from hullmark.model.audittrail import Query, Trace
from hullmark.model.moments import NS_PER_S, moment, nanoseconds

AT_ONCE = 500
"""Lines that are written together."""
ENTRIES_AT_ONCE = 50
"""Of the file of heads: one may have thousands of them."""
LOOK_S = 1.0
"""How often a follower looks for more."""
LIMIT_MAX = 1_000_000
WHAT_MAX_CHARACTERS = 256

_FILTERS = (
    Parameter("log", "", "only this log, or those of this host or master"),
    Parameter("by", "", "only what this user, token, host or daemon did"),
    Parameter("app", "", "only what is about this app"),
    Parameter("container", "", "only what is about this container; the beginning of its id"),
    Parameter("request", "", "only what belongs to the request with this id"),
    Parameter("ticket", "", "only what was asked for with this ticket"),
    Parameter("kind", "", "only this kind of record, or all that begin with it: container"),
    Parameter("outcome", "", "pending, success, failure, refused or unknown"),
    Parameter("since", "", "only records of this time (RFC 3339) or later"),
    Parameter("until", "", "only records before this time (RFC 3339)"),
    Parameter("limit", 0, "only so many of the newest; 0: all", most=LIMIT_MAX),
    Parameter("follow", False, "go on with new records"),
)


async def read_audit(desk: Desk, call: Call) -> web.StreamResponse:
    """Records byte for byte, so that who keeps a whole log can verify it."""
    query, trail = _query(call), _trail(desk)
    limit, follow = call.query["limit"], call.query["follow"]
    if query.log and not await desk.auditing.reading(partial(trail.logs, query.log)):
        raise NotFound(
            f"there is no log of {query.log[:WHAT_MAX_CHARACTERS]}",
            remedy="host:ID, master:NAME, or the name of a host or master: hullmark hosts",
        )
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    whole = False
    try:
        await response.prepare(call.request)
        ends = await desk.auditing.reading(trail.ends)
        async for some in _parts(desk, trail, query, limit):
            await response.write(_text(some))
            ends.update((each.record.log, each.record.seq) for each in some)
        if follow:
            await _follow(desk, call, query, ends, response)
        await response.write_eof()
        whole = True
    finally:
        if not whole:
            call.hang_up()
    return response


async def _follow(
    desk: Desk, call: Call, query: Query, ends: dict[str, int], response: web.StreamResponse
) -> None:
    """Until who follows goes away. Raises StaleEpoch where this master leads no more: what hosts send goes elsewhere then."""
    while not call.gone:
        await asyncio.sleep(LOOK_S)
        desk.must_lead()
        trail, before = _trail(desk), dict(ends)
        now = await desk.auditing.reading(trail.ends)
        if now == before:
            continue
        news = await desk.auditing.reading(partial(_since, trail, query, before))
        await response.write(_text(news))
        ends.update(now)
        ends.update((each.record.log, each.record.seq) for each in news)


def _since(trail: Trail, query: Query, ends: Mapping[str, int]) -> list[Found]:
    return list(trail.find(query, ends))


async def _parts(
    desk: Desk, trail: Trail, query: Query, limit: int
) -> AsyncIterator[Sequence[Found]]:
    if limit:
        yield await desk.auditing.reading(lambda: trail.newest(query, limit))
        return
    found: Iterator[Found] = await desk.auditing.reading(lambda: trail.find(query, {}))
    while True:
        some = await desk.auditing.reading(lambda: list(islice(found, AT_ONCE)))
        if not some:
            return
        yield some


async def trace(desk: Desk, call: Call) -> Trace:
    what = call.query["what"]
    if not what or len(what) > WHAT_MAX_CHARACTERS:
        allowed = (
            "a container's id, an app, APP/SERVICE.SLOT, a user, a token, a request's id, a ticket"
        )
        raise InvalidInput([Problem("nothing to trace is named", allowed=allowed)])
    trail = _trail(desk)
    return await desk.auditing.reading(lambda: trail.trace(what))


async def read_heads(desk: Desk, call: Call) -> web.StreamResponse:
    """This master's file of heads as it stands; of one log only the entries that name it."""
    logs = _trail_names(desk)
    named = call.query["log"]
    wanted = [log for log, name in logs.items() if named in (log, name)] or [named]
    needles = [b'"log":"%s"' % as_written(log) for log in wanted] if named else []
    lines = desk.vouching.heads.lines()
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    whole = False
    try:
        await response.prepare(call.request)
        while True:
            some = await desk.auditing.reading(lambda: list(islice(lines, ENTRIES_AT_ONCE)))
            if not some:
                break
            kept = [line for line in some if not needles or any(each in line for each in needles)]
            await response.write(b"".join(line + b"\n" for line in kept))
        await response.write_eof()
        whole = True
    finally:
        if not whole:
            call.hang_up()
    return response


def _text(found: Sequence[Found]) -> bytes:
    return b"".join(each.line + b"\n" for each in found)


def _trail(desk: Desk) -> Trail:
    auditing = desk.auditing
    return Trail(auditing.log, auditing.file, desk.vouching.records, _trail_names(desk))


def _trail_names(desk: Desk) -> dict[str, str]:
    """Of hosts that are enrolled, and of masters."""
    names = {f"master:{view.name}": view.name for view in desk.cluster.masters()}
    names[desk.auditing.log] = desk.auditing.log.partition(":")[2]
    for host in desk.cluster.snapshot().hosts.values():
        names[f"host:{host.host_id}"] = host.name
    return names


def _query(call: Call) -> Query:
    """Raises InvalidInput."""
    query, problems = call.query, []
    moments = {}
    for name in ("since", "until"):
        try:
            moments[name] = _moment(query[name])
        except ValueError:
            allowed = "a time such as 2026-11-24T01:30:00Z"
            problems.append(Problem("bad value", field=name, allowed=allowed))
    outcomes = [each.value for each in Outcome]
    if query["outcome"] and query["outcome"] not in outcomes:
        problems.append(Problem("bad value", field="outcome", allowed=", ".join(outcomes)))
    if problems:
        raise InvalidInput(problems)
    texts = {
        name: query[name]
        for name in ("log", "by", "app", "container", "request", "ticket", "kind", "outcome")
    }
    return Query(**texts, **moments)


def _moment(text: str) -> str:
    """As records have it; empty for empty. Raises ValueError."""
    if not text:
        return ""
    found = nanoseconds(text)
    if found is None or found < 0:
        raise ValueError(text)
    return moment(found / NS_PER_S)


ROUTES = (
    Route(
        "GET",
        "/v1/audit",
        read_audit,
        "Records of the audit logs of all hosts and masters, one on each line, as they stand there",
        query=_FILTERS,
        lines=True,
        needs=ACCESS,
        told=True,
    ),
    Route(
        "GET",
        "/v1/audit/heads",
        read_heads,
        "This master's file of heads, which vouches for the logs: entries as they stand there",
        query=(Parameter("log", "", "only entries that name this log, host or master"),),
        lines=True,
        standby=True,
        needs=ACCESS,
        told=True,
    ),
    Route(
        "GET",
        "/v1/audit/trace",
        trace,
        "From a person to the containers and processes that came of what was asked, and back",
        Trace,
        query=(
            Parameter(
                "what", "", "a container, an app, an instance, a user, a token, a request, a ticket"
            ),
        ),
        needs=ACCESS,
        told=True,
    ),
)
