"""How much of a host is proven: what its controls come to, and which security functions none of them carries.

A host needs one control that applies for each function. A function of which every tool is absent is not proven, and is told like
one that fails: nobody looks for what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hullmark.model.control import ControlState, Posture, Status
from hullmark.model.functions import FUNCTIONS, ONLY_WHERE_THERE
from hullmark.model.postureview import ControlNumbers


@dataclass(frozen=True)
class Tally:
    """How many controls stand how; those that do not apply are in none of these. `highest`: how many of those that pass were seen at
    the highest level that any was. `uncovered` are functions, each with the controls that could carry it."""

    passing: int
    failing: int
    unclear: int
    not_run: int
    level: int
    highest: int
    uncovered: Mapping[str, tuple[str, ...]]

    @property
    def empty(self) -> bool:
        """Nothing is looked at: no control applies."""
        return not (self.passing or self.not_proven)

    @property
    def not_proven(self) -> int:
        return self.failing + self.unclear + self.not_run + len(self.uncovered)


def tally(posture: Posture) -> Tally:
    states = tuple(posture.controls.values())
    passing = [state for state in states if state.status is Status.PASS]
    level = max((state.level for state in passing), default=-1)
    return Tally(
        passing=len(passing),
        failing=_count(states, Status.FAIL),
        unclear=_count(states, Status.ERROR),
        not_run=_count(states, Status.NOT_RUN),
        level=level,
        highest=sum(state.level == level for state in passing),
        uncovered=uncovered(posture),
    )


def numbers(posture: Posture, *, heard: bool = True) -> ControlNumbers:
    """Of a host that is not `heard` nothing holds: all that applies is not run."""
    sums = tally(posture)
    seen, absent = sums.passing + sums.failing + sums.unclear, len(sums.uncovered)
    if not heard:
        return ControlNumbers(not_run=seen + sums.not_run, absent=absent)
    return ControlNumbers(sums.passing, sums.failing, sums.unclear, sums.not_run, absent)


def uncovered(posture: Posture) -> Mapping[str, tuple[str, ...]]:
    """Functions of which no control applies, in the order of FUNCTIONS, a site's own after them."""
    by_function: dict[str, list[ControlState]] = {}
    for _, state in sorted(posture.controls.items()):
        by_function.setdefault(state.function, []).append(state)
    order = list(FUNCTIONS)
    return {
        function: tuple(state.control_id for state in by_function[function])
        for function in sorted(by_function, key=lambda each: (_place(order, each), each))
        if function not in ONLY_WHERE_THERE
        and all(state.status is Status.NOT_APPLICABLE for state in by_function[function])
    }


def _place(order: list[str], function: str) -> int:
    return order.index(function) if function in order else len(order)


def _count(states: tuple[ControlState, ...], status: Status) -> int:
    return sum(state.status is status for state in states)
