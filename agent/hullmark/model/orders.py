"""What a host is told to run and to remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.app import Bundle
from hullmark.model.change import Change
from hullmark.model.epoch import NO_EPOCH, Epoch


@dataclass(frozen=True, order=True)
class InstanceId:
    """One container's identity. `generation` is the app's generation in which the service's spec last
    changed, so a container is made again only when its own spec did."""

    app: str
    service: str
    slot: int
    generation: int

    @property
    def container_name(self) -> str:
        """`app.service.slot.gN`: unique, because app names hold no dot (see `names`)."""
        return f"{self.app}.{self.service}.{self.slot}.g{self.generation}"

    def __str__(self) -> str:
        return f"{self.app}/{self.service}.{self.slot}"


@dataclass(frozen=True)
class PublishedPort:
    """A container's port on the host's address. `published` 0: the engine picks a free one."""

    target: int
    published: int
    protocol: str = "tcp"
    host_ip: str = ""


@dataclass(frozen=True)
class Assignment:
    """Run this instance. Until `released` (its dependencies hold) the host may only pull its image.

    `stop_unheard_s` above 0 (`on_host_lost: stop`): the agent stops it once its last successful sync was sent
    so many seconds ago, and starts it again only after another.
    """

    instance: InstanceId
    spec_hash: str
    ports: tuple[PublishedPort, ...] = ()
    released: bool = True
    stop_unheard_s: float = 0.0


@dataclass(frozen=True)
class Tombstone:
    """Stop and remove this instance: the only thing that ever removes a container.

    `epoch` is the leader's that decided it; `reason` is shown to people. `ports` are held by the
    instance until it is gone, so nobody else gets them before. `abandoned`: its host was lost and its slot
    runs elsewhere already, so its going is not waited for. `stop_unheard_s` is as its assignment had it: what an
    agent does that never hears of this.
    """

    instance: InstanceId
    epoch: Epoch
    reason: str = ""
    ports: tuple[PublishedPort, ...] = ()
    abandoned: bool = False
    stop_unheard_s: float = 0.0


@dataclass(frozen=True)
class VolumeRemoval:
    """Remove a named volume of a removed app: asked for by a person with `rm --volumes`."""

    app: str
    volume: str
    epoch: Epoch


@dataclass(frozen=True)
class Task:
    """A question to an agent, answered once: `kind` is `logs`, `resolve`, `judge` (see `foresight`) or `exec` (see `execution`).

    logs: `arguments` has app, and optionally service, slot, tail, since, follow.
    resolve: `arguments` has image and platform.
    """

    task_id: str
    kind: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Orders:
    """A host's whole assignment, as one answer of the leader.

    `bundles` is keyed by spec hash and holds every one that `assignments` names. `revision` is the
    store's revision of the assignment: within an epoch it only grows. `asked` has for each app of these orders the change
    that made it what it is: who asked for what is done here.
    """

    cluster_id: str
    host_id: str
    epoch: Epoch = NO_EPOCH
    leader: str = ""
    revision: int = 0
    assignments: tuple[Assignment, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    volume_removals: tuple[VolumeRemoval, ...] = ()
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    asked: Mapping[str, Change] = field(default_factory=dict)

    def find(self, instance: InstanceId) -> Optional[Assignment]:
        return next((item for item in self.assignments if item.instance == instance), None)
