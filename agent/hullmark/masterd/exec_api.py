"""Commands in containers, as the API has them: one host is asked, and what it says is handed on as it comes.

Nothing is sent again: an agent runs a command only once it has heard that somebody still waits, and never twice for one request.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Optional

from aiohttp import web

from hullmark.core.absence import is_ready
from hullmark.errors import (
    Conflict,
    Forbidden,
    HullmarkError,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Unavailable,
    by_name,
)
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.refusals import no_app
from hullmark.masterd.route import ADMINS, Route
from hullmark.masterd.tasks import Mark, Question
from hullmark.model import jsontext
from hullmark.model.audit import Outcome
from hullmark.model.execution import (
    CLAIM,
    LIMIT_MOST_S,
    WORDS_MAX,
    WORDS_MAX_BYTES,
    ExecRecord,
    ExecRequest,
)
from hullmark.model.observed import Phase
from hullmark.model.orders import InstanceId
from hullmark.model.snapshot import Snapshot
from hullmark.model.wire import canonical, from_wire, to_wire

BEGIN_S = 5.0
"""A host that has not asked by then whether somebody waits is told, when it does, that nobody does."""
FIRST_S = 3.0
"""So long an answer with a status of its own is possible, as for what the host's policy refuses. After it the answer begins."""
LATE_S = 20.0
"""Beyond the command's own time limit, which its host keeps."""
OLDER = "its agent is older than this master, and runs no commands"
LOOK_S = 1.0
HELD = 64
LINE_BYTES = 512
ROUTE_BODY_BYTES = 64 << 10


class ExecAnswer(web.StreamResponse):
    """What a command wrote. `exit_code` and `ending` are for the record of the request, once it has ended."""

    exit_code: Optional[int] = None
    ending: Optional[tuple[Outcome, str]] = None


async def execute(desk: Desk, call: Call) -> web.StreamResponse:
    body: ExecRequest = call.body
    _check(body)
    if not call.caller.human:
        raise Forbidden(
            f"{call.caller.who} is a machine, and commands are run by people",
            remedy="hullmark login, as a person",
        )
    host_id, instance = _choose(desk.cluster.snapshot(), call.names["app"], body)
    errand = Errand(desk, host_id, instance, _arguments(desk, call, instance))
    try:
        first = await errand.first()
        if first is not None and first.error:
            raise _error_of(first)
        return await _answer(call, errand, first)
    finally:
        errand.close()


def _check(body: ExecRequest) -> None:
    problems = []
    size = sum(len(word.encode()) for word in body.command)
    if not body.command or len(body.command) > WORDS_MAX or size > WORDS_MAX_BYTES:
        allowed = f"1 to {WORDS_MAX} words, {WORDS_MAX_BYTES >> 10} KiB in all"
        problems.append(Problem("no command that fits here", field="command", allowed=allowed))
    if any("\0" in word for word in (*body.command, body.user, body.working_dir)):
        problems.append(Problem("a NUL character", field="command"))
    if not body.request_id:
        problems.append(Problem("is missing", field="request_id"))
    if not 0 < body.limit_s <= LIMIT_MOST_S:
        allowed = f"above 0, and at most {LIMIT_MOST_S:g}"
        problems.append(Problem("out of range", field="limit_s", allowed=allowed))
    for name in ("user", "working_dir", "request_id", "ticket", "reason", "service"):
        if len(getattr(body, name)) > LINE_BYTES:
            problems.append(Problem("too long", field=name, allowed=f"{LINE_BYTES} characters"))
    if problems:
        raise InvalidInput(problems)


def _choose(snapshot: Snapshot, app: str, body: ExecRequest) -> tuple[str, InstanceId]:
    """The first slot's newest instance that runs. Raises NotFound, Conflict."""
    record = snapshot.apps.get(app)
    if record is None:
        raise no_app(app)
    if body.service not in record.app.services:
        services = ", ".join(sorted(record.app.services))
        raise NotFound(
            f"app {app} has no service {body.service[:80]}", remedy=f"its services: {services}"
        )
    found = []
    for host_id, orders in snapshot.assignments.items():
        state = snapshot.observed.get(host_id)
        if state is None or not is_ready(snapshot, host_id):
            continue
        for item in orders.assignments:
            one = item.instance
            wanted = (one.app, one.service) == (app, body.service) and body.slot in (0, one.slot)
            status = state.instances.get(one.container_name) if wanted else None
            if status is not None and status.phase is Phase.RUNNING:
                found.append((one.slot, not status.serving, -one.generation, host_id, one))
    if not found:
        what = f"{app}/{body.service}" + (f".{body.slot}" if body.slot else "")
        raise Conflict(f"no instance of {what} runs on a host that is heard", remedy="hullmark ps")
    *_, host_id, instance = min(found)
    return host_id, instance


def _arguments(desk: Desk, call: Call, instance: InstanceId) -> dict[str, str]:
    """Of the task. Who asked goes along, for the record of the host."""
    body: ExecRequest = call.body
    return {
        "app": instance.app,
        "service": instance.service,
        "slot": str(instance.slot),
        "generation": str(instance.generation),
        "command": json.dumps(list(body.command)),
        "user": body.user,
        "working_dir": body.working_dir,
        "limit_s": f"{body.limit_s:g}",
        "epoch": str(desk.cluster.leader_record.epoch),
        "by": call.caller.who,
        "origin": call.caller.origin,
        "ticket": body.ticket,
        "reason": body.reason,
        "request_id": body.request_id,
    }


class Errand:
    """One command on one host. `close` when nobody waits any more: its agent ends the command then."""

    def __init__(
        self, desk: Desk, host_id: str, instance: InstanceId, arguments: dict[str, str]
    ) -> None:
        self._desk = desk
        self.instance = instance
        record = desk.cluster.host(host_id)
        self.host = record.name if record is not None else host_id
        self._until = desk.clock() + float(arguments["limit_s"]) + LATE_S
        self._lines = desk.hub.reader(HELD)
        self._question: Question = desk.hub.ask(host_id, "exec", arguments, self._lines)
        self._claimed = False
        self._ends = 0

    def close(self) -> None:
        self._question.close()
        self._desk.hub.leave(self._lines)

    async def first(self) -> Optional[ExecRecord]:
        """The first record, None where there is none yet. Raises Unavailable where the host does not answer."""
        until = self._desk.clock() + BEGIN_S
        while True:
            record = await self._next(until - self._desk.clock())
            if record is not None:
                return record
            if self._desk.clock() >= until:
                if self._claimed:
                    return None
                raise Unavailable(
                    f"host {self.host} does not answer, so nothing was run", remedy="hullmark hosts"
                )
            if self._claimed:
                until = min(until, self._desk.clock() + FIRST_S)

    async def records(self) -> AsyncIterator[Optional[ExecRecord]]:
        """The rest, and None about once a second while there is none. The last one is `last`."""
        while True:
            record = await self._next(LOOK_S)
            yield record
            if record is not None and record.last:
                return

    async def _next(self, wait_s: float) -> Optional[ExecRecord]:
        piece = await self._lines.take(max(0.0, min(wait_s, LOOK_S)))
        if self._desk.hub.stopped or self._lines.closed:
            return self._broken("this master leads no more, and is not told")
        if piece is None:
            return self._broken("it says nothing any more") if self._overdue() else None
        if piece.mark is Mark.BEGUN or piece.line == CLAIM:
            self._claimed = self._claimed or piece.line == CLAIM
            return None
        if piece.mark is Mark.ENDED:
            # After the claim the agent calls again.
            self._ends += 1
            return self._broken("its agent ended in the middle") if self._ends > 1 else None
        if piece.mark is Mark.BROKEN:
            return self._broken("its agent stopped in the middle")
        if not self._claimed:
            return ExecRecord(kind=Refused.__name__, error=f"host {self.host}: {OLDER}")
        try:
            return from_wire(ExecRecord, jsontext.loads(piece.line), ignore_unknown=True)
        except (ValueError, InvalidInput):
            return self._broken("its agent sent something that is no record")

    def _overdue(self) -> bool:
        return self._desk.clock() >= self._until

    def _broken(self, why: str) -> ExecRecord:
        text = f"host {self.host}: {why}; whether the command has ended is not known"
        return ExecRecord(kind=Unavailable.__name__, error=text, remedy="look in its audit log")


async def _answer(call: Call, errand: Errand, first: Optional[ExecRecord]) -> ExecAnswer:
    response = ExecAnswer()
    response.content_type = "application/x-ndjson"
    whole = False
    try:
        await response.prepare(call.request)
        if first is not None:
            await _write(response, errand, first)
        if first is None or not first.last:
            async for record in errand.records():
                if call.gone:
                    break
                await _write(response, errand, record)
        if not call.gone:
            await response.write_eof()
        whole = True
    finally:
        if not whole:
            call.hang_up()
    return response


async def _write(response: ExecAnswer, errand: Errand, record: Optional[ExecRecord]) -> None:
    if record is None:
        await response.write(b"\n")  # so that nothing between takes the connection for idle
        return
    if record.last:
        record = _closing(record, errand)
        response.exit_code = record.exit_code
        if record.error:
            unknown = isinstance(_error_of(record), Unavailable)
            response.ending = (Outcome.UNKNOWN if unknown else Outcome.FAILURE, record.error)
    await response.write(canonical(to_wire(record)) + b"\n")


def _closing(record: ExecRecord, errand: Errand) -> ExecRecord:
    return ExecRecord(
        exit_code=record.exit_code,
        kind=record.kind,
        error=record.error,
        remedy=record.remedy,
        instance=str(errand.instance),
        host=errand.host,
    )


def _error_of(record: ExecRecord) -> HullmarkError:
    return by_name(record.kind, record.error, record.remedy)


ROUTES = (
    Route(
        "POST",
        "/v1/apps/{app}/exec",
        execute,
        "Run a command in a container; what it writes, one JSON object on each line",
        ExecRecord,
        ExecRequest,
        lines=True,
        body_max_bytes=ROUTE_BODY_BYTES,
        needs=ADMINS,
    ),
)
