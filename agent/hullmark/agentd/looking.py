"""One look of one check: its probe looks, its judge judges, and how long and how much that took."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Callable

from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.lookers import Lookers
from hullmark.core.checks import JUDGES, Judge, Seen
from hullmark.host.eye import Eye
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import (
    NOTHING_PROVEN,
    RUNNING,
    CheckSpec,
    Finding,
    Reading,
    Status,
)

BOOTING_S = 120.0
"""For so long after the host's boot its daemons may still be starting: clamd reads its signatures for a minute."""
STARTED_S = 60.0
"""The same after the agent's own start, where that was within BOOTING_S."""
STARTING = frozenset({"clamav", "clocks", "fail2ban"})
"""Families whose checks ask a daemon that takes its time to answer; the others' that may wait so are those that ask whether one runs."""
_BAD = frozenset({Status.FAIL, Status.ERROR})

Key = tuple[str, str]
"""Of a control and one of its checks."""


@dataclass(frozen=True)
class Task:
    """A check, as part of its control."""

    control_id: str
    check: CheckSpec

    @property
    def key(self) -> Key:
        return self.control_id, self.check.check_id


@dataclass(frozen=True)
class Looked:
    """`at` is seconds since 1970, when it began; `cpu_s` of the thread that looked, without programs."""

    finding: Finding
    readings: tuple[Reading, ...]
    at: float
    took_s: float
    cpu_s: float = 0.0


class Looking:
    """May be used from any thread."""

    def __init__(
        self,
        lookers: Lookers,
        ending: threading.Event,
        *,
        judges: Mapping[str, Judge] = JUDGES,
        wall: Callable[[], float] = time.time,
        booted: Callable[[], float] = boot_clock,
        root: str = "/",
    ) -> None:
        """`booted`: seconds since the host's boot."""
        self._lookers = lookers
        self._ending = ending
        self._judges = judges
        self._wall = wall
        self._root = root
        self._booted = booted
        self._grace_s = grace_s(booted())

    def look(self, task: Task, before: tuple[Reading, ...]) -> Looked:
        """Raises what a faulty probe or judge raises, which none should."""
        check, at = task.check, self._wall()
        began, cpu = self._booted(), time.thread_time()
        finding, readings = self._found(check, before)
        if finding.status in _BAD and may_start(check.kind):
            finding = booting(finding, self._booted(), self._grace_s)
        return Looked(
            told(check.kind, finding),
            readings,
            at,
            self._booted() - began,
            time.thread_time() - cpu,
        )

    def _found(
        self, check: CheckSpec, before: tuple[Reading, ...]
    ) -> tuple[Finding, tuple[Reading, ...]]:
        look, why_not = self._lookers.find(check.kind)
        judge = self._judges.get(check.kind)
        if look is None or judge is None:
            return Finding(Status.NOT_RUN, reason=why_not or "it has no judge"), ()
        eye = Eye(timeout_s=check.timeout_s, root=self._root, ending=self._ending, wall=self._wall)
        readings = look(eye, check.given)
        seen = Seen(readings, check.given, self._wall(), check.level, before)
        return judge(seen), readings


def grace_s(started_s: float) -> float:
    """How long after the boot a daemon's failure is none yet, for an agent that started so many seconds after it."""
    return max(BOOTING_S, started_s + STARTED_S) if started_s < BOOTING_S else 0.0


def may_start(kind: str) -> bool:
    """Whether it asks for a daemon that is begun by a boot."""
    known = KINDS.get(kind)
    return known is not None and (known.level == RUNNING or kind.partition(".")[0] in STARTING)


def booting(finding: Finding, booted_s: float, until_s: float) -> Finding:
    """What a bad one says while the host is just booted, so that no boot opens an outage."""
    if booted_s >= until_s:
        return finding
    reason = (
        f"the host booted {booted_s:.0f} s ago, and it may not have started yet: {finding.reason}"
    )
    return Finding(Status.NOT_RUN, reason=reason, remedy=finding.remedy)


def told(kind: str, finding: Finding) -> Finding:
    """With what a pass of this kind never shows, and without a level where it is none. Names of files need not be text."""
    finding = replace(finding, reason=as_text(finding.reason), remedy=as_text(finding.remedy))
    if finding.status is not Status.PASS:
        return replace(finding, level=NOTHING_PROVEN)
    known = KINDS.get(kind)
    if finding.not_exercised or known is None:
        return finding
    return replace(finding, not_exercised=known.not_exercised)


def as_text(text: str) -> str:
    """What can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()
