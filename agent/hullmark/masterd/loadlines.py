"""The mark as the leader keeps it: the document, people's words against it, and the watch over its brake."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from hullmark import log
from hullmark.core.loadlinecheck import asked_for, override_problems, problems_of, warnings_of
from hullmark.core.loadlinestanding import brake_note, brakes, mark_findings, mark_view
from hullmark.core.overview import Finding
from hullmark.errors import InvalidInput, NotFound, Problem, Refused
from hullmark.masterd.events import Tell
from hullmark.masterd.repeats import Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import View, encode
from hullmark.model.change import Change
from hullmark.model.loadline import (
    EVERY_CONTROL,
    NO_LINE,
    OVERRIDE_S,
    OVERRIDES_MOST,
    LoadLine,
    LoadLineAnswer,
    LoadLineRecord,
    LoadLineRemoval,
    LoadLineRequest,
    LoadLineView,
    Override,
    OverrideEnd,
    OverrideRequest,
)
from hullmark.model.names import LOADLINE_KEY
from hullmark.store.protocol import Compare, Delete, Put, Write

LOOK_S = 2.0
LASTS_S = 10.0
"""A brake that is off again within this, as where all agents begin anew, is not told."""
SUBJECT = "mark"
BRAKED, FREED = "mark.brake-on", "mark.brake-off"
OVERRIDDEN = "mark.overridden"
TOO_LARGE = "fewer controls, or fewer overrides"
AddEvent = Callable[[str, str, str, str, Mapping[str, str]], None]

_Made = tuple[LoadLineAnswer, LoadLineRecord, Callable[[], None]]
"""The answer, the record as it is to be, and what tells of it."""

_log = log.get("mark")


class LoadLines:
    """`wall` gives seconds since 1970, `clock` those that nobody sets. `tell` is for what people change, `add` for what the
    leader finds."""

    def __init__(
        self,
        term: Term,
        wall: Callable[[], float],
        clock: Callable[[], float],
        tell: Tell,
        add: AddEvent,
    ) -> None:
        self._term = term
        self._wall = wall
        self._clock = clock
        self._tell = tell
        self._add = add
        self._repeats = Repeats(term.leadership, term.view)
        self._seen: dict[str, float] = {}
        self._told: set[str] = set()

    def view(self) -> LoadLineView:
        return mark_view(self._term.snapshot())

    def findings(self) -> Sequence[Finding]:
        return tuple(mark_findings(self._term.snapshot()))

    async def run(self) -> None:
        """Tell that the brake is on, or off again, as long as this master leads."""
        self._told = _open(self._term)
        while self._term.leadership.is_leader:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        now, found = self._clock(), {each.control: each for each in brakes(self._term.snapshot())}
        for control in sorted(self._told - found.keys()):
            self._told.discard(control)
            self._add(FREED, SUBJECT, f"control {control}", "", {"control": control})
        self._seen = {control: self._seen.get(control, now) for control in found}
        for control, brake in found.items():
            if control not in self._told and now - self._seen[control] >= LASTS_S:
                self._told.add(control)
                numbers = {"failing": str(brake.failing), "eligible": str(brake.eligible)}
                _log.warning("the mark's brake is on", control=control, **numbers)
                fields = {"control": control, **numbers}
                self._add(BRAKED, SUBJECT, brake_note(brake), "", fields)

    async def set(self, request: LoadLineRequest, change: Change) -> LoadLineAnswer:
        """Raises InvalidInput with a problem for each field."""
        problems = problems_of(request.line)
        if problems:
            raise InvalidInput(problems)

        def made() -> _Made:
            old = self._term.view.loadline
            names = [each.control for each in request.line.require]
            warnings = tuple(warnings_of(self._term.snapshot(), names))
            answer = LoadLineAnswer(old.change is None or old.line != request.line, warnings)
            record = dataclasses.replace(old, line=request.line, change=change)
            return (
                answer,
                record,
                lambda: self._tell("mark.set", SUBJECT, change, told(request.line)),
            )

        return await self._term.whole(self._change("set", request, change, made))

    async def clear(self, request: LoadLineRemoval, change: Change) -> LoadLineAnswer:
        """The cluster requires nothing any more; apps may. Raises NotFound where no mark is set."""

        def made() -> _Made:
            old = self._term.view.loadline
            if old.change is None:
                raise NotFound("no mark is set", remedy="hullmark mark set FILE")
            record = dataclasses.replace(old, line=NO_LINE, change=None)
            return (
                LoadLineAnswer(True),
                record,
                lambda: self._tell("mark.cleared", SUBJECT, change, {}),
            )

        return await self._term.whole(self._change("clear", request, change, made))

    async def override(self, request: OverrideRequest, change: Change) -> LoadLineAnswer:
        """Raises InvalidInput, NotFound for an app that there isn't, Refused without a ticket."""
        problems = list(override_problems(request))
        if problems:
            raise InvalidInput(problems)
        if request.app:
            self._term.view.app(request.app)
        must_have_ticket(change)

        def made() -> _Made:
            word = word_of(request.control, change, request.app, request.for_s)
            record = with_word(self._term.view.loadline, word)
            known = asked_for(self._term.snapshot(), request.app)
            idle = request.control not in (EVERY_CONTROL, *known)
            text = f"nothing asks for control {request.control} now"
            answer = LoadLineAnswer(True, (text,) if idle else ())
            return answer, record, lambda: tell_word(self._tell, word, change)

        return await self._term.whole(self._change("override", request, change, made))

    async def end_override(self, request: OverrideEnd, change: Change) -> LoadLineAnswer:
        """Before its time. Raises NotFound where there is none."""
        named = (request.control, request.app)

        def made() -> _Made:
            old, now = self._term.view.loadline, self._wall()
            valid = [word for word in old.overrides if now < word.until]
            left = tuple(word for word in valid if (word.control, word.app) != named)
            if len(left) == len(valid):
                text = f"no override of {request.control[:64]} is in force"
                raise NotFound(text, remedy="hullmark mark status")
            fields = {"control": request.control, **({"app": request.app} if request.app else {})}
            record = dataclasses.replace(old, overrides=left)
            tell = lambda: self._tell("mark.override-ended", SUBJECT, change, fields)  # noqa: E731
            return LoadLineAnswer(True), record, tell

        return await self._term.whole(self._change("end override", request, change, made))

    async def _change(
        self, verb: str, request: Any, change: Change, made: Callable[[], _Made]
    ) -> LoadLineAnswer:
        """One transaction, and what is told of it; asked again, the same answer and nothing told."""
        asked_once = asked(f"mark {verb}", "", request)
        async with self._term.one_at_a_time:
            known = self._repeats.answer(LoadLineAnswer, asked_once)
            if known is not None:
                return known
            answer, record, tell = made()
            answer = await self._repeats.commit(
                asked_once,
                answer,
                change.at,
                [Compare(LOADLINE_KEY, self._term.view.modified(LOADLINE_KEY))],
                [written(record)] if answer.changed else [],
                subject="the mark",
                remedy=TOO_LARGE,
            )
        if answer.changed:
            tell()
        return answer


def written(record: LoadLineRecord) -> Write:
    """Nothing is kept where nothing is said."""
    if record.change is None and not record.overrides:
        return Delete(LOADLINE_KEY)
    return Put(LOADLINE_KEY, encode(record))


def word_of(control: str, change: Change, app: str = "", for_s: float = OVERRIDE_S) -> Override:
    until = change.at + for_s
    return Override(control, change.by, change.ticket, change.at, until, app, change.request_id)


def with_word(record: LoadLineRecord, word: Override) -> LoadLineRecord:
    """With a person's word, in place of one of the same control and app; those that are over go. Raises InvalidInput where
    there are too many."""
    kept = [
        each
        for each in record.overrides
        if word.at < each.until and (each.control, each.app) != (word.control, word.app)
    ]
    if len(kept) >= OVERRIDES_MOST:
        problem = Problem(f"{len(kept)} overrides are in force", allowed=f"{OVERRIDES_MOST}")
        raise InvalidInput([problem], remedy="hullmark mark override CONTROL --end")
    return dataclasses.replace(record, overrides=(*kept, word))


AppWord = tuple[Override, Compare, Write]


def of_app(view: View, app: str, change: Change) -> AppWord:
    """That one app's new work needs no control for some hours, as a part of another transaction. Raises Refused without a
    ticket."""
    must_have_ticket(change)
    word = word_of(EVERY_CONTROL, change, app)
    compare = Compare(LOADLINE_KEY, view.modified(LOADLINE_KEY))
    return word, compare, written(with_word(view.loadline, word))


def tell_word(tell: Tell, word: Override, change: Change) -> None:
    fields = {"control": word.control, "for_s": f"{word.until - word.at:.0f}"}
    tell(OVERRIDDEN, SUBJECT, change, {**fields, **({"app": word.app} if word.app else {})})


def told(line: LoadLine) -> Mapping[str, str]:
    """What an event says of it."""
    names = [
        f"{each.control} {each.level}" if each.level else each.control for each in line.require
    ]
    drain = {"drain": f"after {line.drain_after_s:.0f} s"} if line.drain else {}
    return {"require": ", ".join(names)[:500] or "nothing", "brake": f"{line.brake:g}", **drain}


def must_have_ticket(change: Change) -> None:
    if not change.ticket.strip():
        raise Refused("an override of the mark needs a ticket", remedy="--ticket TEXT")


def _open(term: Term) -> set[str]:
    """The brakes that former leaders told, and that were on when they did."""
    found: set[str] = set()
    for event in term.journal.all():
        control = event.fields.get("control", "")
        if event.kind == BRAKED:
            found.add(control)
        elif event.kind == FREED:
            found.discard(control)
    return found
