"""Progress: how far the slots of one service have come in a change. Judged afresh from what the hosts say now."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from hullmark.core import absence
from hullmark.core.grades import ending
from hullmark.core.roster import Placed, Roster
from hullmark.model.app import DeployMode, Service, UpdateConfig
from hullmark.model.observed import Health, InstanceStatus, Phase
from hullmark.model.records import AppRecord, Rollout
from hullmark.model.snapshot import Snapshot


class Turn(enum.Enum):
    """Where one slot stands."""

    GOOD = "good"  # has served as wanted for `monitor` without a break, or has completed
    OPEN = "open"  # is as wanted, and has to show that it is good
    FAILED = "failed"  # is as wanted, and has failed, is tried again or is unhealthy
    OLD = "old"  # is still of an older generation
    AWAY = "away"  # on a lost host, where nothing can be done about it


_BEST_FIRST = (Turn.GOOD, Turn.OPEN, Turn.FAILED, Turn.AWAY)


@dataclass(frozen=True)
class SlotProgress:
    """`host_id` and `name` (of the container) are of the instance that counts. `serves`: it does now. `serving_s`: for
    how long. `known`: its host is heard. `beside`: an older instance is in reach that has to go yet. `why` is there
    for what failed."""

    slot: int
    turn: Turn
    host_id: str
    name: str
    known: bool
    serves: bool
    serving_s: float = 0.0
    beside: bool = False
    why: str = ""


@dataclass(frozen=True)
class Progress:
    """`wanted`: how many slots there should be. `missing`: how many fewer there are than it had before."""

    service: str
    wanted: int
    slots: tuple[SlotProgress, ...]
    missing: int

    def of(self, turn: Turn) -> tuple[SlotProgress, ...]:
        return tuple(slot for slot in self.slots if slot.turn is turn)


def pace_of(record: AppRecord, service: Service) -> UpdateConfig:
    """A generation that goes back to a former one goes at the pace of `rollback_config`."""
    return service.deploy.rollback if record.rolled_back_to else service.deploy.update


def survey(
    snapshot: Snapshot, record: AppRecord, roster: Roster, rollout: Rollout
) -> dict[str, Progress]:
    """How far each service has come."""
    return {
        name: progress(snapshot, record, roster, rollout, name)
        for name in sorted(record.app.services)
    }


def progress(
    snapshot: Snapshot, record: AppRecord, roster: Roster, rollout: Rollout, name: str
) -> Progress:
    service = record.app.services[name]
    slots = tuple(
        _slot(snapshot, record, service, slot, posts)
        for slot, posts in sorted(roster.by_slot(record, name).items())
    )
    deploy = service.deploy
    wanted = len(slots) if deploy.mode is DeployMode.GLOBAL else deploy.replicas
    had = min(rollout.services.get(name, 0), wanted)
    return Progress(name, wanted, slots, max(0, had - len(slots)))


def _slot(
    snapshot: Snapshot, record: AppRecord, service: Service, slot: int, posts: Sequence[Placed]
) -> SlotProgress:
    generation = record.generations[posts[0].assignment.instance.service]
    current = [post for post in posts if post.assignment.instance.generation == generation]
    older = [post for post in posts if post.assignment.instance.generation != generation]
    if current:
        monitor_s = pace_of(record, service).monitor_s
        judged = (_current(snapshot, service, monitor_s, slot, post, older) for post in current)
        return min(judged, key=lambda item: _BEST_FIRST.index(item.turn))
    return min(
        (_older(snapshot, slot, post) for post in older),
        key=lambda item: (not item.serves, not item.known),
    )


def _older(snapshot: Snapshot, slot: int, post: Placed) -> SlotProgress:
    name = post.assignment.instance.container_name
    known = absence.is_seen(snapshot, post.host_id)
    turn = Turn.AWAY if _is_away(snapshot, post.host_id) else Turn.OLD
    serves = known and post.status is not None and post.status.serving
    return SlotProgress(slot, turn, post.host_id, name, known, serves)


def _current(
    snapshot: Snapshot,
    service: Service,
    monitor_s: float,
    slot: int,
    post: Placed,
    older: Sequence[Placed],
) -> SlotProgress:
    name = post.assignment.instance.container_name
    known = absence.is_seen(snapshot, post.host_id)
    serving_s = snapshot.serving_s.get((post.host_id, name), 0.0)
    status = post.status
    turn, why = Turn.OPEN, ""
    if _is_away(snapshot, post.host_id):
        turn = Turn.AWAY
    elif known and status is not None:
        turn, why = _judged(service, status, serving_s >= monitor_s)
    return SlotProgress(
        slot,
        turn,
        post.host_id,
        name,
        known,
        serves=known and status is not None and status.serving,
        serving_s=serving_s,
        beside=any(not _is_away(snapshot, item.host_id) for item in older),
        why=why,
    )


def _judged(service: Service, status: InstanceStatus, watched: bool) -> tuple[Turn, str]:
    """`watched`: it has served for long enough."""
    if status.phase is Phase.COMPLETED:
        return Turn.GOOD, ""
    if status.phase in (Phase.FAILED, Phase.BACKOFF):
        return Turn.FAILED, status.detail or ending(status)
    if status.phase is Phase.RUNNING and status.health is Health.UNHEALTHY:
        return Turn.FAILED, status.detail or "its health check fails"
    if status.serving and watched and not service.container.one_shot:
        return Turn.GOOD, ""
    return Turn.OPEN, ""


def _is_away(snapshot: Snapshot, host_id: str) -> bool:
    return absence.is_gone(snapshot, host_id) or absence.is_lost(snapshot, host_id)
