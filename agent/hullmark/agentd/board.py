"""The host's observed state, as its parts last said, and who waits for it to change."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

from hullmark.model.control import Posture
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.outage import Outage


class Board:
    """May be used from any thread. Each method changes its own part of the state."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._state = HostState()
        self._shown = False
        self._version = 0

    def show(
        self,
        instances: Mapping[str, InstanceStatus],
        orphans: Mapping[str, InstanceStatus],
        accepted_revision: int,
        removed_volumes: tuple[str, ...],
    ) -> None:
        """What the reconciler found, made under the orders of this revision."""
        with self._condition:
            self._put(
                replace(
                    self._state,
                    instances=instances,
                    orphans=orphans,
                    accepted_revision=accepted_revision,
                    removed_volumes=removed_volumes,
                ),
                shown=True,
            )

    def show_unseen(self) -> None:
        """The engine can't be asked: what was known last stands. Before the first look that is a state
        of no orders at all, from which nobody takes a container for gone."""
        with self._condition:
            self._put(self._state, shown=True)

    def show_work(self, names: tuple[str, ...], phase: Phase, detail: str) -> None:
        """Work on these instances has reached a phase."""
        with self._condition:
            known = self._state.instances
            changed = {
                name: replace(known[name], phase=phase, detail=detail)
                for name in names
                if name in known
            }
            self._put(replace(self._state, instances={**known, **changed}))

    def set_facts(self, facts: HostFacts) -> None:
        with self._condition:
            self._put(replace(self._state, facts=facts))

    def set_problems(self, problems: tuple[HostProblem, ...]) -> None:
        with self._condition:
            self._put(replace(self._state, problems=problems))

    def show_posture(self, posture: Posture, outages: tuple[Outage, ...]) -> None:
        """The host's controls, settled, and its outages."""
        with self._condition:
            self._put(replace(self._state, posture=posture, outages=outages))

    def nudge(self) -> None:
        """Something else is to be reported."""
        with self._condition:
            self._touch()

    @property
    def state(self) -> Optional[HostState]:
        """None until the engine was asked for the first time, whether or not it answered."""
        with self._condition:
            return self._state if self._shown else None

    def wait(self, after: int, timeout_s: float) -> int:
        """The version, as soon as it is another than `after`, or when time runs out."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != after, timeout_s)
            return self._version

    def _put(self, state: HostState, *, shown: bool = False) -> None:
        if state != self._state or (shown and not self._shown):
            self._state = state
            self._shown = self._shown or shown
            self._touch()

    def _touch(self) -> None:
        self._version += 1
        self._condition.notify_all()
