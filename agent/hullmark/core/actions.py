"""What a host may have to do: each action, its lane and its key.

A lane does one thing at a time. What is remembered of an action is kept by its key: the container's name, for a removal
with `remove/` before it, else its lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from hullmark.model.app import Bundle
from hullmark.model.orders import Assignment, InstanceId, Tombstone

Lane = tuple[str, ...]
Limited = Union[Assignment, Tombstone]
"""What `stop_unheard_s` may be said of."""


@dataclass(frozen=True)
class Prepare:
    """Have the image of a spec on the host. `assignment` is one of its instances."""

    assignment: Assignment
    bundle: Bundle

    @property
    def lane(self) -> Lane:
        return ("spec", self.assignment.spec_hash)

    @property
    def key(self) -> str:
        return spec_key(self.assignment.spec_hash)


@dataclass(frozen=True)
class _OfAssignment:
    assignment: Assignment

    @property
    def lane(self) -> Lane:
        return slot_lane(self.assignment.instance)

    @property
    def key(self) -> str:
        return self.assignment.instance.container_name


@dataclass(frozen=True)
class Run(_OfAssignment):
    """Have the networks and volumes; make the container; start it."""

    bundle: Bundle


@dataclass(frozen=True)
class Start(_OfAssignment):
    """Start a container that is there and has run before."""

    container_id: str


@dataclass(frozen=True)
class Remove:
    """Stop and remove a container, because of a tombstone."""

    instance: InstanceId
    container_id: str
    running: bool
    reason: str

    @property
    def lane(self) -> Lane:
        return slot_lane(self.instance)

    @property
    def key(self) -> str:
        return removal_key(self.instance)


@dataclass(frozen=True)
class Stop:
    """Stop a container and keep it, because no leader was heard for `after_s`. Its lane is its own, so that it
    waits for nothing else of its slot; its slot's start waits for it."""

    instance: InstanceId
    container_id: str
    run: str
    after_s: float

    @property
    def lane(self) -> Lane:
        return stop_lane(self.instance)

    @property
    def key(self) -> str:
        return "/".join(self.lane)


@dataclass(frozen=True)
class RemoveNetwork:
    """`name` is its key in the app."""

    app: str
    name: str

    @property
    def lane(self) -> Lane:
        return ("network", self.app, self.name)

    @property
    def key(self) -> str:
        return "/".join(self.lane)


@dataclass(frozen=True)
class RemoveVolume:
    """`name` is its key in the app."""

    app: str
    name: str

    @property
    def lane(self) -> Lane:
        return ("volume", self.app, self.name)

    @property
    def key(self) -> str:
        return "/".join(self.lane)


Action = Union[Prepare, Run, Start, Remove, Stop, RemoveNetwork, RemoveVolume]


def spec_key(spec_hash: str) -> str:
    return f"spec/{spec_hash}"


def removal_key(instance: InstanceId) -> str:
    """A container that can't be started is not waited for before it is removed: failed attempts at one say nothing
    of the other."""
    return f"remove/{instance.container_name}"


def slot_lane(instance: InstanceId) -> Lane:
    return ("slot", instance.app, instance.service, str(instance.slot))


def stop_lane(instance: InstanceId) -> Lane:
    return ("stop", instance.container_name)
