"""A container as the reconciler needs it: what the engine said, in the words of the decision."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId, PublishedPort


class FoundState(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    BROKEN = "broken"


@dataclass(frozen=True)
class Found:
    """Times are seconds since 1970, as the engine reports them. `health_output`: what the last failed check printed."""

    container_id: str
    name: str
    instance: InstanceId
    spec_hash: str
    state: FoundState
    epoch: Epoch = NO_EPOCH
    health: Health = Health.NONE
    health_output: str = ""
    exit_code: Optional[int] = None
    error: str = ""
    oom_killed: bool = False
    image: str = ""
    image_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()

    @property
    def ended_key(self) -> str:
        """Names one end of this container: another one has another key."""
        return f"{self.container_id}@{self.finished_at!r}"

    @property
    def run_key(self) -> str:
        """Names one run of this container: the next one has another key."""
        return f"{self.container_id}@{self.started_at!r}"
