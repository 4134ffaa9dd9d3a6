"""A world of hosts for the scheduler's tests: agents that obey what they hear, a network that fails, a store, and a
leader that plans. Pure: time is a number that the test moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core import absence
from hullmark.core.generations import highest_generation, next_record
from hullmark.core.homes import key_of, volumes_of
from hullmark.core.schedule import Plan, plan
from hullmark.model.app import App
from hullmark.model.control import Posture
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.loadline import NO_RECORD
from hullmark.model.names import APPS, ASSIGNMENTS, engine_name
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import (
    NO_ASSIGNMENTS,
    AppRecord,
    Home,
    HomesRecord,
    HostAssignments,
    Rollout,
)
from hullmark.model.snapshot import Snapshot, Strategy
from tests.unit.core.fleets import CHANGE, CLUSTER, LEADER

SYNC_S = 1.0
"""An agent that can reach the leader does so this often."""
SLOW_S = 4.0
"""What an agent takes to stop an instance beyond its grace: nearly all that it may."""
PASSES_MAX = 4
"""A plan, what it finishes, what that says of a change, and one that finds nothing left."""

Slot = tuple[str, str, int]


def slot_of(instance: InstanceId) -> Slot:
    return instance.app, instance.service, instance.slot


@dataclass
class Container:
    instance: InstanceId
    assignment: Assignment
    running: bool = True
    ended: bool = False  # a one-shot that completed


@dataclass
class Machine:
    """A host as it really is, whether anybody hears it or not."""

    facts: HostFacts
    connected: bool = True
    up: bool = True
    orders: HostAssignments = NO_ASSIGNMENTS
    revision: int = 0
    synced_at: float = 0.0
    containers: dict[str, Container] = field(default_factory=dict)
    posture: Optional[Posture] = None

    def state(self) -> HostState:
        instances: dict[str, InstanceStatus] = {}
        orphans: dict[str, InstanceStatus] = {}
        named = {item.instance for item in self.orders.assignments}
        named |= {item.instance for item in self.orders.tombstones}
        for name, container in self.containers.items():
            phase = Phase.RUNNING if container.running else Phase.STARTING
            phase = Phase.COMPLETED if container.ended else phase
            known = instances if container.instance in named else orphans
            ports = container.assignment.ports
            known[name] = InstanceStatus(container.instance, phase, ports=ports)
        for item in self.orders.assignments:
            name = item.instance.container_name
            instances.setdefault(name, InstanceStatus(item.instance, Phase.WAITING))
        removed = tuple(engine_name(item.app, item.volume) for item in self.orders.volume_removals)
        return HostState(
            self.facts,
            instances,
            orphans,
            accepted_revision=self.revision,
            removed_volumes=removed,
            posture=self.posture,
        )


class World:
    """`checks` are called with every plan that the leader makes: (before, plan, after). `torn`: of the next plan for
    several hosts only the orders of every other one reach the store."""

    def __init__(self, hosts: Mapping[str, tuple[HostRecord, HostFacts]]) -> None:
        self.now = 1000.0
        self.revision = 1
        self.records = {host_id: record for host_id, (record, _) in hosts.items()}
        self.machines = {host_id: Machine(facts) for host_id, (_, facts) in hosts.items()}
        self.apps: dict[str, AppRecord] = {}
        self.assignments: dict[str, HostAssignments] = {}
        self.homes: dict[str, HomesRecord] = {}
        self.rollouts: dict[str, Rollout] = {}
        self.revisions: dict[str, int] = {}
        self.heard: dict[str, float] = {}
        self.observed: dict[str, HostState] = {}
        self.began = self.now
        self.restless_at = -math.inf
        self.served: dict[tuple[str, str], float] = {}
        self.strategy = Strategy.SPREAD
        self.torn = False
        self.loadline = NO_RECORD
        self.checks: list[Callable[[Snapshot, Plan, Snapshot], None]] = []

    # what the leader knows

    def snapshot(self) -> Snapshot:
        seen = Snapshot(
            CLUSTER,
            LEADER,
            dict(self.apps),
            dict(self.records),
            dict(self.assignments),
            dict(self.observed),
            {host_id: self.now - at for host_id, at in self.heard.items()},
            self.now - self.began,
            homes=dict(self.homes),
            rollouts=dict(self.rollouts),
            serving_s={key: self.now - at for key, at in self.served.items()},
            strategy=self.strategy,
            now=self.now,
            revision=self.revision,
            revisions=dict(self.revisions),
            loadline=self.loadline,
        )
        if absence.brake(seen) is not None:
            self.restless_at = self.now
        return dataclasses.replace(seen, calm_s=self.now - self.restless_at)

    def lead(self) -> Plan:
        """Plan and commit until nothing is left to write."""
        for _ in range(PASSES_MAX + self.torn):
            before = self.snapshot()
            made = plan(before)
            if self.torn and len(made.hosts) > 1:
                self.torn = False
                half = dict(sorted(made.hosts.items())[self.now % 2 < 1 :: 2])
                self._commit(dataclasses.replace(made, hosts=half))
                continue
            self._commit(made)
            after = self.snapshot()
            for check in self.checks:
                check(before, made, after)
            if not (made.hosts or made.homes or made.rollouts or made.finished):
                return made
        raise AssertionError("planning does not come to rest")

    def _commit(self, made: Plan) -> None:
        self.revision += 1
        for app, homes in made.homes.items():
            self.homes[app] = homes
            if not homes.slots:
                del self.homes[app]
        self.rollouts.update(made.rollouts)
        for host_id, orders in made.hosts.items():
            self.assignments[host_id] = orders
            self.revisions[ASSIGNMENTS + host_id] = self.revision
            if host_id not in self.records and orders == NO_ASSIGNMENTS:
                del self.assignments[host_id], self.revisions[ASSIGNMENTS + host_id]
        for app in made.finished if not made.hosts else ():
            del self.apps[app]
            self.rollouts.pop(app, None)

    def new_leader(self) -> None:
        """Another process leads: nothing is known of the hosts but what the store has."""
        self.heard, self.observed, self.served = {}, {}, {}
        self.began = self.now
        self.restless_at = -math.inf

    # what people do

    def apply(self, app: App) -> None:
        record = next_record(
            self.apps.get(app.name),
            app,
            CHANGE,
            floor=highest_generation(self.snapshot(), app.name),
        )
        self._write(record)

    def remove(self, name: str, *, volumes: bool = False) -> None:
        if name in self.apps:
            record = self.apps[name]
            self._write(dataclasses.replace(record, removing=True, remove_volumes=volumes))

    def _write(self, record: AppRecord) -> None:
        self.revision += 1
        self.apps[record.app.name] = record
        self.revisions[APPS + record.app.name] = self.revision

    def change_host(self, host_id: str, **change: object) -> None:
        self.records[host_id] = dataclasses.replace(self.records[host_id], **change)  # type: ignore[arg-type]

    def move(self, slot: Slot, leave: str) -> None:
        app, name, number = slot
        homes = dict(self.homes.get(app, HomesRecord()).slots)
        service = self.apps[app].app.services[name]
        homes[key_of(name, number)] = Home("", volumes_of(service), leave)
        self.homes[app] = HomesRecord(homes)

    def forget_host(self, host_id: str) -> None:
        """`host remove`: its certificate holds no more, whatever goes on there."""
        self.records.pop(host_id)
        self.heard.pop(host_id, None)
        self.observed.pop(host_id, None)

    # what happens

    def pass_s(self, seconds: float) -> None:
        """Time goes by, one sync after the other; the leader plans after each."""
        for _ in range(max(1, round(seconds / SYNC_S))):
            self.now += SYNC_S
            for host_id, machine in self.machines.items():
                self._live(host_id, machine)
            self._note_serving()
            self.lead()

    def _live(self, host_id: str, machine: Machine) -> None:
        if not machine.up:
            return
        if machine.connected and host_id in self.records:
            machine.synced_at = self.now
            machine.orders = self.assignments.get(host_id, NO_ASSIGNMENTS)
            machine.revision = self.revisions.get(ASSIGNMENTS + host_id, 0)
        self._reconcile(machine)
        if machine.connected and host_id in self.records:
            self.heard[host_id] = self.now
            self.observed[host_id] = machine.state()

    def _reconcile(self, machine: Machine) -> None:
        for tombstone in machine.orders.tombstones:
            machine.containers.pop(tombstone.instance.container_name, None)
        for item in machine.orders.assignments:
            name = item.instance.container_name
            if name not in machine.containers and item.released:
                machine.containers[name] = Container(item.instance, item)
            container = machine.containers.get(name)
            if container is None:
                continue
            unheard_s = self.now - machine.synced_at
            stopped_after_s = item.stop_unheard_s + self._grace_s(item.instance) + SLOW_S
            cut_off = item.stop_unheard_s > 0 and unheard_s >= stopped_after_s
            container.running = not cut_off
            container.ended = container.ended or self._is_job(item.instance)

    def _grace_s(self, instance: InstanceId) -> float:
        record = self.apps.get(instance.app)
        service = None if record is None else record.app.services.get(instance.service)
        return 0.0 if service is None else service.container.stop_grace_s

    def _is_job(self, instance: InstanceId) -> bool:
        record = self.apps.get(instance.app)
        service = None if record is None else record.app.services.get(instance.service)
        return service is not None and service.container.one_shot

    def _note_serving(self) -> None:
        now = {
            (host_id, name)
            for host_id, state in self.observed.items()
            for name, status in state.instances.items()
            if status.serving
        }
        self.served = {key: self.served.get(key, self.now) for key in now}

    def has_ended(self, host_id: str, instance: InstanceId) -> bool:
        container = self.machines[host_id].containers.get(instance.container_name)
        return container is not None and container.ended

    def running(self) -> Iterator[tuple[str, InstanceId]]:
        """Every container that really runs, wherever."""
        for host_id, machine in self.machines.items():
            for container in machine.containers.values() if machine.up else ():
                if container.running and not container.ended:
                    yield host_id, container.instance

    def posts(self) -> dict[Slot, list[tuple[str, InstanceId]]]:
        found: dict[Slot, list[tuple[str, InstanceId]]] = {}
        for host_id, orders in self.assignments.items():
            for item in orders.assignments:
                found.setdefault(slot_of(item.instance), []).append((host_id, item.instance))
        return found

    def host_of(self, slot: Slot) -> Optional[str]:
        hosts = [host_id for host_id, _ in self.posts().get(slot, [])]
        return hosts[0] if len(hosts) == 1 else None
