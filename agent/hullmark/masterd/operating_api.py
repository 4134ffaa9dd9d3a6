"""Handing leadership over, and trying it, as the API has it (`model/drill.py`).

The answer is sent first, and leadership ends after it: whoever asked knows that it was heard.
"""

from __future__ import annotations

import asyncio
import os
import signal

from aiohttp import web

from hullmark.core.redundancy import EMBEDDED, ready_standbys
from hullmark.errors import InvalidInput, Problem, Refused
from hullmark.masterd.answers import json_response
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.identity import LOCAL
from hullmark.masterd.route import ADMINS, Route
from hullmark.model.drill import (
    ForgetAnswer,
    ForgetRequest,
    KillRequest,
    MarkAnswer,
    MarkRequest,
    StepDownAnswer,
    StepDownRequest,
)
from hullmark.model.epoch import Epoch

SENT_S = 0.05
"""Until an answer has left this process, also one that a standby passes on."""


async def step_down(desk: Desk, call: Call) -> web.StreamResponse:
    body: StepDownRequest = call.body
    answer = _answer(desk, call, body.epoch, force=body.force)
    if answer.changed:
        _tell(desk, call, "master.step-down", body.request_id, body.ticket)
    response = await _sent(call, answer)
    if answer.changed:
        why = f"{call.caller.who} asked it to step down"
        _goes_on(desk, asyncio.ensure_future(desk.cluster.step_down(why)))
    return response


async def kill(desk: Desk, call: Call) -> web.StreamResponse:
    """Ends this process as a crash would: nothing is given back, nothing is written any more."""
    body: KillRequest = call.body
    answer = _answer(desk, call, body.epoch, force=False)
    if answer.changed and call.caller.origin == LOCAL:
        raise Refused(
            "this is the leader's own socket, which goes with its process: nobody could tell you what follows",
            remedy="ask on the standby's machine, or over https: --master URL,URL",
        )
    if answer.changed:
        _tell(desk, call, "master.killed", body.request_id, body.ticket)
        await desk.cluster.operating.flush()
    response = await _sent(call, answer)
    if answer.changed:
        asyncio.get_running_loop().call_later(SENT_S, end_process)
    return response


async def forget(desk: Desk, call: Call) -> ForgetAnswer:
    body: ForgetRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.operating.forget(body, change, desk.cluster.masters())


async def mark(desk: Desk, call: Call) -> MarkAnswer:
    body: MarkRequest = call.body
    return await desk.cluster.operating.mark(body, call.change(desk, body.mark))


def end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(desk: Desk, call: Call, epoch: str, *, force: bool) -> StepDownAnswer:
    """Raises InvalidInput for what is no epoch, Refused where nobody would follow."""
    try:
        asked = Epoch.parse(epoch)
    except ValueError as error:
        raise InvalidInput([Problem("not an epoch", field="epoch", allowed="as 1.41")]) from error
    leader = desk.cluster.leader_record
    if asked != leader.epoch:
        return StepDownAnswer(False, leader.master, str(leader.epoch), by=call.caller.who)
    kind = desk.cluster.store_condition.kind
    if kind in EMBEDDED:
        raise Refused(
            f"with the store {kind} there is one master, and nobody to follow it",
            remedy="to stop it: systemctl stop hullmark-master",
        )
    standbys = ready_standbys(desk.cluster.masters())
    if not standbys and not force:
        raise Refused(
            "no standby is ready to follow: nothing could be changed until one is",
            remedy="hullmark status; or --force",
        )
    standby = standbys[0].name if standbys else ""
    return StepDownAnswer(True, leader.master, str(leader.epoch), standby, call.caller.who)


def _tell(desk: Desk, call: Call, kind: str, request_id: str, ticket: str) -> None:
    record = desk.cluster.leader_record
    change = call.change(desk, request_id, ticket)
    desk.cluster.tell(kind, f"master {record.master}", change, {"epoch": str(record.epoch)})


async def _sent(call: Call, answer: StepDownAnswer) -> web.StreamResponse:
    response = json_response(answer)
    await response.prepare(call.request)
    await response.write_eof()
    return response


def _goes_on(desk: Desk, work: asyncio.Future[None]) -> None:
    """Also when whoever asked has gone: the desk holds it until it is done."""
    desk.under_way.add(work)
    work.add_done_callback(desk.under_way.discard)


ROUTES = (
    Route(
        "POST",
        "/v1/master/step-down",
        step_down,
        "Hand leadership over to the standby",
        StepDownAnswer,
        StepDownRequest,
        needs=ADMINS,
    ),
    Route(
        "POST",
        "/v1/master/kill",
        kill,
        "End the leader's process as a crash would, for a drill",
        StepDownAnswer,
        KillRequest,
        needs=ADMINS,
    ),
    Route(
        "POST",
        "/v1/master/forget",
        forget,
        "Expect a master no more that is gone for good",
        ForgetAnswer,
        ForgetRequest,
        needs=ADMINS,
    ),
    Route(
        "POST",
        "/v1/master/mark",
        mark,
        "A write that changes nothing, to see that writes are accepted",
        MarkAnswer,
        MarkRequest,
        needs=ADMINS,
        question=True,
    ),
)
