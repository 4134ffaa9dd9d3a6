"""A street of hosts on which one service changes, step by step, for the tests of rollouts: agents that obey, versions that
fail, a leader that plans and sometimes dies. Pure: time is a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.core.generations import highest_generation, next_record, taken_back
from hullmark.core.rollout import undone
from hullmark.core.schedule import plan
from hullmark.model.app import App, Service
from hullmark.model.change import Change
from hullmark.model.host import HostRecord
from hullmark.model.names import ASSIGNMENTS
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.records import AppRecord, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import CHANGE, X86, committed, snapshot, with_record

STEP_S = 0.5
START_S = 1.0
"""From the order to start until the container runs."""
BACKOFF_S = 1.0
"""From a failure until the next try."""
FIRST_STEPS = 12
"""Until the first generation serves, and has for long enough to be good at any pace of the tests."""
PASSES_MAX = 6
BY_ITSELF = Change("hullmark", "", 0.0)


@dataclass(frozen=True)
class Container:
    instance: InstanceId
    image: str
    began_at: float


class Street:
    """`fails`: after how many seconds of running an image fails, by its name; what isn't there is good. `touched` are the
    slots that got an instance of something else than the first generation."""

    def __init__(
        self, service: Service, *, hosts: int = 2, fails: Mapping[str, float] = {}
    ) -> None:
        self.now = 100.0
        self.fails = dict(fails)
        self.containers: dict[str, dict[str, Container]] = {}
        self.since: dict[tuple[str, str], tuple[float, float]] = {}
        self.history: dict[int, AppRecord] = {}
        self.touched: set[int] = set()
        self.heard = hosts
        records = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(1, hosts + 1)]
        self.state = snapshot({}, records, {record.host_id: HostState(X86) for record in records})
        self.apply(service)
        for _ in range(FIRST_STEPS):
            self.step()
        assert self.rollout.state is RolloutState.DONE, self.rollout
        self.touched.clear()

    @property
    def record(self) -> AppRecord:
        return self.state.apps["shop"]

    @property
    def rollout(self) -> Rollout:
        return self.state.rollouts["shop"]

    def apply(self, service: Service) -> None:
        old = self.state.apps.get("shop")
        floor = highest_generation(self.state, "shop")
        self._take(next_record(old, App("shop", {"web": service}), CHANGE, floor=floor))

    def _take(self, record: AppRecord) -> None:
        self.state = with_record(self.state, record)
        self.history[record.generation] = record

    def serving(self) -> int:
        """How many slots really serve now."""
        return len(
            {
                container.instance.slot
                for found in self.containers.values()
                for container in found.values()
                if self._status(container).serving
            }
        )

    def images(self) -> dict[int, set[str]]:
        """What is really there, by slot."""
        found: dict[int, set[str]] = {}
        for containers in self.containers.values():
            for container in containers.values():
                found.setdefault(container.instance.slot, set()).add(container.image)
        return found

    def step(self, *, undo: bool = True) -> None:
        """Hosts do what they were told, say so, and the leader plans. Without `undo` it dies before it takes back."""
        self.now += STEP_S
        self._obey()
        self._report()
        self.lead()
        if undo and self.rollout.state is RolloutState.UNDOING:
            self._take_back()
            self.lead()

    def restart(self) -> None:
        """Another leader, which knows nothing but the store, plans before it has heard a host. With each step
        one more calls."""
        self.since = {}
        self.heard = 0
        self.state = dataclasses.replace(
            self.state, observed={}, heard_s={}, serving_s={}, now=self.now
        )
        self.lead()

    def lead(self) -> None:
        for _ in range(PASSES_MAX):
            made = plan(self.state)
            if not (made.hosts or made.rollouts or made.homes):
                break
            self.state = committed(self.state, made)
        else:
            raise AssertionError("planning does not come to rest")
        for orders in self.state.assignments.values():
            self.touched |= {
                i.instance.slot for i in orders.assignments if i.instance.generation > 1
            }

    def _take_back(self) -> None:
        """As the leader does: one transaction."""
        floor = highest_generation(self.state, "shop")
        former = self.history[self.rollout.good]
        taken = taken_back(self.record, former, BY_ITSELF, floor=floor)
        begun = undone(self.record, self.rollout, taken)
        self._take(taken)
        self.state = dataclasses.replace(self.state, rollouts={"shop": begun})

    def _obey(self) -> None:
        images = {
            record.spec_hashes["web"]: record.app.services["web"].container.image
            for record in self.history.values()
        }
        for host_id, orders in self.state.assignments.items():
            found = self.containers.setdefault(host_id, {})
            for tombstone in orders.tombstones:
                found.pop(tombstone.instance.container_name, None)
            for item in orders.assignments:
                name = item.instance.container_name
                if item.released and name not in found:
                    found[name] = Container(item.instance, images[item.spec_hash], self.now)

    def _report(self) -> None:
        observed = {}
        seen: dict[tuple[str, str], tuple[float, float]] = {}
        self.heard = min(self.heard + 1, len(self.state.hosts))
        for host_id in sorted(self.state.hosts)[: self.heard]:
            statuses = {
                name: self._status(container)
                for name, container in self.containers.get(host_id, {}).items()
            }
            for name, status in statuses.items():
                if status.serving:
                    known = self.since.get((host_id, name))
                    same = known is not None and known[0] == status.started_at
                    seen[host_id, name] = (
                        status.started_at,
                        known[1] if same and known else self.now,
                    )
            revision = self.state.revisions.get(ASSIGNMENTS + host_id, 0)
            observed[host_id] = HostState(X86, statuses, accepted_revision=revision)
        self.since = seen
        self.state = dataclasses.replace(
            self.state,
            observed=observed,
            heard_s=dict.fromkeys(observed, 0.1),
            serving_s={key: self.now - at for key, (_, at) in seen.items()},
            now=self.now,
        )

    def _status(self, container: Container) -> InstanceStatus:
        age_s = self.now - container.began_at - START_S
        fails_s: Optional[float] = self.fails.get(container.image)
        if age_s < 0:
            return InstanceStatus(container.instance, Phase.STARTING)
        if fails_s is None:
            return InstanceStatus(
                container.instance, Phase.RUNNING, started_at=container.began_at + START_S
            )
        round_, at_s = divmod(age_s, fails_s + BACKOFF_S)
        started_at = container.began_at + START_S + round_ * (fails_s + BACKOFF_S)
        phase = Phase.RUNNING if at_s < fails_s else Phase.BACKOFF
        return InstanceStatus(
            container.instance,
            phase,
            detail="" if phase is Phase.RUNNING else "ended with exit code 1",
            started_at=started_at,
            restarts=int(round_),
        )


def slots_of(state: Snapshot) -> dict[int, list[int]]:
    """Generations that are assigned, by slot."""
    found: dict[int, list[int]] = {}
    for orders in state.assignments.values():
        for item in orders.assignments:
            found.setdefault(item.instance.slot, []).append(item.instance.generation)
    return {slot: sorted(generations) for slot, generations in sorted(found.items())}
