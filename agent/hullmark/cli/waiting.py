"""Waiting for a change to be carried out, by long polls of `GET /v1/apps/APP`."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from hullmark.cli.absentees import Absentees, unseen
from hullmark.cli.client import Client
from hullmark.cli.patience import Failing, Homeless, Trial, Unjudged
from hullmark.cli.polling import HOLD_S, newer
from hullmark.errors import HullmarkError, NotFound
from hullmark.model.api import AppDetail, EventList
from hullmark.model.records import RolloutState

EVENTS_LOOKED_AT = 1000


class Outcome(enum.Enum):
    """How a wait ended."""

    SETTLED = "settled"
    FAILED = "failed"
    GONE = "gone"  # removed, as asked
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"  # somebody changed or removed the app meanwhile
    FAILING = "failing"  # it ends again and again; the agent goes on trying
    UNPLACED = "unplaced"  # no host can take it
    STOPPED = "stopped"  # too many of the new instances failed; the change is paused
    UNDONE = "undone"  # too many of the new instances failed; the change is taken back


@dataclass(frozen=True)
class Successor:
    """The change that took the place of ours. `generation` 0: a removal. `by` empty: not known. `reason`: why the
    leader took ours back."""

    generation: int
    by: str
    ticket: str
    reason: str = ""


@dataclass(frozen=True)
class Waited:
    """`detail` is the newest one seen of our own generation; None where there was none. `successor` is there
    with SUPERSEDED and UNDONE only."""

    outcome: Outcome
    detail: Optional[AppDetail]
    seconds: float
    successor: Optional[Successor] = None


Seen = Callable[[AppDetail], None]


def settle(
    client: Client, app: str, generation: int, timeout_s: float, seen: Seen, told: bool = False
) -> Waited:
    """Until the app is settled in this generation, or it makes no sense to wait longer. `seen` is called with each
    answer. `told`: a host that is lost, and waited for, is named on standard error. A master that goes away meanwhile is asked again
    until time runs out; then MasterUnavailable is raised."""
    absentees = Absentees(client if told else None, timeout_s)
    return _Wait(client, app, generation, seen, absentees).until(timeout_s)


def vanish(
    client: Client, app: str, generation: int, timeout_s: float, seen: Seen, told: bool = False
) -> Waited:
    """Until a removed app is gone. `told` and what is raised as of `settle`."""
    absentees = Absentees(client if told else None, timeout_s)
    return _Wait(client, app, generation, seen, absentees, removing=True).until(timeout_s)


class _Wait:
    def __init__(
        self,
        client: Client,
        app: str,
        generation: int,
        seen: Seen,
        absentees: Absentees,
        *,
        removing: bool = False,
    ) -> None:
        self._client = client
        self._app = app
        self._generation = generation
        self._seen = seen
        self._removing = removing
        self._trial, self._homeless, self._failing = Trial(), Homeless(), Failing()
        self._unjudged, self._absentees = Unjudged(), absentees
        self._begin = time.monotonic()
        self._last: Optional[AppDetail] = None
        self._own: Optional[AppDetail] = None

    def until(self, timeout_s: float) -> Waited:
        while True:
            left_s = timeout_s - self._passed_s
            try:
                self._last = self._next(left_s)
            except NotFound:
                if self._removing:
                    return self._over(Outcome.GONE)
                return self._over(Outcome.SUPERSEDED, _remover(self._client, self._app))
            found = self._judged(self._last)
            if found is not None:
                return found
            if self._passed_s >= timeout_s:
                return self._over(Outcome.TIMEOUT)

    @property
    def _passed_s(self) -> float:
        return time.monotonic() - self._begin

    def _next(self, left_s: float) -> AppDetail:
        patience = (self._trial, self._homeless, self._failing, self._unjudged)
        hold_s = min(HOLD_S, self._absentees.left_s, *(one.left_s for one in patience))
        version = 0 if self._last is None else self._last.version
        deadline = time.monotonic() + left_s
        path = f"/v1/apps/{self._app}"
        return newer(self._client, AppDetail, path, version, hold_s, deadline)

    def _over(self, outcome: Outcome, successor: Optional[Successor] = None) -> Waited:
        return Waited(outcome, self._own, self._passed_s, successor)

    def _judged(self, detail: AppDetail) -> Optional[Waited]:
        summary = detail.summary
        known = summary.generation >= self._generation
        removed = known and summary.state == "removing" and not self._removing
        if removed or summary.generation > self._generation:
            return self._followed(detail, 0 if removed else summary.generation)
        self._seen(detail)
        if not known:
            return None
        self._own = detail
        outcome = None if self._removing else self._outcome(detail)
        if outcome is None:
            self._absentees.awaited(() if detail.settled else unseen(detail.instances))
            return None
        return self._over(outcome)

    def _followed(self, detail: AppDetail, generation: int) -> Waited:
        change, rollout = detail.summary.change, detail.rollout
        if generation and rollout is not None and rollout.undid == self._generation:
            successor = Successor(generation, change.by, change.ticket, rollout.reason)
            return self._over(Outcome.UNDONE, successor)
        return self._over(Outcome.SUPERSEDED, Successor(generation, change.by, change.ticket))

    def _outcome(self, detail: AppDetail) -> Optional[Outcome]:
        homeless, failing = self._homeless.lasts(detail), self._failing.lasts(detail)
        if detail.settled:
            return Outcome.SETTLED if self._trial.passed(detail) else None
        self._trial = Trial()
        if self._unjudged.lasts(detail):
            return None
        if detail.failed:
            rollout = detail.rollout
            paused = rollout is not None and rollout.state is RolloutState.PAUSED
            return Outcome.STOPPED if paused else Outcome.FAILED
        if failing:
            return Outcome.FAILING
        return Outcome.UNPLACED if homeless else None


def _remover(client: Client, app: str) -> Successor:
    """Who removed an app that is gone, as far as it can be found out."""
    try:
        found = client.ask(EventList, "/v1/events", {"limit": EVENTS_LOOKED_AT})
    except HullmarkError:
        return Successor(0, "", "")
    for event in reversed(found.events):
        if event.kind == "app.removed" and event.subject == app:
            return Successor(0, event.by, event.fields.get("ticket", ""))
    return Successor(0, "", "")
