"""Wishes: what is wanted of each service, put together once for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.core.homes import keeps_home, loss_policy
from hullmark.core.progress import pace_of
from hullmark.core.rollout import Course, Pace
from hullmark.core.serviceports import by_engine
from hullmark.model.app import DeployMode, HostLoss, PortSpec, Service, UpdateConfig, UpdateOrder
from hullmark.model.orders import Assignment
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot

AGENT_STOPS_WITHIN_S = 5.0
"""Beyond an instance's grace: how long an agent that is cut off may take to stop it (`on_host_lost: stop`)."""

_STEADY = Pace(frozenset(), frozenset())


@dataclass(frozen=True)
class Wish:
    """One service of an app. `pace`: which of its slots change now. `lost_after_s` is the cluster's."""

    record: AppRecord
    name: str
    service: Service
    pace: Pace
    policy: HostLoss
    lost_after_s: float

    @property
    def app(self) -> str:
        return self.record.app.name

    @property
    def generation(self) -> int:
        return self.record.generations[self.name]

    @property
    def is_global(self) -> bool:
        return self.service.deploy.mode is DeployMode.GLOBAL

    @property
    def ports(self) -> tuple[PortSpec, ...]:
        """What each instance takes of its host. Published ports that proxies answer are the service's, and no instance's."""
        return by_engine(self.service.ports)

    @property
    def one_shot(self) -> bool:
        return self.service.container.one_shot

    @property
    def keeps_home(self) -> bool:
        return keeps_home(self.service)

    @property
    def may_move(self) -> bool:
        """Whether its instances are started elsewhere without anybody's word."""
        return not self.is_global and self.policy is not HostLoss.KEEP

    @property
    def update(self) -> UpdateConfig:
        return pace_of(self.record, self.service)

    @property
    def start_first(self) -> bool:
        """A one-shot never runs beside the one that it follows."""
        return self.update.order is UpdateOrder.START_FIRST and not self.one_shot

    @property
    def most(self) -> int:
        """Instances on one host; 0: any number. One that runs on every host has one there, and its successor."""
        return 0 if self.is_global else self.service.deploy.placement.max_replicas_per_node

    @property
    def runs_once(self) -> bool:
        """Whether a slot must not run twice even while it changes hosts."""
        return self.policy is HostLoss.STOP and not self.start_first

    @property
    def stop_unheard_s(self) -> float:
        stops = self.policy is HostLoss.STOP and not self.is_global
        return self.lost_after_s if stops else 0.0

    def given_up_after_s(self, assignment: Assignment) -> Optional[float]:
        """After which silence of its host the instance is sure to be stopped, or may as well run twice. None:
        never, for its host was not told to stop it."""
        if self.policy is not HostLoss.STOP:
            return self.lost_after_s
        if not assignment.stop_unheard_s:
            return None
        return self.stopped_after_s + max(0.0, assignment.stop_unheard_s - self.lost_after_s)

    @property
    def stopped_after_s(self) -> float:
        """After which silence an agent that was told so has stopped it."""
        return self.lost_after_s + self.service.container.stop_grace_s + AGENT_STOPS_WITHIN_S


def wishes(snapshot: Snapshot, courses: Mapping[str, Course]) -> dict[tuple[str, str], Wish]:
    """By (app, service), in order of both; apps that are being removed want nothing."""
    found = {}
    for app in sorted(snapshot.apps):
        record = snapshot.apps[app]
        for name in sorted(record.app.services) if not record.removing else ():
            service = record.app.services[name]
            pace = courses[app].paces.get(name, _STEADY)
            found[app, name] = Wish(
                record, name, service, pace, loss_policy(service), snapshot.lost_after_s
            )
    return found
