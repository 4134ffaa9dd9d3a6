"""The host's controls, looked at for as long as the agent's process lives, whether or not the host is enrolled.

    definitions ──▶ runner ──▶ results ──▶ audit log (Diary)
                                  └──▶ outages ──▶ posture: a file, and the leader's picture

All of it is one loop's; looks have threads of their own (`lanes`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional, Protocol

from hullmark.agentd import pulse
from hullmark.agentd.controlrecords import Diary
from hullmark.agentd.definitions import Definitions
from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.looking import Looked, Task
from hullmark.agentd.posturing import Posturing, Show, Standing
from hullmark.agentd.problems import Problems
from hullmark.agentd.results import Results, Taken, tasks_of
from hullmark.agentd.runner import Runner
from hullmark.config import AgentConfig
from hullmark.model.control import ControlState, Mode
from hullmark.model.outage import Incident, Outage

DEFINITIONS_S = 5.0
"""How often it is looked whether the files of controls changed."""
TURN_S = 1.0
CLOSE_S = 1.0
RARER = (
    "checks cost more than controls.budget allows: those that are not looked at every few seconds are "
    "made rarer"
)
CONCERNS = frozenset({"alerts", "audit", "controls", "framework", "posture"})
"""First words of problems that are shown with the posture: a host in no cluster has no other place for them."""


class Keeping(Protocol):
    """Who makes outages of controls' states; see `outagekeeping`."""

    def take(self, states: Mapping[str, ControlState], now: float) -> Mapping[str, str]: ...

    def outages(self) -> tuple[Outage, ...]: ...

    def incidents(self) -> tuple[Incident, ...]: ...


@dataclass(frozen=True)
class Makings:
    """What the loop is made of."""

    definitions: Definitions
    runner: Runner
    results: Results
    diary: Diary
    posturing: Posturing
    keeper: Keeping
    problems: Problems
    wall: Callable[[], float]
    clock: Callable[[], float] = boot_clock


class Controlling:
    """`run` and `turn` are one thread's, everything else anybody's."""

    def __init__(self, makings: Makings, config: AgentConfig) -> None:
        self._of = makings
        self._config = config
        self._looked_at = float("-inf")
        self._aged_at = float("-inf")
        self._enrolled = False
        self._reread = False
        self._anew = False
        self._lock = threading.Lock()
        """Held while results are taken: what is told to others is of one log, and of one configuration."""

    # -- what others say

    def configure(self, config: AgentConfig) -> None:
        """By this configuration from now on; definitions are read again."""
        self._config, self._reread = config, True
        self._of.runner.wake()

    def serve(self, *, enrolled: bool) -> None:
        """Whether the host belongs to a cluster."""
        self._enrolled = enrolled

    def show_to(self, show: Optional[Show]) -> None:
        """Who shows the posture to a leader from now on; None: nobody."""
        self._of.posturing.listen(show)
        self.wake()

    def end_log(self) -> None:
        """Another audit log follows: this one is told what was looked at since the last summary. Not where the loop hangs, as it does with
        its disk: nobody waits for that."""
        if self._lock.acquire(timeout=CLOSE_S):
            self._of.diary.sum_up()
            self._lock.release()

    def begin_log(self) -> None:
        """It is another one now, and is told which controls are in force, and what each check finds next."""
        self._anew = True
        self.wake()

    def wake(self) -> None:
        """It looks at once what there is to do."""
        self._of.runner.wake()

    def hurry(self, kind: str) -> None:
        """Something happened that checks of this kind look for."""
        self._of.runner.hurry(kind)

    # -- the loop

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.turn()

    def turn(self) -> None:
        of = self._of
        with self._lock:
            self._begin_log()
            followed = self._follow()
            of.runner.begin()
        wait_s = of.runner.wait_s(TURN_S)
        pulse.within(wait_s)
        ended = of.runner.finished(wait_s)
        with self._lock:
            moved = self._take(ended)
            of.runner.reckon()
            of.diary.turn()
            self._show(moved=moved or followed)

    def _begin_log(self) -> None:
        if self._anew:
            self._anew = False
            self._of.diary.begin_anew()
            self._of.definitions.record()

    def _follow(self) -> bool:
        """The files of controls. Whether others are in force than before."""
        of, now = self._of, self._of.clock()
        if self._reread:
            self._reread = False
            of.definitions.outdated()
        elif now - self._looked_at < DEFINITIONS_S:
            return False
        self._looked_at = now
        changed = of.definitions.look(self._config.controls_dir)
        if changed and of.definitions.in_force:
            specs = of.definitions.in_force.specs
            tasks = tuple(tasks_of(specs))
            of.results.define(specs)
            of.runner.define(tasks)
            of.diary.keep(task.key for task in tasks)
            self._keep_outages()
        return changed

    def _take(self, ended: Iterable[tuple[Task, Looked]]) -> bool:
        """Whether a check has another status than before."""
        of = self._of
        now = of.clock()
        taken: list[Taken] = []
        if now - self._aged_at >= TURN_S:
            # First: a look after a long time in which nobody looked does not hide that.
            self._aged_at = now
            taken += of.results.age(of.runner.stretch)
        taken += [of.results.take(task, looked) for task, looked in ended]
        for one in taken:
            of.diary.take(one)
        if taken:
            self._keep_outages()
        return any(one.changed for one in taken)

    def _keep_outages(self) -> None:
        of = self._of
        with pulse.elsewhere():  # it writes to a disk
            outages = of.keeper.take(of.results.states(), of.wall())
        of.results.note_outages(outages)

    def _show(self, *, moved: bool) -> None:
        of = self._of
        standing = Standing(
            of.results.states(),
            of.keeper.outages(),
            of.keeper.incidents(),
            self._enrolled,
            tuple(self._remarks()),
        )
        of.posturing.show(standing, self._config.run_dir, Mode(self._config.mode), moved=moved)

    def _remarks(self) -> Iterator[str]:
        """What is wrong with looking itself, and with telling of it."""
        if self._of.runner.stretch > 1.0:
            yield RARER
        for problem in self._of.problems.all():
            if problem.code.partition(".")[0] in CONCERNS:
                yield f"{problem.code}: {problem.message}"

    def close(self) -> None:
        """After the loop has ended."""
        self.end_log()
        self._of.runner.close()
