"""Waiting for a change to be carried out, by long polls of `GET /v1/apps/APP`."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Optional

from hullmark.cli.client import Client
from hullmark.errors import MasterUnavailable, NotFound, StaleEpoch, StoreUnavailable
from hullmark.model.api import AppDetail
from hullmark.model.observed import Health, Phase

HOLD_S = 20.0
PAUSE_S = 0.5
STEADY_S = 1.0
FRESH_S = 10.0
"""More than `STEADY_S`, because the clocks of host and reader differ a little."""


class Outcome(enum.Enum):
    SETTLED = "settled"
    FAILED = "failed"
    GONE = "gone"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Waited:
    """`detail` is the newest one seen; None where there was none."""

    outcome: Outcome
    detail: Optional[AppDetail]
    seconds: float


Seen = Callable[[AppDetail], None]


def settle(client: Client, app: str, generation: int, timeout_s: float, seen: Seen) -> Waited:
    """Until the app is settled in this generation or a later one, or failed. `seen` is called with each answer.
    A master that goes away meanwhile is asked again until time runs out; then MasterUnavailable is raised.
    NotFound: somebody removed the app."""
    return _wait(client, app, generation, timeout_s, seen)


def vanish(client: Client, app: str, timeout_s: float, seen: Seen) -> Waited:
    """Until a removed app is gone."""
    return _wait(client, app, None, timeout_s, seen)


def _wait(
    client: Client, app: str, generation: Optional[int], timeout_s: float, seen: Seen
) -> Waited:
    begin = time.monotonic()
    detail: Optional[AppDetail] = None
    trial = _Trial()
    while True:
        left_s = timeout_s - (time.monotonic() - begin)
        try:
            hold_s = max(0.0, min(HOLD_S, left_s, trial.left_s))
            detail = _next(client, app, detail, hold_s)
        except NotFound as error:
            if generation is not None:
                raise NotFound(f"app {app} was removed by somebody meanwhile") from error
            return Waited(Outcome.GONE, detail, time.monotonic() - begin)
        except (MasterUnavailable, StoreUnavailable, StaleEpoch):
            if left_s <= PAUSE_S:
                raise
            time.sleep(PAUSE_S)
            continue
        seen(detail)
        outcome = _outcome(detail, generation)
        if outcome is not Outcome.SETTLED:
            trial.left_s = HOLD_S
        elif not trial.passed(detail):
            outcome = None
        if outcome is None and time.monotonic() - begin >= timeout_s:
            outcome = Outcome.TIMEOUT
        if outcome is not None:
            return Waited(outcome, detail, time.monotonic() - begin)


class _Trial:
    """A process that ends at once counts as running for a moment. So what has no health check has to stay up for
    `STEADY_S` before it is believed; what is older than that, or healthy, isn't waited for."""

    def __init__(self) -> None:
        self._starts: tuple[object, ...] = ()
        self._begin = 0.0
        self.left_s = HOLD_S

    def passed(self, detail: AppDetail) -> bool:
        """Of an app that is settled."""
        starts = tuple(_fresh(detail))
        if starts != self._starts:
            self._starts, self._begin = starts, time.monotonic()
        self.left_s = self._begin + STEADY_S - time.monotonic() if starts else HOLD_S
        return not starts or self.left_s <= 0


def _fresh(detail: AppDetail) -> Iterator[object]:
    """What tells the starts of instances apart that began a moment ago and have no health check."""
    for item in detail.instances:
        status = item.status
        if status is None or status.phase is not Phase.RUNNING or status.health is not Health.NONE:
            continue
        if time.time() - status.started_at < FRESH_S:
            yield item.name, status.container_id, status.started_at, status.restarts


def _next(client: Client, app: str, last: Optional[AppDetail], hold_s: float) -> AppDetail:
    path = f"/v1/apps/{app}"
    if last is None:
        return client.ask(AppDetail, path)
    return client.ask(AppDetail, path, {"after": last.version, "hold_s": round(hold_s, 3)}, hold_s)


def _outcome(detail: AppDetail, generation: Optional[int]) -> Optional[Outcome]:
    if generation is None or detail.summary.generation < generation:
        return None
    if detail.settled:
        return Outcome.SETTLED
    return Outcome.FAILED if detail.failed else None
