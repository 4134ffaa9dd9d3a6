"""How changes of apps come along, and what a person may do about one.

GET    /v1/apps/APP/rollout                   -> RolloutView      ?after=VERSION&hold_s=S: wait for a change
POST   /v1/apps/APP/rollout    RolloutRequest -> RolloutAnswer    pause, resume or undo
GET    /v1/apps/APP/history                   -> HistoryList
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

from hullmark.model.change import Change


class RolloutAction(enum.Enum):
    PAUSE = "pause"
    RESUME = "resume"
    UNDO = "undo"


@dataclass(frozen=True)
class RolloutRequest:
    """`to`, of `undo` only: the generation whose spec is taken back; 0: the newest before this one that was done."""

    action: RolloutAction
    request_id: str
    to: int = 0
    ticket: str = ""


@dataclass(frozen=True)
class RolloutAnswer:
    """`changed` False: it was like this already. `state` is the rollout's. After `undo`, `generation` is the one in
    which the spec of generation `taken_back` comes back."""

    app: str
    generation: int
    changed: bool
    state: str
    taken_back: int = 0


@dataclass(frozen=True)
class ServiceRollout:
    """The slots of one service: `old` are of an older generation, `good` have shown that they are good, `open` have to,
    `failed` did not, `away` are on lost hosts, and `missing` have no instance. `updated` are as wanted, whether good
    or not. `next`: what is waited for; empty where nothing is left to do."""

    service: str
    generation: int
    wanted: int
    updated: int
    good: int
    open: int
    failed: int
    old: int
    away: int
    missing: int
    next: str = ""


@dataclass(frozen=True)
class RolloutView:
    """`state`: `rolling`, `paused`, `undoing` or `done`. `reason` says why it stopped, `by` who stopped it (empty: the
    leader), `at` when. `change` is who asked for the generation. `undid`: the one that failed, where the leader took
    it back with this one by itself; `reason` is then why. `good` is the newest generation that was done. `left_s`:
    when time alone changes something. `version` grows with every change: pass it as `after`."""

    app: str
    generation: int
    state: str
    change: Change
    version: int
    good: int = 0
    rolled_back_to: int = 0
    undid: int = 0
    reason: str = ""
    by: str = ""
    at: float = 0.0
    left_s: Optional[float] = None
    services: tuple[ServiceRollout, ...] = ()


@dataclass(frozen=True)
class GenerationView:
    """`differences` from the generation before it, one line each, without values. `state`: `now`, `done` (the newest
    that was) or empty."""

    generation: int
    change: Change
    rolled_back_to: int = 0
    state: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistoryList:
    """The newest first."""

    app: str
    generations: tuple[GenerationView, ...]
