"""Rollouts: which instances of an older generation are replaced now. Here all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.core.roster import Roster
from hullmark.model.records import AppRecord, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Pace:
    replace: frozenset[int]
    retire: frozenset[int]


@dataclass(frozen=True)
class Course:
    paces: Mapping[str, Pace]
    rollout: Rollout
    again_in_s: Optional[float]


def course(snapshot: Snapshot, record: AppRecord, roster: Roster) -> Course:
    """Every slot that is assigned changes at once."""
    paces = {}
    for name in record.app.services:
        slots = {item.assignment.instance.slot for item in roster.placed(record.app.name, name)}
        paces[name] = Pace(frozenset(slots), frozenset())
    return Course(paces, Rollout(record.generation, RolloutState.DONE), None)
