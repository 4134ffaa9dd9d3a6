"""A drill: look, hand over (or kill the leader) while marks are written, look again until all is as it was.

picture before -> marks for a moment -> step down, or kill -> marks until a later epoch takes one -> a few more
-> wait until hosts are heard, containers are told and the former leader is a standby -> judge
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark.cli import drillchecks
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.drillchecks import Picture
from hullmark.cli.marking import Marks
from hullmark.cli.polling import UNREACHED
from hullmark.errors import Refused
from hullmark.model.api import AppList, ClusterStatus, HostList, InstanceList
from hullmark.model.drill import (
    FAILED,
    HANDOVER,
    KILL,
    Drill,
    DrillCheck,
    KillRequest,
    StepDownAnswer,
    StepDownRequest,
)
from hullmark.model.wire import to_wire

STEP_DOWN, KILL_PATH = "/v1/master/step-down", "/v1/master/kill"
BEFORE_S = 1.0
AFTER_S = 1.0
PAUSE_S = 0.2


@dataclass(frozen=True)
class Wanted:
    """`timeout_s`: for the next leader, and once more for everything to be back."""

    unclean: bool = False
    ticket: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Clock:
    """For tests."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def drill(
    client: Client, marker: Client, wanted: Wanted, say: Callable[[str], None], clock: Clock
) -> Drill:
    """`marker` sends each mark once only. `say` is told how far it is. Raises Refused with every obstacle where there can't
    be a drill now, and what `Client` does while nothing was begun."""
    began_at = clock.wall()
    before = picture(client)
    found = drillchecks.obstacles(before)
    if found:
        raise Refused(f"no drill now: {'; '.join(found)}", remedy=drillchecks.remedy(before))
    marks = Marks(marker, clock.now, clock.sleep)
    marks.during(BEFORE_S)
    usual_s = marks.usual_s
    say(f"{before.status.master} leads in epoch {before.status.epoch}: {_deed(wanted)}")
    asked_at = clock.now()
    answer = _begin(client, before, wanted)
    ended_at = marks.until_epoch_after(before.status.epoch, asked_at + wanted.timeout_s)
    failover_s = None if ended_at is None else ended_at - asked_at
    if failover_s is not None:
        say(f"a write was accepted in a later epoch after {failover_s:.2f} s; looking at hosts")
        marks.during(AFTER_S)
    checks, after = _settle(client, before, wanted, failover_s is not None, clock)
    checks = (checks[0], marks.check(), *checks[1:])
    status = before.status
    return Drill(
        kind=KILL if wanted.unclean else HANDOVER,
        outcome=FAILED if failover_s is None else drillchecks.outcome(checks),
        cluster_id=status.cluster_id,
        version=status.version,
        began_at=began_at,
        ended_at=clock.wall(),
        by=f"{answer.by} on {socket.gethostname()}",
        ticket=wanted.ticket,
        former=status.master,
        former_epoch=status.epoch,
        leader=after.master,
        epoch=after.epoch,
        hosts=len(before.hosts),
        instances=len(before.instances),
        writes=len(marks.accepted),
        tries=marks.tries,
        checks=checks,
        failover_s=_rounded(failover_s),
        gap_s=_rounded(marks.gap_s),
        usual_s=_rounded(usual_s),
    )


def picture(client: Client) -> Picture:
    return Picture(
        client.ask(ClusterStatus, "/v1/status"),
        client.ask(HostList, "/v1/hosts").hosts,
        client.ask(InstanceList, "/v1/instances").instances,
        client.ask(AppList, "/v1/apps").apps,
    )


def step_down(
    client: Client, epoch: str, ticket: str = "", *, force: bool = False
) -> StepDownAnswer:
    """Ask the leader of this epoch to give leadership back."""
    request = StepDownRequest(epoch, new_request_id(), force, ticket)
    return client.decoded(StepDownAnswer, client.change("POST", STEP_DOWN, to_wire(request)))


def _begin(client: Client, before: Picture, wanted: Wanted) -> StepDownAnswer:
    epoch = before.status.epoch
    if not wanted.unclean:
        return step_down(client, epoch, wanted.ticket)
    request = KillRequest(epoch, new_request_id(), wanted.ticket)
    return client.decoded(StepDownAnswer, client.change("POST", KILL_PATH, to_wire(request)))


def _deed(wanted: Wanted) -> str:
    return "its process is killed now" if wanted.unclean else "it is asked to hand over"


def _settle(
    client: Client, before: Picture, wanted: Wanted, led: bool, clock: Clock
) -> tuple[tuple[DrillCheck, ...], ClusterStatus]:
    """Look again and again, until all checks pass or time is over. Without a new leader once is enough."""
    began = clock.now()
    checks: Sequence[DrillCheck] = ()
    after = before.status
    while True:
        waited_s = clock.now() - began
        over = waited_s >= wanted.timeout_s or not led
        now = _looked(client)
        if now is not None:
            after = now.status
            told = drillchecks.all_told(before, now.instances)
            checks = (
                drillchecks.leader_check(before, after),
                drillchecks.hosts_check(before, now.hosts),
                drillchecks.containers_check(before, now.instances),
                drillchecks.redundancy_check(before, after, waited_s),
            )
            over = over or (told and all(check.passed for check in checks))
        if over:
            return tuple(checks) or (_nobody(),), after
        clock.sleep(PAUSE_S)


def _looked(client: Client) -> Optional[Picture]:
    try:
        return picture(client)
    except UNREACHED:
        return None


def _nobody() -> DrillCheck:
    return DrillCheck("another master leads, in a later epoch", False, "no master answers", True)


def _rounded(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else round(seconds, 3)
