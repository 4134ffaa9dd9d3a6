"""What a host says of an instance: its container as found, in the words of the report."""

from __future__ import annotations

from typing import Optional

from hullmark.core.found import Found, FoundState
from hullmark.core.restart import Attempt
from hullmark.model.observed import Health, InstanceStatus, Phase
from hullmark.model.orders import InstanceId


def plain_phase(found: Found) -> Phase:
    """Of a container about which nothing is to be decided."""
    if found.state is FoundState.RUNNING:
        return Phase.RUNNING
    return Phase.STARTING if found.state is FoundState.CREATED else Phase.FAILED


def failing_check(found: Found) -> str:
    """Why a container that runs is unhealthy; empty where it is not."""
    if found.health is not Health.UNHEALTHY:
        return ""
    return f"its health check fails: {found.health_output}".rstrip(": ")


def status_of(
    instance: InstanceId, found: Optional[Found], phase: Phase, detail: str, attempt: Attempt
) -> InstanceStatus:
    """`found` None: there is no container yet."""
    if found is None:
        return InstanceStatus(instance, phase, detail=detail, restarts=attempt.restarts)
    return InstanceStatus(
        instance,
        phase,
        health=found.health,
        detail=detail,
        spec_hash=found.spec_hash,
        epoch=found.epoch,
        container_id=found.container_id,
        image=found.image,
        image_id=found.image_id,
        exit_code=found.exit_code,
        started_at=found.started_at,
        finished_at=found.finished_at,
        restarts=attempt.restarts,
        addresses=found.addresses,
        ports=found.ports,
    )
