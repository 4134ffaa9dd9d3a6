"""The roster: assignments with what their hosts say of them, by service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.model.app import DeployMode
from hullmark.model.observed import NO_STATE, HostState, InstanceStatus
from hullmark.model.orders import Assignment, Tombstone
from hullmark.model.records import AppRecord, HostAssignments
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Placed:
    """An assignment on its host. `status` None: the host has not spoken of it."""

    host_id: str
    assignment: Assignment
    status: Optional[InstanceStatus]


@dataclass(frozen=True)
class Leaving:
    """A tombstone on its host. `status` None: the host has not spoken of it."""

    host_id: str
    tombstone: Tombstone
    status: Optional[InstanceStatus]


class Roster:
    """`placed` and `leaving` are keyed by (app, service), in order of slot."""

    def __init__(
        self, orders: Mapping[str, HostAssignments], observed: Mapping[str, HostState]
    ) -> None:
        self._placed: dict[tuple[str, str], list[Placed]] = defaultdict(list)
        self._leaving: dict[tuple[str, str], list[Leaving]] = defaultdict(list)
        for host_id in sorted(orders):
            state = observed.get(host_id, NO_STATE)
            for assignment in orders[host_id].assignments:
                instance = assignment.instance
                status = state.instances.get(instance.container_name)
                self._placed[instance.app, instance.service].append(
                    Placed(host_id, assignment, status)
                )
            for tombstone in orders[host_id].tombstones:
                instance = tombstone.instance
                status = state.instances.get(instance.container_name)
                self._leaving[instance.app, instance.service].append(
                    Leaving(host_id, tombstone, status)
                )
        for placed in self._placed.values():
            placed.sort(key=lambda item: item.assignment.instance)
        for leaving in self._leaving.values():
            leaving.sort(key=lambda item: item.tombstone.instance)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Roster:
        return cls(snapshot.assignments, snapshot.observed)

    def placed(self, app: str, service: str) -> list[Placed]:
        return self._placed.get((app, service), [])

    def current(self, record: AppRecord, service: str) -> list[Placed]:
        """The service's assignments of the generation that it is to have. A slot that is about to change hosts
        has two."""
        generation = record.generations.get(service)
        return [
            item
            for item in self.placed(record.app.name, service)
            if item.assignment.instance.generation == generation
        ]

    def by_slot(self, record: AppRecord, service: str) -> dict[int, list[Placed]]:
        """All assignments of each slot that the service is to have, of whatever generation, in order of slot."""
        deploy = record.app.services[service].deploy
        found: dict[int, list[Placed]] = defaultdict(list)
        for item in self.placed(record.app.name, service):
            slot = item.assignment.instance.slot
            if deploy.mode is DeployMode.GLOBAL or slot <= deploy.replicas:
                found[slot].append(item)
        return found

    def leaving(self, app: str = "", service: str = "") -> list[Leaving]:
        """Tombstones of one service, of the whole app, or of all apps."""
        if service:
            return self._leaving.get((app, service), [])
        return [
            item
            for key in sorted(self._leaving)
            if app in ("", key[0])
            for item in self._leaving[key]
        ]

    def wanted(self, record: AppRecord, service: str) -> int:
        """How many instances there should be. A global service counts those that it has: hosts that can't
        take one are explained by the plan."""
        if record.removing:
            return 0
        deploy = record.app.services[service].deploy
        if deploy.mode is DeployMode.GLOBAL:
            return len(self.by_slot(record, service))
        return deploy.replicas
