"""Changes on their way: what people may do about them, and what the leader does when one fails.

Pausing and resuming change the app's `Rollout`; undoing makes a generation. Each is one transaction that compares both
records, and safe to ask for again (`repeats`). A change that failed is taken back likewise: a leader that dies before the
transaction leaves the rollout `undoing`, and its successor takes it back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Optional

from hullmark.core import generations
from hullmark.core.rollout import course, resumed, undone
from hullmark.core.rolloutview import rollout_view
from hullmark.core.roster import Roster
from hullmark.errors import Conflict, InvalidInput, NotFound, Problem
from hullmark.masterd.events import Tell
from hullmark.masterd.leadership import size_bytes
from hullmark.masterd.repeats import RESERVED_BYTES, Asked, Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.names import APPS, ROLLOUTS
from hullmark.model.records import AppRecord, GenerationRecord, Rollout, RolloutState
from hullmark.model.rollout import (
    GenerationView,
    HistoryList,
    RolloutAction,
    RolloutAnswer,
    RolloutRequest,
    RolloutView,
)
from hullmark.store.protocol import MAX_TRANSACTION_BYTES, Compare, Put, Write

LEADER = "hullmark"
"""Who asked for a generation that the leader made by itself."""


class Rollouts:
    """`wall` is for records only."""

    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._wall = wall
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)
        term.loop.undo = self.take_back
        term.loop.told = self._follow

    def view(self, app: str) -> RolloutView:
        """Raises NotFound, and Conflict for an app that is being removed."""
        record = self._term.view.living_app(app)
        return rollout_view(self._term.snapshot(), record, self._term.version.value)

    async def history(self, app: str) -> HistoryList:
        """Raises NotFound."""
        now = self._term.view.app(app)
        good = self._rollout(now).good
        return HistoryList(
            app,
            tuple(_shown(item, now, good) for item in await self._term.history.all(app)),
        )

    async def change(self, app: str, request: RolloutRequest, change: Change) -> RolloutAnswer:
        """Raises NotFound for an app or a generation that there isn't, Conflict where nothing is under way."""
        return await self._term.whole(self._change(app, request, change))

    async def _change(self, app: str, request: RolloutRequest, change: Change) -> RolloutAnswer:
        asked_for = asked("rollout", app, request)
        if request.to and request.action is not RolloutAction.UNDO:
            raise InvalidInput([Problem("only with undo", field="to", allowed="0")])
        async with self._term.one_at_a_time:
            known = self._repeats.answer(RolloutAnswer, asked_for)
            if known is not None:
                return known
            record = self._term.view.living_app(app)
            if request.action is RolloutAction.UNDO:
                answer = await self._undo(record, request.to, asked_for, change)
            elif request.action is RolloutAction.PAUSE:
                answer = await self._pause(record, asked_for, change)
            else:
                answer = await self._resume(record, asked_for, change)
        if answer.changed:
            fields = {"generation": str(answer.generation)}
            if answer.taken_back:
                fields["goes back to"] = str(answer.taken_back)
            word = {"pause": "paused", "resume": "resumed", "undo": "undone"}[request.action.value]
            self._tell(f"rollout.{word}", app, change, fields)
        return answer

    async def _pause(self, record: AppRecord, asked_for: Asked, change: Change) -> RolloutAnswer:
        rollout = self._rollout(record)
        if rollout.state in (RolloutState.DONE, RolloutState.UNDOING):
            raise _not_rolling(record, rollout)
        ticket = f", ticket {change.ticket}" if change.ticket else ""
        paused = dataclasses.replace(
            rollout,
            state=RolloutState.PAUSED,
            reason=f"by {change.by}{ticket}",
            by=change.by,
            at=change.at,
        )
        changed = rollout.state is not RolloutState.PAUSED
        return await self._keep(record, paused if changed else rollout, changed, asked_for, change)

    async def _resume(self, record: AppRecord, asked_for: Asked, change: Change) -> RolloutAnswer:
        rollout = self._rollout(record)
        if rollout.state in (RolloutState.DONE, RolloutState.UNDOING):
            raise _not_rolling(record, rollout)
        changed = rollout.state is RolloutState.PAUSED
        snapshot = self._term.snapshot()
        goes_on = resumed(snapshot, record, Roster.of(snapshot), rollout) if changed else rollout
        return await self._keep(record, goes_on, changed, asked_for, change)

    async def _keep(
        self,
        record: AppRecord,
        rollout: Rollout,
        changed: bool,
        asked_for: Asked,
        change: Change,
    ) -> RolloutAnswer:
        app = record.app.name
        answer = RolloutAnswer(app, record.generation, changed, rollout.state.value)
        writes: list[Write] = [Put(ROLLOUTS + app, encode(rollout))] if changed else []
        return await self._commit(app, asked_for, answer, change, writes)

    async def _undo(
        self, record: AppRecord, to: int, asked_for: Asked, change: Change
    ) -> RolloutAnswer:
        app = record.app.name
        former = await self._former(record, to)
        taken = self._taken_back(record, former, change)
        if taken is record:
            answer = RolloutAnswer(app, record.generation, False, self._rollout(record).state.value)
            return await self._commit(app, asked_for, answer, change, [])
        answer = RolloutAnswer(
            app, taken.generation, True, RolloutState.ROLLING.value, former.record.generation
        )
        await self._term.history.fill(record)
        writes = self._writes(record, taken)
        return await self._commit(app, asked_for, answer, change, writes)

    async def _former(self, record: AppRecord, to: int) -> GenerationRecord:
        """Raises NotFound, and Conflict for the generation that the app is at."""
        app, rollout = record.app.name, self._rollout(record)
        kept = [item for item in self._term.history.generations(app) if item != record.generation]
        if to == record.generation:
            raise Conflict(
                f"app {app} is at generation {to}", remedy=f"hullmark rollout history {app}"
            )
        if not to:
            done = [item for item in (rollout.good, rollout.former) if item in kept]
            # What a generation took back is not what it is itself to be taken back to.
            older = [item for item in kept if item < (record.rolled_back_to or record.generation)]
            to = (done or older[-1:] or [0])[0]
        found = await self._term.history.find(app, to) if to in kept else None
        if found is None:
            what = f"generation {to}" if to else "former generation"
            listed = ", ".join(map(str, kept))
            raise NotFound(
                f"the history of app {app} has no {what}",
                remedy=f"one of {listed}" if kept else f"hullmark apply, with the files of {app}",
            )
        return found

    def _taken_back(self, record: AppRecord, former: GenerationRecord, change: Change) -> AppRecord:
        floor = generations.highest_generation(self._term.snapshot(), record.app.name)
        return generations.taken_back(record, former.record, change, floor=floor)

    def _writes(self, record: AppRecord, taken: AppRecord) -> list[Write]:
        history = self._term.history.writes(record, taken)
        return [Put(APPS + record.app.name, encode(taken)), *history]

    async def _commit(
        self,
        app: str,
        asked_for: Asked,
        answer: RolloutAnswer,
        change: Change,
        writes: Sequence[Write],
    ) -> RolloutAnswer:
        return await self._repeats.commit(
            asked_for,
            answer,
            change.at,
            self._compares(app),
            writes,
            subject=f"app {app}",
            remedy="apply it from smaller files: an app is kept twice, once in its history",
        )

    def _compares(self, app: str) -> list[Compare]:
        view = self._term.view
        return [Compare(key, view.modified(key)) for key in (APPS + app, ROLLOUTS + app)]

    async def take_back(self, app: str) -> None:
        """Of a rollout that is to be undone because too much of it failed. Where it isn't (any more) nothing happens."""
        async with self._term.one_at_a_time:
            view = self._term.view
            record, rollout = view.apps.get(app), view.rollouts.get(app)
            if record is None or record.removing or rollout is None:
                return
            if rollout.state is not RolloutState.UNDOING or rollout.generation != record.generation:
                return
            former = await self._term.history.find(app, rollout.good)
            change = Change(LEADER, "", self._wall(), record.change.ticket)
            writes: list[Write] = []
            if former is not None:
                taken = self._taken_back(record, former, change)
                if taken is not record:
                    begun = undone(record, rollout, taken)
                    writes = [*self._writes(record, taken), Put(ROLLOUTS + app, encode(begun))]
            if not writes or size_bytes(writes) > MAX_TRANSACTION_BYTES - RESERVED_BYTES:
                why = _why_not(rollout, former, bool(writes))
                paused = dataclasses.replace(
                    rollout, state=RolloutState.PAUSED, reason=f"{rollout.reason}; {why}"
                )
                await self._term.leadership.commit(
                    self._compares(app), [Put(ROLLOUTS + app, encode(paused))]
                )
                self._follow(app, rollout, paused)
                return
            done = await self._term.leadership.commit(self._compares(app), writes)
        if done.succeeded:
            fields = {
                "generation": str(record.generation),
                "goes back to": str(rollout.good),
                "reason": rollout.reason,
            }
            self._tell("rollout.rolled-back", app, dataclasses.replace(change, by=""), fields)

    def _follow(self, app: str, before: Optional[Rollout], after: Rollout) -> None:
        """Tell of a rollout that stopped by itself, or is done."""
        if before is not None and before.state is after.state:
            return
        fields = {"generation": str(after.generation)}
        change = Change("", "", after.at)
        if after.state is RolloutState.PAUSED and not after.by:
            self._tell("rollout.paused", app, change, {**fields, "reason": after.reason})
        elif after.state is RolloutState.DONE and before is not None and before.services:
            self._tell("rollout.done", app, change, fields)

    def _rollout(self, record: AppRecord) -> Rollout:
        """As it stands now, also where no plan has looked at the generation yet."""
        snapshot = self._term.snapshot()
        return course(snapshot, record, Roster.of(snapshot)).rollout


def _not_rolling(record: AppRecord, rollout: Rollout) -> Conflict:
    app = record.app.name
    what = f"generation {record.generation} of app {app}"
    if rollout.state is RolloutState.UNDOING:
        return Conflict(f"{what} is being taken back", remedy=f"hullmark rollout status {app}")
    return Conflict(f"{what} is done: nothing rolls", remedy=f"hullmark rollout status {app}")


def _why_not(rollout: Rollout, former: Optional[GenerationRecord], too_large: bool) -> str:
    if too_large:
        return f"generation {rollout.good} is too large to be taken back by itself"
    if former is None:
        return f"generation {rollout.good} is not in the history any more"
    return f"generation {rollout.good}, the last one that was done, is the same"


def _shown(item: GenerationRecord, now: AppRecord, good: int) -> GenerationView:
    record = item.record
    state = "now" if record.generation == now.generation else ""
    if not state and record.generation == good:
        state = "done"
    return GenerationView(
        record.generation, record.change, record.rolled_back_to, state, item.differences
    )
