"""How apps stand: wanted against observed, and one line for each thing that keeps an instance from serving."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.absence import is_ready
from hullmark.core.dependencies import hopeless, waits
from hullmark.core.roster import Leaving, Placed, Roster
from hullmark.core.schedule import Unplaced
from hullmark.model.api import NOT_PLACED, AppDetail, AppSummary, InstanceView, ServiceView
from hullmark.model.observed import Health, InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot

MAX_WHY = 12
"""Lines of explanation for one service; `hullmark ps` has one for each instance."""

ENGINE_AWAY = {
    "engine.unavailable": "the host's engine does not answer",
    "engine.refuses": "the host's engine refuses the agent",
}
"""By the code of a host's problem: nothing can be said of its containers while it lasts."""

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


@dataclass(frozen=True)
class _Judged:
    view: InstanceView
    grade: Grade


class Standing:
    """Views of one snapshot. `unplaced` is what the newest plan could not place; `blind_s` for how long
    hosts, by id, have had one of `ENGINE_AWAY`."""

    def __init__(
        self,
        snapshot: Snapshot,
        unplaced: Sequence[Unplaced] = (),
        blind_s: Mapping[str, float] = {},
    ) -> None:
        self._snapshot = snapshot
        self._blind_s = blind_s
        self._roster = Roster.of(snapshot)
        self._in_reach = {
            host.name
            for host_id, host in snapshot.hosts.items()
            if is_ready(snapshot, host_id) and not self._engine_trouble(host_id)
        }
        self._unplaced: dict[tuple[str, str], list[Unplaced]] = {}
        for item in unplaced:
            self._unplaced.setdefault((item.app, item.service), []).append(item)

    def summary(self, record: AppRecord) -> AppSummary:
        return self._summary(record, self._judge_app(record))

    def summaries(self) -> tuple[AppSummary, ...]:
        apps = self._snapshot.apps
        return tuple(self.summary(apps[name]) for name in sorted(apps))

    def detail(self, record: AppRecord, version: int, shown: Mapping[str, object]) -> AppDetail:
        """`shown` is the app as people may see it."""
        judged = self._judge_app(record)
        summary = self._summary(record, judged)
        wanted = [item.view for items in judged.values() for item in items]
        return AppDetail(
            summary,
            version,
            settled=summary.state == "running",
            failed=summary.state == "failed",
            instances=tuple(wanted) + self._leaving_views(record.app.name),
            warnings=record.warnings,
            app=shown,
        )

    def instances(self, app: str = "") -> tuple[InstanceView, ...]:
        """Every instance of one app, or of all: wanted ones first, then those that are leaving."""
        found: list[InstanceView] = []
        for name in sorted(self._snapshot.apps) if not app else [app]:
            record = self._snapshot.apps.get(name)
            if record is not None:
                for items in self._judge_app(record).values():
                    found += [item.view for item in items]
        return (*found, *self._leaving_views(app))

    def _summary(self, record: AppRecord, judged: Mapping[str, Sequence[_Judged]]) -> AppSummary:
        services = tuple(
            self._service_view(record, name, items) for name, items in sorted(judged.items())
        )
        grades = {item.grade for items in judged.values() for item in items}
        return AppSummary(
            record.app.name, self._state(record, grades), record.generation, record.change, services
        )

    def _state(self, record: AppRecord, grades: set[Grade]) -> str:
        if record.removing:
            return "removing"
        if Grade.FAILED in grades:
            return "failed"
        if Grade.TROUBLED in grades:
            return "degraded"
        on_reach = (
            is_ready(self._snapshot, item.host_id) for item in self._roster.leaving(record.app.name)
        )
        return "changing" if Grade.UNDER_WAY in grades or any(on_reach) else "running"

    def _service_view(self, record: AppRecord, name: str, judged: Sequence[_Judged]) -> ServiceView:
        container = record.app.services[name].container
        statuses = [
            item.view.status
            for item in judged
            if item.view.status is not None and item.view.host in self._in_reach
        ]
        why = tuple(_line(item.view) for item in judged if item.grade is not Grade.GOOD)
        if len(why) > MAX_WHY:
            why = (*why[: MAX_WHY - 1], f"and {len(why) - MAX_WHY + 1} more")
        return ServiceView(
            service=name,
            image=container.image,
            digest=container.digest,
            generation=record.generations[name],
            wanted=self._roster.wanted(record, name),
            running=sum(status.phase is Phase.RUNNING for status in statuses),
            serving=sum(status.serving for status in statuses),
            one_shot=container.one_shot,
            completed=sum(status.phase is Phase.COMPLETED for status in statuses),
            failed=sum(status.phase is Phase.FAILED for status in statuses),
            why=why,
        )

    def _judge_app(self, record: AppRecord) -> dict[str, list[_Judged]]:
        """Wanted instances by service, in order of slot."""
        if record.removing:
            return {}
        return {
            name: list(self._judge_service(record, name)) for name in sorted(record.app.services)
        }

    def _judge_service(self, record: AppRecord, name: str) -> Iterable[_Judged]:
        app, generation = record.app.name, record.generations[name]
        found: dict[int, _Judged] = {}
        for item in self._roster.current(record, name):
            found[item.assignment.instance.slot] = self._judge(record, item)
        for unplaced in self._unplaced.get((app, name), ()):
            if unplaced.generation == generation and unplaced.slot not in found:
                instance = InstanceId(app, name, unplaced.slot, generation)
                why = NOT_PLACED + "; ".join(unplaced.reasons)
                found[unplaced.slot] = _Judged(_view(instance, why=why), Grade.TROUBLED)
        wanted = self._roster.wanted(record, name)
        for slot in range(1, wanted + 1):
            if slot not in found and len(found) < wanted:
                instance = InstanceId(app, name, slot, generation)
                view = _view(instance, why="not scheduled yet")
                found[slot] = _Judged(view, Grade.UNDER_WAY)
        return [found[slot] for slot in sorted(found)]

    def _judge(self, record: AppRecord, item: Placed) -> _Judged:
        instance = item.assignment.instance
        host = self._host_name(item.host_id)
        grade, why = self._grade(record, item)
        return _Judged(_view(instance, host=host, status=item.status, why=why), grade)

    def _grade(self, record: AppRecord, item: Placed) -> tuple[Grade, str]:
        if not is_ready(self._snapshot, item.host_id):
            return Grade.TROUBLED, self._silence(item.host_id)
        trouble = self._engine_trouble(item.host_id)
        if trouble:
            seen = f"as last seen {self._blind_s.get(item.host_id, 0.0):.0f} s ago: {trouble}"
            return Grade.TROUBLED, seen if item.status is not None else trouble
        if not item.assignment.released:
            return self._held(record, item)
        if item.status is None:
            return Grade.UNDER_WAY, "its host has not taken it up yet"
        service = record.app.services[item.assignment.instance.service]
        if service.container.one_shot and item.status.phase is Phase.RUNNING:
            return Grade.UNDER_WAY, "runs, and has to complete"
        return _grade_of(item.status)

    def _held(self, record: AppRecord, item: Placed) -> tuple[Grade, str]:
        service = item.assignment.instance.service
        never = hopeless(self._roster, record, service)
        if never:
            return Grade.FAILED, "can't start: " + " and ".join(never)
        if item.status is not None and item.status.phase is Phase.BACKOFF:
            return Grade.TROUBLED, item.status.detail or "is tried again later"
        missing = waits(self._roster, record, service)
        return Grade.UNDER_WAY, "waits for " + (" and ".join(missing) or "the leader's release")

    def _silence(self, host_id: str) -> str:
        heard_s = self._snapshot.heard_s.get(host_id)
        if heard_s is None or host_id not in self._snapshot.observed:
            return "its host has not been heard since this leader began"
        return f"its host is silent for {heard_s:.0f} s"

    def _engine_trouble(self, host_id: str) -> str:
        """Why what the host says of its containers is old; empty where it isn't."""
        state = self._snapshot.observed.get(host_id)
        codes = {problem.code for problem in state.problems} if state is not None else set()
        return next((text for code, text in ENGINE_AWAY.items() if code in codes), "")

    def _leaving_views(self, app: str = "") -> tuple[InstanceView, ...]:
        return tuple(
            _view(
                item.tombstone.instance,
                host=self._host_name(item.host_id),
                removing=True,
                status=item.status,
                why=self._leaving_why(item),
            )
            for item in self._roster.leaving(app)
        )

    def _leaving_why(self, item: Leaving) -> str:
        reason = item.tombstone.reason
        if not is_ready(self._snapshot, item.host_id):
            return f"{reason}; {self._silence(item.host_id)}"
        trouble = self._engine_trouble(item.host_id)
        return f"{reason}; {trouble}" if trouble else reason

    def _host_name(self, host_id: str) -> str:
        host = self._snapshot.hosts.get(host_id)
        return host.name if host is not None else host_id


def _view(
    instance: InstanceId,
    *,
    host: str = "",
    removing: bool = False,
    status: Optional[InstanceStatus] = None,
    why: str = "",
) -> InstanceView:
    return InstanceView(
        name=str(instance),
        app=instance.app,
        service=instance.service,
        slot=instance.slot,
        generation=instance.generation,
        host=host,
        removing=removing,
        status=status,
        why=why,
    )


def _grade_of(status: InstanceStatus) -> tuple[Grade, str]:
    """Of an instance that may run, by what its host says."""
    detail = status.detail
    if status.serving or status.phase is Phase.COMPLETED:
        return Grade.GOOD, ""
    if status.phase is Phase.FAILED:
        return Grade.FAILED, detail or _exit(status)
    if status.phase is Phase.BACKOFF:
        return Grade.TROUBLED, detail or _exit(status)
    if status.phase is Phase.RUNNING and status.health is Health.UNHEALTHY:
        return Grade.TROUBLED, detail or "its health check fails"
    if status.phase is Phase.RUNNING:
        return Grade.UNDER_WAY, detail or "its health check has not passed yet"
    return Grade.UNDER_WAY, detail or _PROGRESS[status.phase]


def _exit(status: InstanceStatus) -> str:
    return "ended" if status.exit_code is None else f"ended with exit code {status.exit_code}"


def _line(view: InstanceView) -> str:
    name = f"{view.service}.{view.slot}" if view.slot else view.service
    place = f" on {view.host}" if view.host else ""
    return f"{name}{place}: {view.why}"
