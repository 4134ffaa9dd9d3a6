"""How apps stand: wanted against observed, and one line for each thing that keeps an instance from serving."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import nameless
from hullmark.core.absence import is_draining, is_ready
from hullmark.core.grades import Grade, Graded, Grader
from hullmark.core.roster import Leaving, Placed, Roster
from hullmark.core.schedule import Unplaced
from hullmark.model.api import AppDetail, AppSummary, InstanceView, ServiceView
from hullmark.model.observed import InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.records import AppRecord, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot

MAX_WHY = 12
"""Lines of explanation for one service; `hullmark ps` has one for each instance."""


@dataclass(frozen=True)
class _Judged:
    """One slot, or a further instance of one (`extra`). `statuses` are what can be relied on of all of the
    slot's instances: it counts once, whichever of them serves."""

    view: InstanceView
    grade: Grade
    statuses: tuple[InstanceStatus, ...] = ()
    extra: bool = False


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
        self._roster = Roster.of(snapshot)
        self._grader = Grader(snapshot, self._roster, blind_s)
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
        rollout = self._rollout(record)
        stopped = rollout is not None and rollout.state is RolloutState.PAUSED and not rollout.by
        return AppDetail(
            summary,
            version,
            settled=summary.state == "running",
            failed=summary.state == "failed" or stopped,
            instances=tuple(wanted) + self._leaving_views(record.app.name),
            warnings=record.warnings,
            app=shown,
            rollout=rollout,
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
        state = self._state(record, grades)
        return AppSummary(record.app.name, state, record.generation, record.change, services)

    def _state(self, record: AppRecord, grades: set[Grade]) -> str:
        rollout = self._rollout(record)
        if record.removing:
            return "removing"
        if Grade.FAILED in grades:
            return "failed"
        if Grade.TROUBLED in grades:
            return "degraded"
        if rollout is not None and rollout.state is not RolloutState.DONE:
            return "degraded" if rollout.state is RolloutState.PAUSED else "changing"
        on_reach = (
            is_ready(self._snapshot, item.host_id) for item in self._roster.leaving(record.app.name)
        )
        return "changing" if Grade.UNDER_WAY in grades or any(on_reach) else "running"

    def _rollout(self, record: AppRecord) -> Optional[Rollout]:
        """Of the app's newest generation, once a plan has looked at it."""
        rollout = self._snapshot.rollouts.get(record.app.name)
        return rollout if rollout is not None and rollout.generation == record.generation else None

    def _service_view(self, record: AppRecord, name: str, judged: Sequence[_Judged]) -> ServiceView:
        container = record.app.services[name].container
        slots = [item for item in judged if not item.extra]
        seen = [
            item.view.status
            for item in slots
            if item.view.status is not None and item.view.status in item.statuses
        ]
        why = self._why(record, judged)
        if len(why) > MAX_WHY:
            why = (*why[: MAX_WHY - 1], f"and {len(why) - MAX_WHY + 1} more")
        return ServiceView(
            service=name,
            image=container.image,
            digest=container.digest,
            generation=record.generations[name],
            wanted=self._roster.wanted(record, name),
            running=sum(any(_runs(one) for one in item.statuses) for item in slots),
            serving=sum(any(one.serving for one in item.statuses) for item in slots),
            one_shot=container.one_shot,
            completed=sum(status.phase is Phase.COMPLETED for status in seen),
            failed=sum(status.phase is Phase.FAILED for status in seen),
            why=why,
        )

    def _why(self, record: AppRecord, judged: Sequence[_Judged]) -> tuple[str, ...]:
        lines = [_line(item.view) for item in judged if item.grade is not Grade.GOOD]
        rollout = self._rollout(record)
        if lines and rollout is not None and rollout.state is RolloutState.PAUSED:
            reason = f": {rollout.reason}" if rollout.reason else ""
            lines.insert(0, f"the change to generation {rollout.generation} is paused{reason}")
        return tuple(lines)

    def _judge_app(self, record: AppRecord) -> dict[str, list[_Judged]]:
        """Wanted instances by service, in order of slot."""
        if record.removing:
            return {}
        return {
            name: list(self._judge_service(record, name)) for name in sorted(record.app.services)
        }

    def _judge_service(self, record: AppRecord, name: str) -> Iterable[_Judged]:
        app, generation = record.app.name, record.generations[name]
        wanted = self._roster.wanted(record, name)
        unplaced = {item.slot: item for item in self._unplaced.get((app, name), ())}
        found: dict[int, list[_Judged]] = {}
        for slot, posts in self._roster.by_slot(record, name).items():
            found[slot] = list(self._judge(record, posts, unplaced.get(slot)))
        for slot, item in unplaced.items():
            if item.generation == generation and slot not in found:
                view = _view(
                    InstanceId(app, name, slot, generation),
                    why="; ".join(item.reasons),
                    unplaced=True,
                )
                found[slot] = [_Judged(view, Grade.TROUBLED)]
        for slot in range(1, wanted + 1):
            if slot not in found and len(found) < wanted:
                view = _view(InstanceId(app, name, slot, generation), why="not scheduled yet")
                found[slot] = [_Judged(view, Grade.UNDER_WAY)]
        return [item for slot in sorted(found) for item in found[slot]]

    def _judge(
        self, record: AppRecord, posts: list[Placed], unplaced: Optional[Unplaced]
    ) -> Iterable[_Judged]:
        """One slot: the instance that counts, then the others that it has for a while."""
        first, *others = self._grader.best_first(record, posts)
        if unplaced is not None and first.grade is not Grade.GOOD:
            first = Graded(first.placed, Grade.TROUBLED, "; ".join(unplaced.reasons))
        statuses = tuple(
            post.status
            for post in posts
            if post.status is not None and self._grader.in_reach(post.host_id)
        )
        yield _Judged(self._placed_view(first), first.grade, statuses)
        where = self._grader.host_name(first.placed.host_id)
        for other in others:
            why = other.why or f"its slot has another on {where}"
            if is_draining(self._snapshot, other.placed.host_id):
                why = f"its host is draining; it goes to {where}"
            view = self._placed_view(dataclasses.replace(other, why=why))
            yield _Judged(view, Grade.UNDER_WAY, extra=True)

    def _placed_view(self, item: Graded) -> InstanceView:
        host = self._grader.host_name(item.placed.host_id)
        instance = item.placed.assignment.instance
        view = _view(
            instance,
            host=host,
            status=item.placed.status,
            why=item.why,
            held=not item.placed.assignment.released,
            seen=self._grader.in_reach(item.placed.host_id),
        )
        return dataclasses.replace(view, note=self._note(item.placed))

    def _note(self, item: Placed) -> str:
        record = self._snapshot.apps.get(item.assignment.instance.app)
        return "" if record is None else nameless.told(self._snapshot, record.app, item)

    def _leaving_views(self, app: str = "") -> tuple[InstanceView, ...]:
        return tuple(
            _view(
                item.tombstone.instance,
                host=self._grader.host_name(item.host_id),
                removing=True,
                status=item.status,
                why=self._leaving_why(item),
                seen=self._grader.in_reach(item.host_id),
            )
            for item in self._roster.leaving(app)
        )

    def _leaving_why(self, item: Leaving) -> str:
        reason = item.tombstone.reason
        if not is_ready(self._snapshot, item.host_id):
            return f"{reason}; {self._grader.silence(item.host_id)}"
        trouble = self._grader.engine_trouble(item.host_id)
        return f"{reason}; {trouble}" if trouble else reason


def _runs(status: InstanceStatus) -> bool:
    return status.phase is Phase.RUNNING


def _view(
    instance: InstanceId,
    *,
    host: str = "",
    removing: bool = False,
    status: Optional[InstanceStatus] = None,
    why: str = "",
    unplaced: bool = False,
    held: bool = False,
    seen: bool = True,
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
        unplaced=unplaced,
        held=held,
        seen=seen,
    )


def _line(view: InstanceView) -> str:
    name = f"{view.service}.{view.slot}" if view.slot else view.service
    place = f" on {view.host}" if view.host else ""
    word = "not placed: " if view.unplaced else ""
    return f"{name}{place}: {word}{view.why}"
