"""Change control, as the API has it (`model/changecontrol.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hullmark.core.changecontrol import Verdict, same_person
from hullmark.errors import Conflict, InvalidInput, Problem, Refused
from hullmark.masterd import changekinds
from hullmark.masterd.changecontrol import ChangeControl
from hullmark.masterd.changegate import (
    again,
    asker_of,
    carry_out,
    must_be_person,
    refusal,
    wish_of,
)
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.repeats import asked
from hullmark.masterd.route import ACCESS, ADMINS, AFTER, DEPLOYERS, HOLD, RECORDS, Parameter, Route
from hullmark.model.changecontrol import (
    BreakGlassList,
    BreakGlassRequest,
    BreakGlassView,
    ControlAnswer,
    ControlRemoval,
    ControlRequest,
    ControlView,
    Decision,
    DecisionAnswer,
    PendingDetail,
    PendingList,
    PendingRecord,
    PendingState,
)
from hullmark.model.people import Role

LISTED_MOST = 1000
CONTROL_BODY_MAX_BYTES = 256 << 10
APPROVE, REFUSE = "approve", "refuse"


async def change_control(desk: Desk, call: Call) -> ControlView:
    return desk.cluster.changecontrol.view()


async def apply_change_control(desk: Desk, call: Call) -> ControlAnswer:
    body: ControlRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.changecontrol.apply(body, change)


async def remove_change_control(desk: Desk, call: Call) -> ControlAnswer:
    body: ControlRemoval = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.changecontrol.remove(body, change)


async def changes(desk: Desk, call: Call) -> PendingList:
    pending = desk.cluster.changecontrol.pending
    return pending.listed(every=call.query["all"], limit=call.query["limit"])


async def one_change(desk: Desk, call: Call) -> PendingDetail:
    return await desk.held(call, lambda: _detail(desk, call))


def _detail(desk: Desk, call: Call) -> PendingDetail:
    pending = desk.cluster.changecontrol.pending
    record = pending.named(call.names["change"])
    shown = _shown(desk, call, record)
    return PendingDetail(pending.view(record), desk.cluster.version, record.stood, shown)


def _shown(desk: Desk, asking: Call, record: PendingRecord) -> Mapping[str, object]:
    """The app that is to be applied, masked; nothing of any other change."""
    if record.body is None or "app" not in record.names:
        return {}
    _, call = again(asking, record)
    app = getattr(call.body, "app", None)
    return {} if app is None else desk.cluster.shown(app)


async def approve(desk: Desk, call: Call) -> DecisionAnswer:
    """Carry it out, where another person than its requester says so and nothing else is against it."""
    control, body, name = desk.cluster.changecontrol, call.body, call.names["change"]
    pending = control.pending
    known = pending.answered(name, body, APPROVE)
    if known is not None:
        return known
    approver = must_be_person(call)
    record = pending.named(name)
    pending.must_wait(record)
    pending.must_be_another(record, approver)
    call.must_be(_needs(record), f"approving {record.kind.value}")
    _must_be_new(body, record)
    _must_still_hold(desk, record)
    _, asked_for = again(call, record)
    judgement = control.judge(wish_of(record.kind, asked_for), approved=True)
    if judgement.verdict is not Verdict.ALLOWED:
        raise refusal(judgement)
    base = control.base(record.kind, record.names, asked_for.body)
    if base.sha256 != record.base:
        raise _changed(record, base.stood)
    change = call.change(desk, body.request_id, record.ticket)
    if (record.method, record.path) in changekinds.SECRET:
        return await pending.decide(record, PendingState.APPROVED, body, change, APPROVE)
    after = pending.done_with(record, approver.who, change.at)
    rider = pending.rider(record, after, base.compares, asked(APPROVE, name, body))
    await carry_out(desk, call, record, approver.who, rider)
    pending.tell("approved", after, change)
    return DecisionAnswer(pending.view(after))


def _needs(record: PendingRecord) -> frozenset[Role]:
    return frozenset(role for role in Role if role.value in record.needs) or ADMINS


def _must_be_new(body: Decision, record: PendingRecord) -> None:
    if body.request_id == record.request_id:
        problem = Problem("that of the change itself", field="request_id", allowed="a new one")
        raise InvalidInput([problem])


def _must_still_hold(desk: Desk, record: PendingRecord) -> None:
    """A machine whose token was revoked changes nothing any more."""
    asker = record.asker
    if not asker.human and not desk.cluster.people.holds(asker.secret_sha256):
        raise Conflict(
            f"{asker.who}, which asked for change {record.change_id}, is no login any more",
            remedy="ask for it anew",
        )


def _changed(record: PendingRecord, now: str) -> Conflict:
    return Conflict(
        f"{record.subject} changed since change {record.change_id} was asked for: it was"
        f" {record.stood or 'as asked'}, and is {now or 'another'}",
        remedy=f"hullmark changes refuse {record.change_id}; then ask for it anew",
    )


async def refuse(desk: Desk, call: Call) -> DecisionAnswer:
    """By another person; who asked for it withdraws it so."""
    pending, body, name = desk.cluster.changecontrol.pending, call.body, call.names["change"]
    known = pending.answered(name, body, REFUSE)
    if known is not None:
        return known
    record = pending.named(name)
    own = same_person(record.asker, asker_of(call.caller))
    if not own:
        must_be_person(call)
        call.must_be(_needs(record), f"refusing {record.kind.value}")
    _must_be_new(body, record)
    if pending.state_of(record) is not PendingState.APPROVED:
        pending.must_wait(record)
    change = call.change(desk, body.request_id, record.ticket)
    state = PendingState.WITHDRAWN if own else PendingState.REFUSED
    return await pending.decide(record, state, body, change, REFUSE)


async def collect(desk: Desk, call: Call) -> Any:
    """Carry out a change that was approved and whose answer holds a secret: for who asked for it."""
    pending = desk.cluster.changecontrol.pending
    record = pending.named(call.names["change"])
    if not same_person(record.asker, asker_of(call.caller)):
        raise Refused(
            f"change {record.change_id} is collected by {record.asker.who}, who asked for it",
            remedy="hullmark changes",
        )
    if pending.state_of(record) is PendingState.WAITING:
        raise Conflict(
            f"change {record.change_id} waits for its approval",
            remedy=f"another person: hullmark approve {record.change_id}",
        )
    if pending.state_of(record) is not PendingState.APPROVED:
        pending.must_wait(record)
    _must_still_hold(desk, record)
    return await carry_out(desk, call, record, record.decided_by)


async def break_glasses(desk: Desk, call: Call) -> BreakGlassList:
    return desk.cluster.changecontrol.glasses.listed()


async def open_break_glass(desk: Desk, call: Call) -> BreakGlassView:
    control, body = desk.cluster.changecontrol, call.body
    opener = must_be_person(call, "only a person with a login opens break-glass")
    most_s = _document(control).break_glass_most_s
    if "for_s" not in call.given and body.for_s > most_s:
        body = BreakGlassRequest(body.request_id, body.reason, most_s, body.ticket)
    change = call.change(desk, body.request_id, body.ticket)
    return await control.glasses.open(body, change, opener, most_s)


def _document(control: ChangeControl) -> Any:
    if control.document is None:
        raise Refused(
            "there is no change control, so nothing has to be gone round",
            remedy="make the change",
        )
    return control.document


async def close_break_glass(desk: Desk, call: Call) -> BreakGlassView:
    must_be_person(call)
    glass = call.names["glass"]
    change = call.change(desk, call.body.request_id)
    return await desk.cluster.changecontrol.glasses.close(glass, call.body, change)


async def sign_off_break_glass(desk: Desk, call: Call) -> BreakGlassView:
    signer = must_be_person(call, "only a person with a login signs off")
    glass = call.names["glass"]
    change = call.change(desk, call.body.request_id)
    return await desk.cluster.changecontrol.glasses.sign_off(glass, call.body, change, signer)


ROUTES = (
    Route("GET", "/v1/change-control", change_control, "The rules of change control", ControlView),
    Route(
        "PUT",
        "/v1/change-control",
        apply_change_control,
        "Apply the rules of change control",
        ControlAnswer,
        ControlRequest,
        needs=ADMINS,
        body_max_bytes=CONTROL_BODY_MAX_BYTES,
    ),
    Route(
        "DELETE",
        "/v1/change-control",
        remove_change_control,
        "Remove the rules of change control",
        ControlAnswer,
        ControlRemoval,
        needs=ADMINS,
    ),
    Route(
        "GET",
        "/v1/changes",
        changes,
        "Changes that wait for a second person",
        PendingList,
        query=(
            Parameter("all", False, "also those that are decided"),
            Parameter("limit", LISTED_MOST, "at most so many, the newest", 1, LISTED_MOST),
        ),
        needs=RECORDS,
    ),
    Route(
        "GET",
        "/v1/changes/{change}",
        one_change,
        "One change that waits or waited, with what it would do",
        PendingDetail,
        query=(AFTER, HOLD),
        needs=RECORDS,
    ),
    Route(
        "POST",
        "/v1/changes/{change}/approve",
        approve,
        "Approve another person's change: it is carried out",
        DecisionAnswer,
        Decision,
        needs=DEPLOYERS,
    ),
    Route(
        "POST",
        "/v1/changes/{change}/refuse",
        refuse,
        "Refuse another person's change, or withdraw one's own",
        DecisionAnswer,
        Decision,
        needs=DEPLOYERS,
    ),
    Route(
        "POST",
        "/v1/changes/{change}/collect",
        collect,
        "The answer of one's own change that was approved: a token, an invite",
        needs=DEPLOYERS,
    ),
    Route(
        "GET",
        "/v1/break-glass",
        break_glasses,
        "Break-glass: open ones, and those that were",
        BreakGlassList,
        needs=RECORDS,
    ),
    Route(
        "POST",
        "/v1/break-glass",
        open_break_glass,
        "Open break-glass: changes need no approval, and no window counts",
        BreakGlassView,
        BreakGlassRequest,
        needs=DEPLOYERS,
    ),
    Route(
        "POST",
        "/v1/break-glass/{glass}/close",
        close_break_glass,
        "Close break-glass before its time",
        BreakGlassView,
        Decision,
        needs=DEPLOYERS,
    ),
    Route(
        "POST",
        "/v1/break-glass/{glass}/sign-off",
        sign_off_break_glass,
        "Sign off another person's break-glass",
        BreakGlassView,
        Decision,
        needs=ACCESS,
    ),
)
