"""Health checks, run by the agent where the engine doesn't run them itself: Podman without systemd.

Each container has its own schedule. The engine keeps the result, its count of failures and its start period; the
agent says when, and how long a check may take: one that doesn't end in time counts as failed, and after as many in a row as the
check allows the container counts as unhealthy until one ends again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.observer import Observer
from hullmark.engine.protocol import ContainerState, Engine
from hullmark.errors import HullmarkError
from hullmark.model.app import Healthcheck
from hullmark.model.observed import Health

_log = log.get("health")

THREADS = 16
IDLE_S = 5.0
"""How often it is looked whether there is anything to check."""


@dataclass
class Course:
    """One container's checks. Times are of the monotonic clock; `began` None: none runs now."""

    check: Healthcheck
    due: float
    began: Optional[float] = None
    overdue: int = 0
    told: bool = False


class Schedule:
    """When each container is checked next: no thread, no clock of its own. One thread's."""

    def __init__(self) -> None:
        self.courses: dict[str, Course] = {}

    def keep(self, checks: Mapping[str, Healthcheck], now: float) -> None:
        """These containers are to be checked. The first check comes after one interval."""
        self.courses = {
            container_id: self.courses.get(container_id) or Course(check, now + check.interval_s)
            for container_id, check in checks.items()
        }

    def due(self, now: float) -> list[str]:
        """To be begun now; the longest overdue first."""
        waiting = [
            (course.due, container_id)
            for container_id, course in self.courses.items()
            if course.began is None and course.due <= now
        ]
        return [container_id for _, container_id in sorted(waiting)]

    def begin(self, container_id: str, now: float) -> None:
        self.courses[container_id].began = now
        self.courses[container_id].told = False

    def end(self, container_id: str, now: float) -> None:
        """It ended by itself, with whatever result."""
        course = self.courses.get(container_id)
        if course is not None and course.began is not None:
            if not course.told:
                course.overdue = 0
            course.began, course.due = None, now + course.check.interval_s

    def too_long(self, now: float) -> list[str]:
        """Checks that have just gone past their time, each named once; a container that has had as many in a row as
        its check allows is unhealthy (`is_stuck`)."""
        found = []
        for container_id, course in self.courses.items():
            if course.began is None or course.told:
                continue
            if now - course.began > course.check.timeout_s:
                course.told = True
                course.overdue += 1
                found.append(container_id)
        return found

    def is_stuck(self, container_id: str, now: float) -> bool:
        """A check that never ends fails once in each interval."""
        course = self.courses.get(container_id)
        if course is None or course.overdue == 0:
            return False
        missed = 0
        if course.began is not None:
            missed = int((now - course.began - course.check.timeout_s) // course.check.interval_s)
        return course.overdue + max(0, missed) >= course.check.retries

    def next_in(self, now: float) -> float:
        """Seconds until there is something to do."""
        moments = [now + IDLE_S]
        for course in self.courses.values():
            if course.began is None:
                moments.append(course.due)
            elif not course.told:
                moments.append(course.began + course.check.timeout_s)
        return max(0.02, min(moments) - now)


class HealthChecks:
    """`wake` is called when a health may have changed."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        wake: Callable[[], None],
        *,
        pool: Optional[Executor] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._wake = wake
        self._pool = pool or ThreadPoolExecutor(THREADS, "health")
        self._clock = clock
        self._schedule = Schedule()
        self._lock = threading.Lock()
        self._ended: list[str] = []
        self._running = 0
        self._stuck: set[str] = set()
        self._nudge = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._nudge.clear()
            self.turn()
            next_s = self._schedule.next_in(self._clock())
            pulse.within(next_s)
            self._nudge.wait(next_s)

    def nudge(self) -> None:
        """Free `run` from its wait."""
        self._nudge.set()

    def turn(self) -> None:
        """Begin what is due, and judge what takes too long."""
        now = self._clock()
        self._take_ends(now)
        self._schedule.keep(self._wanted(), now)
        self._schedule.too_long(now)
        stuck = {one for one in self._schedule.courses if self._schedule.is_stuck(one, now)}
        if stuck != self._stuck:
            for container_id in stuck | self._stuck:
                self._observer.judge(
                    container_id, Health.UNHEALTHY if container_id in stuck else None
                )
            self._stuck = stuck
            self._wake()
        # One that waits for a thread has not begun, and its time doesn't run.
        for container_id in self._schedule.due(now)[: THREADS - self._running]:
            self._schedule.begin(container_id, now)
            self._running += 1
            self._pool.submit(self._check, container_id)

    def _take_ends(self, now: float) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        self._running -= len(ended)
        for container_id in ended:
            self._schedule.end(container_id, now)

    def _wanted(self) -> dict[str, Healthcheck]:
        try:
            if self._engine.info().runs_health_checks:
                return {}
        except HullmarkError:
            return {}
        return {
            container.container_id: container.healthcheck
            for container in self._observer.seen()
            if container.healthcheck and container.state is ContainerState.RUNNING
        }

    def _check(self, container_id: str) -> None:
        """Runs in a thread of the pool."""
        try:
            self._engine.check_health(container_id)
        except HullmarkError as error:
            _log.debug("not checked", container=container_id[:12], why=error.message)
        finally:
            with self._lock:
                self._ended.append(container_id)
            self._observer.mark(container_id)
            self._nudge.set()
            self._wake()
