"""Operating a pair: handing leadership over, trying it, forgetting a master; and what a drill found.

    POST /v1/master/step-down   StepDownRequest -> StepDownAnswer   the leader gives leadership to its standby
    POST /v1/master/kill        KillRequest     -> StepDownAnswer   the leader's process ends at once, as by a crash
    POST /v1/master/mark        MarkRequest     -> MarkAnswer       a write that changes nothing but its own key
    POST /v1/master/forget      ForgetRequest   -> ForgetAnswer     a master that is gone for good is expected no more

The first two name the epoch that they are to end. One that is over is ended once only: asked again, because
the answer was lost, they change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

HANDOVER, KILL = "handover", "kill"
PASSED, DEGRADED, FAILED = "passed", "degraded", "failed"


@dataclass(frozen=True)
class StepDownRequest:
    """`force`: also where no standby is ready to follow."""

    epoch: str
    request_id: str
    force: bool = False
    ticket: str = ""


@dataclass(frozen=True)
class KillRequest:
    """Refused where no standby is ready to follow."""

    epoch: str
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class StepDownAnswer:
    """`changed` False: that epoch was over before. `leader` answered; `standby` is who is about to follow, empty where that
    is not known; `by` who asked, as the leader knows them."""

    changed: bool
    leader: str
    epoch: str
    standby: str = ""
    by: str = ""


@dataclass(frozen=True)
class ForgetRequest:
    """Refused for a master that is there."""

    master: str
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class ForgetAnswer:
    master: str


@dataclass(frozen=True)
class MarkRequest:
    """The same mark may be sent again."""

    mark: str


@dataclass(frozen=True)
class MarkAnswer:
    """`before`: the mark that was there, which shows that no acknowledged one was lost. `revision`: of the store."""

    leader: str
    epoch: str
    revision: int
    before: str = ""


@dataclass(frozen=True)
class MarkRecord:
    """What the store keeps of the newest mark."""

    mark: str
    by: str
    at: float


@dataclass(frozen=True)
class DrillCheck:
    """`grave`: where it did not pass, the drill failed; else something is only not back in time."""

    what: str
    passed: bool
    detail: str = ""
    grave: bool = False


@dataclass(frozen=True)
class Drill:
    """What a drill did and found. `kind` is `handover` or `kill`, `outcome` `passed`, `degraded` or `failed`. `failover_s`: from
    asking for it to the first write that the next leader accepted; `gap_s`: the longest time between two accepted writes;
    `usual_s`: the median time of a write before. `writes` were accepted, `tries` sent. None: it did not come to it."""

    kind: str
    outcome: str
    cluster_id: str
    version: str
    began_at: float
    ended_at: float
    by: str
    ticket: str
    former: str
    former_epoch: str
    leader: str
    epoch: str
    hosts: int
    instances: int
    writes: int
    tries: int
    checks: tuple[DrillCheck, ...]
    failover_s: Optional[float] = None
    gap_s: Optional[float] = None
    usual_s: Optional[float] = None
