"""Grades: what can be said of one instance, by what its host says and for how long it has said nothing."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from hullmark.core.absence import engine_trouble, is_draining, is_ready, is_seen
from hullmark.core.adoption import Releases
from hullmark.core.dependencies import hopeless, waits
from hullmark.core.roster import Placed, Roster
from hullmark.model.observed import REFUSED_BY_POLICY, Health, InstanceStatus, Phase, to_type
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot

_PROGRESS = {
    Phase.WAITING: "waits to be started",
    Phase.PULLING: "its image is being pulled",
    Phase.CREATING: "is being created",
    Phase.STARTING: "is being started",
    Phase.STOPPING: "is being stopped",
}


class Grade(enum.Enum):
    """What can be said of one wanted instance. Only the first is where it should be."""

    GOOD = "good"  # serving, or completed
    UNDER_WAY = "under way"
    TROUBLED = "troubled"  # may mend by itself: a pull is tried again, a host comes back
    FAILED = "failed"  # waiting won't mend it


_BEST_FIRST = tuple(Grade)


@dataclass(frozen=True)
class Graded:
    """`why` is empty for what is good."""

    placed: Placed
    grade: Grade
    why: str


class Grader:
    """`blind_s`: for how long hosts, by id, have had one of `ENGINE_AWAY`."""

    def __init__(self, snapshot: Snapshot, roster: Roster, blind_s: Mapping[str, float]) -> None:
        self._snapshot = snapshot
        self._roster = roster
        self._blind_s = blind_s
        self._releases = Releases(snapshot)

    def host_name(self, host_id: str) -> str:
        return self._snapshot.host_name(host_id)

    def in_reach(self, host_id: str) -> bool:
        """Whether what is known of its instances is true now."""
        return is_seen(self._snapshot, host_id)

    def best_first(self, record: AppRecord, posts: list[Placed]) -> list[Graded]:
        """The instances of one slot: those of the wanted generation first, and of these the best; between
        equals the one that is not about to leave its host."""
        service = posts[0].assignment.instance.service
        wanted = record.generations.get(service)

        def order(item: Graded) -> tuple[bool, int, bool]:
            outdated = item.placed.assignment.instance.generation != wanted
            leaves = is_draining(self._snapshot, item.placed.host_id)
            return outdated, _BEST_FIRST.index(item.grade), leaves

        return sorted((self.grade(record, post) for post in posts), key=order)

    def grade(self, record: AppRecord, item: Placed) -> Graded:
        return Graded(item, *self._grade(record, item))

    def _grade(self, record: AppRecord, item: Placed) -> tuple[Grade, str]:
        if not is_ready(self._snapshot, item.host_id):
            return Grade.TROUBLED, self.silence(item.host_id)
        trouble = self.engine_trouble(item.host_id)
        if trouble:
            seen = f"as last seen {self._blind_s.get(item.host_id, 0.0):.0f} s ago: {trouble}"
            return Grade.TROUBLED, seen if item.status is not None else trouble
        instance = item.assignment.instance
        if not item.assignment.released:
            return self._held(record, item)
        if item.status is None:
            return Grade.UNDER_WAY, "its host has not taken it up yet"
        service = record.app.services[instance.service]
        if service.container.one_shot and item.status.phase is Phase.RUNNING:
            return Grade.UNDER_WAY, "runs, and has to complete"
        grade, why = _grade_of(item.status)
        wanted = record.generations[instance.service]
        if grade is Grade.GOOD and instance.generation != wanted:
            why = f"serves as generation {instance.generation}, until {wanted} follows"
            return Grade.UNDER_WAY, why
        return grade, why

    def _held(self, record: AppRecord, item: Placed) -> tuple[Grade, str]:
        service = item.assignment.instance.service
        never = hopeless(self._roster, record, service)
        if never:
            return Grade.FAILED, "can't start: " + " and ".join(never)
        if item.status is not None and item.status.phase is Phase.BACKOFF:
            return Grade.TROUBLED, item.status.detail or "is tried again later"
        missing = waits(self._roster, record, service)
        obstacle = "" if missing else self._releases.obstacle(item.assignment.instance)
        if obstacle:
            return Grade.TROUBLED, f"not started: {obstacle}"
        return Grade.UNDER_WAY, "waits for " + (" and ".join(missing) or "the leader's release")

    def silence(self, host_id: str) -> str:
        heard_s = self._snapshot.told_s(host_id)
        if host_id not in self._snapshot.hosts:
            return "its host was removed"
        if heard_s is None or host_id not in self._snapshot.observed:
            return "its host has not been heard since this leader began"
        return f"its host has been silent for {heard_s:.0f} s"

    def engine_trouble(self, host_id: str) -> str:
        """Why what the host says of its containers is old; empty where it isn't."""
        return engine_trouble(self._snapshot.observed.get(host_id))


def _grade_of(status: InstanceStatus) -> tuple[Grade, str]:
    """Of an instance that may run, by what its host says."""
    detail = status.detail
    if status.serving and to_type(detail):
        return Grade.TROUBLED, detail
    if status.serving or status.phase is Phase.COMPLETED:
        return Grade.GOOD, ""
    if status.phase is Phase.FAILED:
        return Grade.FAILED, detail or ending(status)
    if status.phase is Phase.BACKOFF:
        # What a policy refuses is tried again too, but only who changes the app or the policy mends it.
        refused = detail.startswith(REFUSED_BY_POLICY)
        return Grade.FAILED if refused else Grade.TROUBLED, detail or ending(status)
    if status.phase is Phase.RUNNING and status.health is Health.UNHEALTHY:
        return Grade.TROUBLED, detail or "its health check fails"
    if status.phase is Phase.RUNNING:
        return Grade.UNDER_WAY, detail or "its health check has not passed yet"
    return Grade.UNDER_WAY, detail or _PROGRESS[status.phase]


def ending(status: InstanceStatus) -> str:
    return "ended" if status.exit_code is None else f"ended with exit code {status.exit_code}"
