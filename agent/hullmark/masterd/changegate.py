"""Where every change of a person passes: carried out, held for a second person, or refused, by the rules of change control.

What is held is the request itself. Approving it sends it again to the handler that it was for, in the name of who asked.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, Optional

from hullmark.core import difference
from hullmark.core.changecontrol import Judgement, Verdict, Wish, same_person
from hullmark.errors import Conflict, Forbidden, InvalidInput, Problem, Refused
from hullmark.masterd import changekinds, foresight, pinning, resolving, riding
from hullmark.masterd.changecontrol import ChangeControl
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.identity import Caller
from hullmark.masterd.pending import change_id
from hullmark.masterd.repeats import id_problems
from hullmark.masterd.route import ADMINS, Route
from hullmark.model.changecontrol import (
    Asker,
    ChangeKind,
    Held,
    PendingRecord,
    PendingState,
)
from hullmark.model.people import Role
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.wire import canonical, digest, from_wire, to_wire

ANSWERS_KEPT_S = 23 * 3600.0
"""Answers to request ids are kept for a day."""
SUMMARY_MOST = 50
LINE_MOST = 300
NOT_SAID = frozenset({"request_id", "ticket", "app", "document"})


async def guarded(desk: Desk, route: Route, call: Call) -> Any:
    """The handler's answer, or `Held`. Raises what the handler does, Refused for what the rules don't allow now."""
    kind = changekinds.kind_of(route.method, route.path, call.body)
    if kind is None:
        return await route.handler(desk, call)
    control = desk.cluster.changecontrol
    kept = control.pending.of_request(call.body.request_id) if call.body.request_id else None
    if kept is not None and control.pending.state_of(kept) is not PendingState.DONE:
        return await _asked_again(desk, route, call, kept)
    if control.document is None or _answered(desk, route, call):
        return await route.handler(desk, call)
    judgement = control.judge(wish_of(kind, call))
    if judgement.verdict is Verdict.ALLOWED:
        return await route.handler(desk, _marked(control, call))
    if judgement.verdict is Verdict.WAITS:
        return await _hold(desk, route, call, kind, judgement)
    raise refusal(judgement)


def wish_of(kind: ChangeKind, call: Call) -> Wish:
    return Wish(kind, call.names.get("app", ""), call.body.ticket)


def refusal(judgement: Judgement) -> Refused:
    remedy = "--ticket TEXT"
    if judgement.verdict is Verdict.FROZEN:
        remedy = "wait until then; in an emergency: hullmark break-glass open --reason TEXT"
    return Refused("; ".join(judgement.reasons), remedy=remedy)


def asker_of(caller: Caller) -> Asker:
    return Asker(
        caller.who,
        caller.origin,
        "" if caller.role is None else caller.role.value,
        caller.human,
        caller.user,
        caller.uid,
        caller.login_uid,
        caller.secret_sha256,
    )


def must_be_person(call: Call, what: str = "only a person with a login decides") -> Asker:
    """Raises Forbidden for a token, and for who can't be told from another by a login; InvalidInput for what is no request id."""
    problems, caller = list(id_problems(call.body.request_id)), call.caller
    if problems:
        raise InvalidInput(problems)
    if not caller.human:
        raise Forbidden(f"{caller.who} is no person, and {what}", remedy="a person has to")
    if not caller.login_known:
        raise Forbidden(
            f"{caller.who} has no login that the system keeps (/proc/self/loginuid), and {what}",
            remedy="log in by ssh or at the console, where pam_loginuid keeps the login also under sudo; and anew where you use a session",
        )
    return asker_of(caller)


def _marked(control: ChangeControl, call: Call) -> Call:
    glass = control.glasses.open_now()
    return call if glass is None else dataclasses.replace(call, break_glass=glass.glass_id)


def _answered(desk: Desk, route: Route, call: Call) -> bool:
    """Whether the handler only repeats its answer, or says that the request id was another's."""
    if (route.method, route.path) in changekinds.SECRET:
        return False
    known = desk.cluster.changecontrol.answered_at(call.body.request_id)
    return known is not None and desk.wall() - known < ANSWERS_KEPT_S


async def _asked_again(desk: Desk, route: Route, call: Call, record: PendingRecord) -> Any:
    """A request that was held before: it still is, or it was approved and is collected."""
    pending = desk.cluster.changecontrol.pending
    same = (route.method, route.path, dict(call.names)) == (
        record.method,
        record.path,
        dict(record.names),
    )
    if not same or digest(call.body) != record.body_sha256:
        raise Conflict(
            f"request id {record.request_id} was used for another request",
            remedy="use a new request id for a new change",
        )
    if not same_person(record.asker, asker_of(call.caller)):
        raise Conflict(f"this request is that of {record.asker.who}", remedy="hullmark changes")
    if pending.state_of(record) is PendingState.APPROVED:
        return await carry_out(desk, call, record, record.decided_by)
    pending.must_wait(record)
    return Held(pending.view(record))


async def _hold(
    desk: Desk, route: Route, call: Call, kind: ChangeKind, judgement: Judgement
) -> Held:
    control, body = desk.cluster.changecontrol, call.body
    assert control.document is not None
    needs = ADMINS if changekinds.is_for_admins(kind, body) else route.roles
    call.must_be(needs, "this")
    base = control.base(kind, call.names, body)
    summary, digests = await _described(desk, call, kind)
    request_id = body.request_id or f"change-{uuid.uuid4().hex}"
    change = call.change(desk, request_id, body.ticket)
    asked_for = dataclasses.replace(body, request_id=request_id)
    record = PendingRecord(
        change_id(request_id),
        request_id,
        kind,
        changekinds.subject_of(kind, call.names, body),
        asker_of(call.caller),
        body.ticket,
        change.at,
        change.at + control.document.pending_for_s,
        route.method,
        route.path,
        dict(call.names),
        to_wire(asked_for),
        digest(asked_for),
        judgement.rule,
        summary,
        base.sha256,
        base.stood,
        digests,
        tuple(role.value for role in Role if role in needs),
        size=len(canonical(to_wire(asked_for))),
    )
    return Held(control.pending.view(await control.pending.hold(record, change)))


async def _described(
    desk: Desk, call: Call, kind: ChangeKind
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """What it would do now, values masked; and what its images' tags are. Raises what carrying it out would, as far as that can
    be known."""
    if kind is not ChangeKind.APPLY:
        return _said(call.body), {}
    app = call.body.app
    if app.name != call.names["app"]:
        problem = Problem(f"the app is {app.name!r}", field="app.name", allowed=call.names["app"])
        raise InvalidInput([problem])
    answer, wanted = desk.cluster.foreseen(app)
    resolve, digests = resolving.resolver(desk, app), {}

    async def noted(image: str, platform: str, pull_policy: str) -> ResolveAnswer:
        found = await resolve(image, platform, pull_policy)
        digests[riding.question(image, platform, pull_policy)] = riding.kept(found)
        return found

    await pinning.pinned(app, desk.cluster.snapshot().apps.get(app.name), noted)
    lines = difference.told(answer.differences) or ("nothing",)
    refused, unjudged = await foresight.foresee(desk, wanted)
    told = (
        *lines[:SUMMARY_MOST],
        *(f"not placed: {line}" for line in answer.unplaced),
        *(f"{each.service} refused by policy of {', '.join(each.hosts)}" for each in refused),
        *(f"not judged by policy: {line}" for line in unjudged),
    )
    return tuple(line[:LINE_MOST] for line in told[: 2 * SUMMARY_MOST]), digests


def _said(body: Any) -> tuple[str, ...]:
    """What the request says, a line for each field. None of them holds a secret."""
    found = []
    for name, value in to_wire(body).items():
        if name not in NOT_SAID:
            found.append(f"{name.replace('_', ' ')}: {_text(value)}"[:LINE_MOST])
    if hasattr(body, "document"):
        found += [f"rule: {rule.name}" for rule in body.document.rules]
    return tuple(found[:SUMMARY_MOST]) or ("nothing else is said",)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


async def carry_out(
    desk: Desk,
    asking: Call,
    record: PendingRecord,
    approver: str,
    rider: Optional[riding.Rider] = None,
) -> Any:
    """The change itself, in the name of who asked for it. That it is done rides with it."""
    control = desk.cluster.changecontrol
    pending = control.pending
    if rider is None:  # it is collected
        after = dataclasses.replace(record, state=PendingState.DONE, body=None, collected=True)
        rider = pending.rider(record, after, ())
    route, call = again(asking, record)
    call = _marked(control, call)
    with riding.riding(rider):
        answer = await route.handler(desk, dataclasses.replace(call, approved_by=approver))
    await pending.settle(rider)
    return answer


def again(asking: Call, record: PendingRecord) -> tuple[Route, Call]:
    """The change as it was asked for, in a request that asks for something about it."""
    route = next(
        (
            each
            for each in asking.routes
            if (each.method, each.path) == (record.method, record.path)
        ),
        None,
    )
    if route is None or route.body is None:
        raise Refused(f"change {record.change_id} is of a kind that this version does not know")
    body: Any = from_wire(route.body, record.body, ignore_unknown=False)
    asker = record.asker
    caller = Caller(
        asker.who,
        asker.origin,
        next((role for role in Role if role.value == asker.role), None),
        human=asker.human,
        user=asker.user,
        uid=asker.uid,
        login_uid=asker.login_uid,
        secret_sha256=asker.secret_sha256,
    )
    given = frozenset(record.body) if isinstance(record.body, dict) else frozenset()
    return route, Call(caller, asking.request, body, given, record.names, {}, asking.routes)
