"""The API's handlers, for people and automation. What each takes and gives is said in `model/api.py`."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from functools import partial
from typing import Optional

from aiohttp import web
from cryptography.hazmat.primitives import serialization

from hullmark.core.changecontrol import Wish
from hullmark.errors import InvalidInput, Problem
from hullmark.masterd import foresight, pinning, resolving
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.logs import LogReader, Wanted
from hullmark.masterd.route import ADMINS
from hullmark.model.api import (
    AppDetail,
    AppList,
    ApplyAnswer,
    Authority,
    ClusterStatus,
    EnrollAnswer,
    EnrollRequest,
    EventList,
    HostList,
    InstanceList,
    InviteAnswer,
    OrphanList,
    PlanAnswer,
)
from hullmark.model.changecontrol import ChangeKind
from hullmark.model.host import HostRecord
from hullmark.model.moments import seconds
from hullmark.model.records import InviteRecord
from hullmark.model.wire import canonical, to_wire
from hullmark.pki.certificates import fingerprint, load_chain, load_request
from hullmark.pki.invites import Invite, new_secret, secret_hash


async def openapi(desk: Desk, call: Call) -> web.Response:
    return web.Response(body=desk.document, content_type="application/json")


async def authority(desk: Desk, call: Call) -> Authority:
    return Authority(desk.authority.root_pem, desk.terms.cluster_id)


async def enroll(desk: Desk, call: Call) -> EnrollAnswer:
    """Use an invite: the host gets its certificate. The same key may ask again until the invite expires."""
    body: EnrollRequest = call.body
    if not body.csr_pem.isascii():
        raise InvalidInput([Problem("not a signing request", field="csr_pem")])
    key = load_request(body.csr_pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    chains: list[bytes] = []

    def make_host(invite: InviteRecord, existing: Optional[HostRecord]) -> HostRecord:
        host_id = existing.host_id if existing is not None else uuid.uuid4().hex
        now = desk.wall()
        chain = desk.authority.issue_host(body.csr_pem, desk.terms.cluster_id, host_id, now)
        chains.append(chain)
        newest = fingerprint(load_chain(chain, "certificate")[0])
        return HostRecord(host_id, body.host, now, invite.labels, newest)

    host = await desk.cluster.enroll(
        secret_hash(body.secret),
        body.host,
        make_host,
        key_sha256=hashlib.sha256(key).hexdigest(),
    )
    return EnrollAnswer(
        host.host_id,
        desk.terms.cluster_id,
        chains[-1].decode(),
        desk.authority.root_pem,
        desk.cluster.agents_urls(),
    )


async def status(desk: Desk, call: Call) -> ClusterStatus:
    return desk.cluster.status(desk.terms.cluster_id)


async def apps(desk: Desk, call: Call) -> AppList:
    return desk.cluster.app_list()


async def plan(desk: Desk, call: Call) -> PlanAnswer:
    resolve = resolving.resolver(desk, call.body.app)
    apps = desk.cluster.snapshot().apps
    asked, unknown = await pinning.exposing(call.body.app, apps, resolve)
    answer, wanted = desk.cluster.foreseen(asked, unknown)
    refused, unjudged = await foresight.foresee(desk, wanted)
    needs = desk.cluster.changecontrol.told(Wish(ChangeKind.APPLY, call.body.app.name))
    warnings = (*answer.warnings, *needs) if answer.changed else answer.warnings
    return dataclasses.replace(answer, refused=refused, unjudged=unjudged, warnings=warnings)


async def apply(desk: Desk, call: Call) -> ApplyAnswer:
    body, name = call.body, call.names["app"]
    if body.app.name != name:
        problem = Problem(f"the app is {body.app.name!r}", field="app.name", allowed=name)
        raise InvalidInput([problem])
    _may_override(call)
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.apply(body, change, resolving.resolver(desk, body.app))


async def app(desk: Desk, call: Call) -> AppDetail:
    return await desk.held(call, partial(desk.cluster.app_detail, call.names["app"]))


def _may_override(call: Call) -> None:
    if call.body.override_mark:
        call.must_be(ADMINS, "an override of the mark")


async def scale(desk: Desk, call: Call) -> ApplyAnswer:
    _may_override(call)
    change = call.change(desk, call.body.request_id, call.body.ticket)
    return await desk.cluster.scale(call.names["app"], call.body, change)


async def remove(desk: Desk, call: Call) -> ApplyAnswer:
    if call.body.volumes:
        call.must_be(ADMINS, "removing volumes with what is in them")
    change = call.change(desk, call.body.request_id, call.body.ticket)
    return await desk.cluster.remove(call.names["app"], call.body, change)


async def logs(desk: Desk, call: Call) -> web.StreamResponse:
    query = call.query
    tail = query["tail"]
    try:
        since = seconds(query["since"]) if query["since"] else ""
    except ValueError as error:
        raise InvalidInput([Problem("bad value", field="since", allowed=str(error))]) from error
    wanted = Wanted(
        call.names["app"],
        query["service"],
        query["slot"],
        None if tail < 0 else tail,
        since,
        query["follow"],
    )
    reader = LogReader(desk, wanted)
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    whole = False
    try:
        await response.prepare(call.request)
        async for record in reader.records():
            if call.gone:
                break
            if record is not None:
                await response.write(canonical(to_wire(record)) + b"\n")
        if not call.gone:
            await response.write_eof()
        whole = True
    finally:
        reader.close()
        if not whole:
            call.hang_up()
    return response


async def instances(desk: Desk, call: Call) -> InstanceList:
    return desk.cluster.instances(call.query["app"])


async def hosts(desk: Desk, call: Call) -> HostList:
    return desk.cluster.hosts()


async def events(desk: Desk, call: Call) -> EventList:
    """Held, where nothing is newer than `after`, until something is."""
    after, limit = call.query["after"], call.query["limit"]
    until = desk.clock() + call.query["hold_s"]
    while True:
        version = desk.cluster.version
        found = desk.cluster.events(after, limit)
        left_s = until - desk.clock()
        if found.events or left_s <= 0:
            return found
        await desk.hold(version, left_s)


async def orphans(desk: Desk, call: Call) -> OrphanList:
    return desk.cluster.orphans()


async def invite(desk: Desk, call: Call) -> InviteAnswer:
    body = call.body
    if "valid_s" not in call.given:
        body = dataclasses.replace(body, valid_s=desk.terms.invite_valid_s)
    secret = new_secret()
    change = call.change(desk, body.request_id, body.ticket)
    record = await desk.cluster.invite(body, secret_hash(secret), change)
    token = Invite(
        desk.cluster.api_urls(), desk.authority.root_fingerprint, record.host, secret
    ).text()
    return InviteAnswer(record.host, token, record.expires_at)
