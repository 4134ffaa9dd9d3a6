"""How long a change is waited for: when what is seen is believed, and when waiting longer makes no sense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from hullmark.model.api import AppDetail, InstanceView
from hullmark.model.observed import Health, Phase
from hullmark.model.records import RolloutState

STEADY_S = 1.0
FRESH_S = 10.0
"""More than `STEADY_S`, because the clocks of host and reader differ a little."""
UNPLACED_S = 2.0
"""A host that was just heard, or a port that was just given back, is in the next plan."""
FAILURES = 5
FAILING_S = 15.0
"""Five failures may take two seconds; what an instance needs from elsewhere may take longer to come up."""
JUDGED_S = 2.0
"""Within this the leader has seen a failure, and has stopped the change for it or not."""
NO_END_S = float("inf")

_MOVING = (Phase.PULLING, Phase.CREATING, Phase.STARTING, Phase.STOPPING)


class Trial:
    """A process that ends at once counts as running for a moment. So what has no health check has to stay up for
    `STEADY_S` before it is believed; what is older than that, or healthy, isn't waited for."""

    def __init__(self) -> None:
        self._starts: tuple[object, ...] = ()
        self._begin = 0.0
        self.left_s = NO_END_S

    def passed(self, detail: AppDetail) -> bool:
        """Of an app that is settled."""
        starts = tuple(_fresh(detail))
        if starts != self._starts:
            self._starts, self._begin = starts, time.monotonic()
        self.left_s = self._begin + STEADY_S - time.monotonic() if starts else NO_END_S
        return not starts or self.left_s <= 0


def _fresh(detail: AppDetail) -> Iterator[object]:
    """What tells the starts of instances apart that began a moment ago and have no health check."""
    for item in detail.instances:
        status = item.status
        if status is None or status.phase is not Phase.RUNNING or status.health is not Health.NONE:
            continue
        if time.time() - status.started_at < FRESH_S:
            yield item.name, status.container_id, status.started_at, status.restarts


class Homeless:
    """Whether instances have no place, and nothing is under way that could make one."""

    def __init__(self) -> None:
        self._begin = 0.0
        self.left_s = NO_END_S

    def lasts(self, detail: AppDetail) -> bool:
        unplaced = [item for item in detail.instances if item.unplaced]
        others = [item for item in detail.instances if not item.unplaced]
        if not unplaced or any(map(_is_moving, others)):
            self._begin, self.left_s = 0.0, NO_END_S
            return False
        self._begin = self._begin or time.monotonic()
        self.left_s = self._begin + UNPLACED_S - time.monotonic()
        return self.left_s <= 0


@dataclass
class _Life:
    """Of one instance in one generation, as far as it was watched."""

    restarts: int
    phase: Phase
    backoffs: int = 0
    failing_since: float = 0.0
    served: bool = False


class Failing:
    """Whether an instance fails again and again, and never served. The agent goes on trying for ever."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, int], _Life] = {}
        self.left_s = NO_END_S

    def lasts(self, detail: AppDetail) -> bool:
        """False too while other instances are under way: they may be what the failing ones lack."""
        lives = [(item, self._watched(item)) for item in detail.instances]
        begins = [life.failing_since for _, life in lives if life is not None]
        if not begins or any(_is_moving(item) for item, life in lives if life is None):
            self.left_s = NO_END_S
            return False
        self.left_s = min(begins) + FAILING_S - time.monotonic()
        return self.left_s <= 0

    def _watched(self, item: InstanceView) -> Optional[_Life]:
        """The instance's life, if it has failed too often by now."""
        status = item.status
        if status is None or item.removing:
            return None
        key = (item.name, item.generation)
        life = self._lives.setdefault(key, _Life(status.restarts, Phase.WAITING))
        if status.phase is Phase.BACKOFF:
            life.failing_since = life.failing_since or time.monotonic()
            life.backoffs += life.phase is not Phase.BACKOFF
            ran_s = status.finished_at - status.started_at if status.started_at else 0.0
            life.served = life.served or ran_s >= FRESH_S
        life.served = life.served or status.health is Health.HEALTHY
        life.phase = status.phase
        failures = max(life.backoffs, status.restarts - life.restarts)
        return life if failures >= FAILURES and not life.served else None


class Unjudged:
    """Whether something failed of which the leader is about to say whether it stops the change, or takes it back."""

    def __init__(self) -> None:
        self._begin = 0.0
        self.left_s = NO_END_S

    def lasts(self, detail: AppDetail) -> bool:
        rollout, self.left_s = detail.rollout, NO_END_S
        if not detail.failed or rollout is None or not rollout.services:
            self._begin = 0.0
            return False
        if rollout.state is not RolloutState.ROLLING:
            return rollout.state is RolloutState.UNDOING
        self._begin = self._begin or time.monotonic()
        self.left_s = self._begin + JUDGED_S - time.monotonic()
        return self.left_s > 0


def _is_moving(item: InstanceView) -> bool:
    """Whether something goes on there by itself."""
    status = item.status
    if item.removing:
        return True
    if status is None:
        return not item.held
    return status.phase in _MOVING or (
        status.phase is Phase.RUNNING and status.health is Health.STARTING
    )
