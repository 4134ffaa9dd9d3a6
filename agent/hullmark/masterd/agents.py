"""The agents' port: poll, orders, report, tasks, renew. Who calls is known by the certificate alone."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

from aiohttp import web

from hullmark.core.reportbounds import bounded
from hullmark.errors import Forbidden, InvalidInput, Problem
from hullmark.masterd.answers import TooLarge
from hullmark.masterd.desk import Call, Desk, first_of
from hullmark.masterd.lines import Line, line_of
from hullmark.masterd.runs import LATE_S
from hullmark.masterd.tasks import Mark
from hullmark.model.observed import Report
from hullmark.model.protocol import (
    AGENT,
    PROXY,
    OrdersAnswer,
    PollAnswer,
    PollRequest,
    RenewAnswer,
    RenewRequest,
    ReportAnswer,
)
from hullmark.pki.certificates import fingerprint, load_chain

LINE_MAX_BYTES = 1 << 20
"""One line of a task's answer; an engine cuts lines of output at 16 KiB."""
TOLD_BY_MASTERS = ("app", "host", "maintenance", "master", "request", "session", "token")
"""Nouns of events: what these events say is also read back, as when a problem of a host began."""
RESEND_AGAIN_S = 2.0
"""A poll that was just answered with `resend` is not cut short for it again."""


async def poll(desk: Desk, call: Call) -> PollAnswer:
    """Held until the host's orders, tasks or directory are not those it knows. Marks the host as heard."""
    body: PollRequest = call.body
    host_id, cluster = call.caller.host_id, desk.cluster
    sha256 = call.caller.certificate_sha256
    hold_s = min(max(body.hold_s, 0.0), desk.terms.poll_hold_max_s)
    line = _line(desk, call)
    if cluster.runs.is_late(host_id, body.run, line):
        await asyncio.sleep(LATE_S)
        if not line.is_open():
            raise ConnectionResetError("the connection is gone")
    cluster.runs.poll(host_id, body.run, line, hold_s)
    cluster.heard(host_id, body.run)
    cluster.directories.heard(host_id, body.directory)
    if not _wants_state(desk, host_id, body.run):
        await first_of(
            asyncio.ensure_future(
                cluster.wait_orders(host_id, body.epoch, body.revision, hold_s, sha256)
            ),
            asyncio.ensure_future(desk.hub.wait(host_id, body.tasks_seen, hold_s)),
            asyncio.ensure_future(cluster.directories.wait(host_id, body.directory, hold_s)),
        )
        desk.must_lead()
        cluster.credentials.must_be_worth_still(host_id, sha256)
    tasks, last = desk.hub.since(host_id, body.tasks_seen)
    record = cluster.leader_record
    return PollAnswer(
        epoch=record.epoch,
        leader=record.leader,
        now=desk.wall(),
        changed=await cluster.wait_orders(host_id, body.epoch, body.revision, 0.0),
        resend=cluster.lacks_state(host_id, body.run),
        tasks=tasks,
        tasks_last=last,
        former=cluster.former(body.epoch),
        masters=cluster.agents_urls(),
        spread_s=cluster.spread_s(),
        proof=cluster.proof if body.epoch.incarnation < record.epoch.incarnation else None,
        directory_changed=cluster.directories.differs(host_id, body.directory),
    )


def _line(desk: Desk, call: Call) -> Line:
    return line_of(call.request, call.caller.origin, desk.clock())


def _wants_state(desk: Desk, host_id: str, run: str) -> bool:
    """Whether to answer at once, because a full report is missing and was not asked for just now."""
    if not desk.cluster.lacks_state(host_id, run):
        return False
    told_run, told_at = desk.told_resend.get(host_id, ("", 0.0))
    if told_run == run and desk.clock() - told_at < RESEND_AGAIN_S:
        return False
    desk.told_resend[host_id] = (run, desk.clock())
    return True


async def orders(desk: Desk, call: Call) -> OrdersAnswer:
    desk.cluster.runs.speak(call.caller.host_id, "", _line(desk, call))
    return OrdersAnswer(desk.cluster.orders(call.caller.host_id), desk.terms.lease_s)


async def directory(desk: Desk, call: Call) -> web.Response:
    """What the host is to know of services: a `DirectoryAnswer`, whose parts are the same for many hosts and written out once."""
    host_id = call.caller.host_id
    desk.cluster.runs.speak(host_id, "", _line(desk, call))
    text = desk.cluster.directories.text(host_id)
    body = f'{{"directory":{text},"lease_s":{desk.terms.lease_s}}}'
    return web.Response(body=body.encode(), content_type="application/json")


async def report(desk: Desk, call: Call) -> ReportAnswer:
    """What a host says of itself. Its events are its own: none can name another origin, or a person, or tell what
    only masters tell. What it says of its controls is kept within bounds."""
    body: Report = call.body
    if body.host_id != call.caller.host_id:
        raise Forbidden(f"this certificate is not that of host {body.host_id[:64]}")
    desk.cluster.runs.speak(body.host_id, body.run, _line(desk, call))
    events = tuple(
        dataclasses.replace(event, origin=call.caller.who, by="")
        for event in body.events
        if event.kind.partition(".")[0] not in TOLD_BY_MASTERS
    )
    return await desk.cluster.merge(bounded(dataclasses.replace(body, events=events)))


async def answer_task(desk: Desk, call: Call) -> web.Response:
    """Take in a task's answer, line by line, as fast as its reader reads."""
    question = desk.hub.question(call.caller.host_id, call.names["task"])
    transport = call.request.transport
    assert transport is not None
    mark = Mark.BROKEN
    question.begin(transport.abort)
    try:
        async for line in _lines(call.request):
            if line and not await question.line(line):
                transport.abort()
                break
        else:
            mark = Mark.ENDED
    finally:
        question.end(mark)
    return web.json_response({})


async def _lines(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Lines without their ends. Raises TooLarge."""
    rest = b""
    async for part in request.content.iter_any():
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > LINE_MAX_BYTES:
            raise TooLarge([Problem("the line is too long", allowed=f"{LINE_MAX_BYTES} bytes")])
        for line in whole:
            yield line.strip()
    yield rest.strip()


async def renew(desk: Desk, call: Call) -> RenewAnswer:
    """A new certificate for the caller, for a new key. The old one holds until the new one is used. One for its proxy is nothing that
    masters let anybody in with, so no record of the host's has it."""
    body: RenewRequest = call.body
    host_id, authority = call.caller.host_id, desk.authority
    if not body.csr_pem.isascii():
        raise InvalidInput([Problem("not a signing request", field="csr_pem")])
    issue = {AGENT: authority.issue_host, PROXY: authority.issue_proxy}.get(body.purpose)
    if issue is None:
        allowed = f"{AGENT} or {PROXY}"
        raise InvalidInput([Problem("unknown purpose", field="purpose", allowed=allowed)])
    chain = issue(body.csr_pem, desk.terms.cluster_id, host_id, desk.wall())
    newest, change = fingerprint(load_chain(chain, "certificate")[0]), call.change(desk)
    if body.purpose == PROXY:
        fields = {"certificate_sha256": newest}
        desk.cluster.tell("host.proxy-certified", f"host {call.caller.who}", change, fields)
    else:
        used = call.caller.certificate_sha256
        await desk.cluster.renewed(host_id, newest, change, used_sha256=used)
    return RenewAnswer(chain.decode(), authority.root_pem)
