"""What an agent found on its host."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.control import Posture
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.event import Event
from hullmark.model.host import NO_FACTS, HostFacts
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.outage import Outage


class Phase(enum.Enum):
    """Where an instance stands. The agent alone moves an instance from one to the next."""

    WAITING = "waiting"  # assigned, not released: a dependency doesn't hold yet
    PULLING = "pulling"
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"  # ended or could not be made; tried again later
    COMPLETED = "completed"  # a one-shot that ended with 0
    FAILED = "failed"  # ended, and its restart policy says: no more
    STOPPING = "stopping"


REFUSED_BY_POLICY = "refused by the host's policy: "
"""How the detail of an instance begins that its host does not create or start."""
PAUSED = "paused by somebody; "
DISCONNECTED = "taken off a network by somebody; "
"""How the detail of an instance begins whose container is paused, or is off a network of its app; the rest is what to type on its host."""


def to_type(detail: str) -> str:
    """What ends what somebody did to a container by hand; empty for any other detail."""
    begins = next((one for one in (PAUSED, DISCONNECTED) if detail.startswith(one)), detail)
    return detail[len(begins) :]


class Health(enum.Enum):
    NONE = "none"  # no check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class InstanceStatus:
    """One instance as its host sees it. `detail` says why it isn't running, for people. `named`: its container has a hosts
    file of ours, by which services' names lead to their addresses and so to the host's proxy. `nameless`: it would have one were it made now, and has the
    engine's.

    Times are seconds since 1970, UTC, as the engine reports them; 0.0 means not yet.
    """

    instance: InstanceId
    phase: Phase
    health: Health = Health.NONE
    detail: str = ""
    spec_hash: str = ""
    epoch: Epoch = NO_EPOCH
    container_id: str = ""
    image: str = ""
    image_id: str = ""
    exit_code: Optional[int] = None
    started_at: float = 0.0
    finished_at: float = 0.0
    restarts: int = 0
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    named: bool = False
    nameless: bool = False

    @property
    def serving(self) -> bool:
        """Running, and healthy if it has a check."""
        return self.phase is Phase.RUNNING and self.health in (Health.NONE, Health.HEALTHY)


@dataclass(frozen=True)
class HostProblem:
    """Something wrong on the host that keeps the agent from its work. `code` is stable, for machines;
    `remedy` is the next thing to do or type."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class HostState:
    """The whole observed state of a host. Its digest is compared between agent and leader.

    Instances are keyed by container name: every one that is assigned, and every one with a tombstone until
    its container is gone. Orphans are containers of ours that no order names. `accepted_revision` is of the
    orders that this state was made under: a tombstone is done with once a state made under the
    orders that hold it lacks its instance. `removed_volumes` are those of the orders' volume
    removals that are done, as `names.engine_name` gives them; they go when the orders no longer name them.
    `posture` is None until the host's controls were looked at, and has nothing that always moves (`core/posture.settled`).
    `outages` are those that last, and those that ended in the last seven days, at most 100, the newest first.
    """

    facts: HostFacts = NO_FACTS
    instances: Mapping[str, InstanceStatus] = field(default_factory=dict)
    orphans: Mapping[str, InstanceStatus] = field(default_factory=dict)
    problems: tuple[HostProblem, ...] = ()
    accepted_revision: int = 0
    removed_volumes: tuple[str, ...] = ()
    posture: Optional[Posture] = None
    outages: tuple[Outage, ...] = ()


NO_STATE = HostState()


@dataclass(frozen=True)
class Report:
    """Changes of a host's observed state, or all of it.

    `run` names one life of the agent's process. With `full`, the state replaces what the leader held;
    otherwise instances and orphans are merged into it, names in `gone` are taken out of both, facts,
    problems, removed volumes, posture and outages replace theirs where not None, and `accepted_revision` always does.
    `sequence` starts at 1 with each run and grows by one with each report; a repeat keeps its number. `digest` is of
    the whole state after that: where the leader's own differs it answers `resend`. Events are delivered at least
    once; `event_id`s tell repeats.
    """

    host_id: str
    run: str
    sequence: int
    epoch: Epoch
    digest: str
    full: bool = False
    facts: Optional[HostFacts] = None
    instances: Mapping[str, InstanceStatus] = field(default_factory=dict)
    orphans: Mapping[str, InstanceStatus] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    problems: Optional[tuple[HostProblem, ...]] = None
    accepted_revision: int = 0
    removed_volumes: Optional[tuple[str, ...]] = None
    posture: Optional[Posture] = None
    outages: Optional[tuple[Outage, ...]] = None
    events: tuple[Event, ...] = ()
