"""Waiting for a change to be carried out, by long polls of `GET /v1/apps/APP`."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from hullmark.cli.client import Client
from hullmark.errors import MasterUnavailable, NotFound, StaleEpoch, StoreUnavailable
from hullmark.model.api import AppDetail

HOLD_S = 20.0
PAUSE_S = 0.5
SHORT_ANSWER_S = 5.0


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
    while True:
        left_s = timeout_s - (time.monotonic() - begin)
        try:
            detail = _next(client, app, detail, max(0.0, min(HOLD_S, left_s)))
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
        if outcome is None and time.monotonic() - begin >= timeout_s:
            outcome = Outcome.TIMEOUT
        if outcome is not None:
            return Waited(outcome, detail, time.monotonic() - begin)


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
