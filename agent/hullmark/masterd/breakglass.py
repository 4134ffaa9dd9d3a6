"""Break-glass: for a limited time changes need no approval, and no freeze window counts. Each is marked with it.

It stays in the cluster's status until another person has signed it off, also when it is long over.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Callable, Optional

from hullmark.core.changecontrol import same_person
from hullmark.core.controlcheck import BREAK_GLASS_S
from hullmark.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, Refused
from hullmark.masterd.events import Tell
from hullmark.masterd.repeats import Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.changecontrol import (
    Asker,
    BreakGlassList,
    BreakGlassRecord,
    BreakGlassRequest,
    BreakGlassView,
    Decision,
)
from hullmark.model.durations import age
from hullmark.model.moments import day
from hullmark.model.names import BREAK_GLASS
from hullmark.store.protocol import Compare, Put

REASON_MOST = 500
UNSIGNED_MOST = 50
CHANGES_TOLD = 200
LIST_MOST = 100


class BreakGlasses:
    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._wall = wall
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)
        self._told_over: set[str] = set()

    def open_now(self) -> Optional[BreakGlassRecord]:
        """None where none is open."""
        now = self._wall()
        return next((each for each in self._term.view.glasses.values() if now < each.until), None)

    def unsigned(self) -> list[BreakGlassRecord]:
        """Open ones and those that are over, the oldest first."""
        found = [each for each in self._term.view.glasses.values() if not each.signed_by]
        return sorted(found, key=lambda each: each.opened_at)

    def listed(self) -> BreakGlassList:
        """The newest first."""
        found = sorted(self._term.view.glasses.values(), key=lambda each: -each.opened_at)
        return BreakGlassList(tuple(self.view(each) for each in found[:LIST_MOST]))

    def view(self, record: BreakGlassRecord) -> BreakGlassView:
        state = "open" if self._wall() < record.until else "over"
        return BreakGlassView(
            record.glass_id,
            record.opener.who,
            record.reason,
            record.ticket,
            record.opened_at,
            record.until,
            "signed off" if record.signed_by else state,
            record.closed_by,
            record.signed_by,
            record.signed_at,
            record.note,
            tuple(self._changes(record))[:CHANGES_TOLD],
        )

    def named(self, glass_id: str) -> BreakGlassRecord:
        """Raises NotFound."""
        record = self._term.view.glasses.get(glass_id)
        if record is None:
            raise NotFound(
                f"there is no break-glass {glass_id[:64]}", remedy="hullmark break-glass list"
            )
        return record

    async def open(
        self, request: BreakGlassRequest, change: Change, opener: Asker, most_s: float
    ) -> BreakGlassView:
        """`most_s`: for how long it may be open. Raises InvalidInput, Conflict where one is open."""
        return await self._term.whole(self._open(request, change, opener, most_s))

    async def _open(
        self, request: BreakGlassRequest, change: Change, opener: Asker, most_s: float
    ) -> BreakGlassView:
        asked_for = asked("break-glass", "", request)
        problems = list(_problems(request, most_s))
        if problems:
            raise InvalidInput(problems)
        async with self._term.one_at_a_time:
            known = self._repeats.answer(BreakGlassView, asked_for)
            if known is not None:
                return known
            self._must_be_closed()
            now = self._wall()
            glass_id = hashlib.sha256(request.request_id.encode()).hexdigest()[:8]
            record = BreakGlassRecord(
                glass_id, opener, request.reason, change.ticket, now, now + request.for_s
            )
            answer = await self._repeats.commit(
                asked_for,
                self.view(record),
                change.at,
                [Compare(BREAK_GLASS + glass_id, 0)],
                [Put(BREAK_GLASS + glass_id, encode(record))],
                subject="break-glass",
                remedy="a shorter reason",
            )
        fields = {"reason": record.reason, "until": day(record.until)}
        self._tell("break-glass.opened", f"break-glass {glass_id}", change, fields)
        return answer

    def _must_be_closed(self) -> None:
        now_open = self.open_now()
        if now_open is not None:
            raise Conflict(
                f"break-glass {now_open.glass_id} of {now_open.opener.who} is open until {day(now_open.until)}",
                remedy=f"use it; or close it first: hullmark break-glass close {now_open.glass_id}",
            )
        if len(self.unsigned()) >= UNSIGNED_MOST:
            raise Refused(
                f"{UNSIGNED_MOST} of them are not signed off",
                remedy="another person has to look at them first: hullmark break-glass list",
            )

    async def close(self, glass_id: str, request: Decision, change: Change) -> BreakGlassView:
        """Before its time. Raises Conflict for one that is over."""
        now = self._wall()

        def closed(record: BreakGlassRecord) -> BreakGlassRecord:
            if now >= record.until:
                raise Conflict(
                    f"break-glass {glass_id} is over", remedy="hullmark break-glass sign-off"
                )
            return dataclasses.replace(record, until=now, closed_by=change.by)

        return await self._term.whole(
            self._alter("close", glass_id, request, change, closed, "break-glass.closed")
        )

    async def sign_off(
        self, glass_id: str, request: Decision, change: Change, signer: Asker
    ) -> BreakGlassView:
        """Raises Forbidden for its opener, Conflict for one that is open or signed off."""
        now = self._wall()

        def signed(record: BreakGlassRecord) -> BreakGlassRecord:
            if same_person(record.opener, signer):
                raise Forbidden(
                    f"{signer.who} opened break-glass {glass_id}, and can't sign it off",
                    remedy="another person has to: hullmark break-glass sign-off " + glass_id,
                )
            if now < record.until:
                raise Conflict(
                    f"break-glass {glass_id} is open until {day(record.until)}",
                    remedy=f"hullmark break-glass close {glass_id}",
                )
            if record.signed_by:
                raise Conflict(f"break-glass {glass_id} was signed off by {record.signed_by}")
            return dataclasses.replace(
                record, signed_by=change.by, signed_at=now, note=request.reason[:REASON_MOST]
            )

        return await self._term.whole(
            self._alter("sign off", glass_id, request, change, signed, "break-glass.signed-off")
        )

    async def _alter(
        self,
        verb: str,
        glass_id: str,
        request: Decision,
        change: Change,
        alter: Callable[[BreakGlassRecord], BreakGlassRecord],
        kind: str,
    ) -> BreakGlassView:
        asked_for = asked(f"break-glass {verb}", glass_id, request)
        async with self._term.one_at_a_time:
            known = self._repeats.answer(BreakGlassView, asked_for)
            if known is not None:
                return known
            record = alter(self.named(glass_id))
            key = BREAK_GLASS + glass_id
            answer = await self._repeats.commit(
                asked_for,
                self.view(record),
                change.at,
                [Compare(key, self._term.view.modified(key))],
                [Put(key, encode(record))],
                subject=f"break-glass {glass_id}",
                remedy="ask again",
            )
        note = {"note": request.reason[:REASON_MOST]} if request.reason else {}
        self._tell(kind, f"break-glass {glass_id}", change, {"of": record.opener.who, **note})
        return answer

    def tell_over(self) -> None:
        """Of those that ended by themselves: once while this leader leads."""
        now = self._wall()
        for record in self.unsigned():
            if (
                record.until <= now
                and not record.closed_by
                and record.glass_id not in self._told_over
            ):
                self._told_over.add(record.glass_id)
                if now - record.until < 60.0:
                    change = Change("", "", now, record.ticket)
                    fields = {"of": record.opener.who, "lasted": age(now - record.opened_at)}
                    self._tell("break-glass.over", f"break-glass {record.glass_id}", change, fields)

    def _changes(self, record: BreakGlassRecord) -> Iterator[str]:
        for event in self._term.journal.all():
            if event.fields.get("break_glass") == record.glass_id:
                yield f"{day(event.at)}  {event.kind} {event.subject} by {event.by}"


def _problems(request: BreakGlassRequest, most_s: float) -> Iterator[Problem]:
    said = request.reason
    if not said.strip() or not said.isprintable() or len(said) > REASON_MOST:
        allowed = f"why, in one line of at most {REASON_MOST} characters"
        yield Problem("no reason", field="reason", allowed=allowed)
    if not BREAK_GLASS_S[0] <= request.for_s <= most_s:
        allowed = f"{age(BREAK_GLASS_S[0])} to {age(most_s)}"
        yield Problem(f"open for {age(request.for_s)}", allowed=allowed)
