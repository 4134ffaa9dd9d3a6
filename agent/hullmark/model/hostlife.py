"""What operators say of hosts: what they are used for, their labels, maintenance, their end.

    GET    /v1/hosts/HOST          HostDetail, with `after` and `hold_s`: what runs there, what a drain has left
    POST   /v1/hosts/HOST/labels   LabelsRequest -> HostChange
    DELETE /v1/hosts/HOST          RemoveHostRequest -> RemovedHost
    POST   /v1/availability        AvailabilityRequest -> HostChanges: cordon, uncordon, drain
    POST   /v1/maintenance         MaintenanceRequest -> HostChanges: starts it, or says anew how long it lasts
    DELETE /v1/maintenance         MaintenanceEndRequest -> HostChanges

Each change is one transaction over all the hosts that it names: all of them, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.api import HostView, InstanceView
from hullmark.model.host import Availability, Maintenance


@dataclass(frozen=True)
class AvailabilityRequest:
    """`hosts` are names."""

    hosts: tuple[str, ...]
    availability: Availability
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class LabelsRequest:
    """`labels` are set, whether they were there or not; then those of `remove` go."""

    request_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    ticket: str = ""


@dataclass(frozen=True)
class MaintenanceRequest:
    """`for_s`: from now."""

    hosts: tuple[str, ...]
    for_s: float
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class MaintenanceEndRequest:
    hosts: tuple[str, ...]
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class RemoveHostRequest:
    """`force`: also while it has orders, because it will not be heard again."""

    request_id: str
    force: bool = False
    ticket: str = ""


@dataclass(frozen=True)
class HostChange:
    """How the host is kept now. `changed` False: it was so before."""

    host: str
    changed: bool
    availability: Availability = Availability.ACTIVE
    labels: Mapping[str, str] = field(default_factory=dict)
    maintenance: Optional[Maintenance] = None


@dataclass(frozen=True)
class HostChanges:
    hosts: tuple[HostChange, ...]

    @property
    def changed(self) -> bool:
        """Whether any of them was kept otherwise before."""
        return any(one.changed for one in self.hosts)


@dataclass(frozen=True)
class RemovedHost:
    """`elsewhere`: instances whose places others take; `kept`: those that stay unplaced until `hullmark move`. Both
    are empty but with `force`. `invites`: how many open ones were withdrawn; with an empty `host_id` that is all,
    because there was no such host."""

    host: str
    host_id: str
    elsewhere: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    invites: int = 0


LOCAL_DATA = "local data"
RUNS_ON_EACH = "runs on every host"


@dataclass(frozen=True)
class StayingInstance:
    """What a drain does not move, and why: `LOCAL_DATA`, `on_host_lost: keep` or `RUNS_ON_EACH`; of one that is
    stuck why no other host fits it."""

    name: str
    why: str


@dataclass(frozen=True)
class HostDetail:
    """`left` and `stays`: of the host's instances, as a drain has them, whether it is being drained or not. Times
    are seconds since 1970. `version` is for `after`. `stuck`: of `left`, what no other host fits as things are, and
    what runs on every host and goes after it."""

    host: HostView
    enrolled_at: float
    instances: tuple[InstanceView, ...]
    left: tuple[str, ...]
    stays: tuple[StayingInstance, ...]
    version: int
    stuck: tuple[StayingInstance, ...] = ()
