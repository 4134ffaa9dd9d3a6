"""Change control as the leader keeps it: the document, and what it says of a change now. Waiting changes are in `pending`, the way
round it in `breakglass`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from hullmark import log
from hullmark.core.changecontrol import Judgement, Wish, frozen_now, judge, rule_for
from hullmark.core.controlcheck import problems_of, warnings_of
from hullmark.core.controlstanding import control_findings, waiting_finding
from hullmark.core.freezewindows import moment_of
from hullmark.core.overview import Finding
from hullmark.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    StaleEpoch,
    StoreUnavailable,
)
from hullmark.masterd.breakglass import BreakGlasses
from hullmark.masterd.changebase import Base, base_of
from hullmark.masterd.events import Tell
from hullmark.masterd.pending import PendingChanges
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.repeats import Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.masterd.walltime import local, zone_known
from hullmark.model.change import Change
from hullmark.model.changecontrol import (
    ChangeKind,
    ControlAnswer,
    ControlDocument,
    ControlRecord,
    ControlRemoval,
    ControlRequest,
    ControlView,
)
from hullmark.model.names import CONTROL_KEY
from hullmark.model.wire import digest
from hullmark.store.protocol import Compare, Delete, Put

LOOK_S = 1.0
TOO_LARGE = "fewer rules; patterns such as pay-* stand for many apps"

_log = log.get("changes")


class ChangeControl:
    """`wall` is the clock by which windows hold: a shop sees to its masters' time."""

    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._wall = wall
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)
        self.pending = PendingChanges(term, wall, tell)
        self.glasses = BreakGlasses(term, wall, tell)

    @property
    def document(self) -> Optional[ControlDocument]:
        """None where there is no change control."""
        record = self._term.view.control
        return None if record is None else record.document

    def base(self, kind: ChangeKind, names: Mapping[str, str], body: Any) -> Base:
        """What a change is for, as it is now. Raises NotFound."""
        return base_of(self._term.view, kind, names, body)

    def answered_at(self, request_id: str) -> Optional[float]:
        """When a request id got its answer; None where it has none."""
        record = self._term.view.requests.get(request_id)
        return None if record is None else record.at

    async def run(self) -> None:
        """Write what is over, until this master leads no more. What it is over for does not wait for this."""
        late = PutOff(_log, "what is over is not written yet", "what is over is written again")
        while self._term.leadership.is_leader:
            await asyncio.sleep(LOOK_S)
            try:
                await self.pending.expire()
                self.glasses.tell_over()
                late.done()
            except StaleEpoch:
                return
            except (StoreUnavailable, Conflict) as error:
                late.failed(error)

    def findings(self) -> Sequence[Finding]:
        """For the status of the cluster."""
        now = self._wall()
        found = control_findings(self.glasses.unsigned(), now)
        return [*found, *waiting_finding(len(self.pending.listed(every=False).changes))]

    def judge(self, wish: Wish, *, approved: bool = False) -> Judgement:
        """Raises Refused where a time zone is not known here."""
        broken = self.glasses.open_now() is not None
        return judge(self.document, wish, self._wall(), local, approved=approved, broken=broken)

    def told(self, wish: Wish) -> tuple[str, ...]:
        """What a change without a ticket would need now, a line for each thing."""
        document = self.document
        rule = None if document is None else rule_for(document, wish)
        if rule is None:
            return ()
        try:
            found = self.judge(wish).reasons
        except Refused as error:
            found = (error.message,)
        if rule.approval and self.glasses.open_now() is None:
            found = (*found, f"rule {rule.name!r} asks for a second person's approval")
        return found

    def view(self) -> ControlView:
        record = self._term.view.control
        if record is None:
            return ControlView(False)
        frozen: tuple[str, ...] = ()
        warnings = self._warnings(record.document)
        try:
            frozen = frozen_now(record.document, self._wall(), local)
        except Refused as error:
            warnings = (error.message, *warnings)
        change = record.change
        return ControlView(
            True, record.document, change.by, change.at, change.ticket, frozen, warnings
        )

    async def apply(self, request: ControlRequest, change: Change) -> ControlAnswer:
        """Raises InvalidInput with a problem for each field, Refused without a ticket."""
        return await self._term.whole(self._apply(request, change))

    async def _apply(self, request: ControlRequest, change: Change) -> ControlAnswer:
        asked_for = asked("change control", "", request)
        problems = problems_of(request.document, zone_known)
        if problems:
            raise InvalidInput(problems)
        _must_have_ticket(change)
        view = self._term.view
        async with self._term.one_at_a_time:
            known = self._repeats.answer(ControlAnswer, asked_for)
            if known is not None:
                return known
            old = view.control
            changed = old is None or old.document != request.document
            record = ControlRecord(request.document, change)
            answer = await self._repeats.commit(
                asked_for,
                ControlAnswer(
                    changed, len(request.document.rules), self._warnings(request.document)
                ),
                change.at,
                [Compare(CONTROL_KEY, view.modified(CONTROL_KEY))],
                [Put(CONTROL_KEY, encode(record))] if changed else [],
                subject="change control",
                remedy=TOO_LARGE,
            )
        if answer.changed:
            self._tell("change-control.applied", "change control", change, told(request.document))
        return answer

    async def remove(self, request: ControlRemoval, change: Change) -> ControlAnswer:
        """From now on nothing is asked of changes. Raises NotFound where there is none, Refused without a ticket."""
        return await self._term.whole(self._remove(request, change))

    async def _remove(self, request: ControlRemoval, change: Change) -> ControlAnswer:
        asked_for = asked("remove change control", "", request)
        _must_have_ticket(change)
        view = self._term.view
        async with self._term.one_at_a_time:
            known = self._repeats.answer(ControlAnswer, asked_for)
            if known is not None:
                return known
            if view.control is None:
                raise NotFound("there is no change control", remedy="hullmark change-control apply")
            answer = await self._repeats.commit(
                asked_for,
                ControlAnswer(True, 0),
                change.at,
                [Compare(CONTROL_KEY, view.modified(CONTROL_KEY))],
                [Delete(CONTROL_KEY)],
                subject="change control",
                remedy="ask again",
            )
        self._tell("change-control.removed", "change control", change, {})
        return answer

    def _warnings(self, document: ControlDocument) -> tuple[str, ...]:
        apps = [name for name, app in self._term.view.apps.items() if not app.removing]
        return tuple(warnings_of(document, apps, dict(self._ended(document))))

    def _ended(self, document: ControlDocument) -> Mapping[str, bool]:
        now, found = self._wall(), {}
        for window in document.freezes:
            ends, zone = moment_of(window.ends), window.timezone or document.timezone
            if ends is not None and zone_known(zone):
                found[window.name] = local(zone, now) >= ends
        return found


def told(document: ControlDocument) -> Mapping[str, str]:
    """What an event says of it."""
    names = ", ".join(rule.name for rule in document.rules)[:500]
    return {"rules": names or "none", "sha256": digest(document)}


def _must_have_ticket(change: Change) -> None:
    if not change.ticket.strip():
        raise Refused("a change of change control needs a ticket", remedy="--ticket TEXT")
