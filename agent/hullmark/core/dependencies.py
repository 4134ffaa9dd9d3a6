"""Dependencies: may an instance start yet? (`depends_on` of Compose)"""

from __future__ import annotations

from collections.abc import Sequence

from hullmark.core.roster import Placed, Roster
from hullmark.model.app import Dependency, DependencyCondition, Service
from hullmark.model.observed import Health, Phase
from hullmark.model.records import AppRecord

_GOALS = {
    DependencyCondition.STARTED: "to start",
    DependencyCondition.HEALTHY: "to be healthy",
    DependencyCondition.COMPLETED: "to complete",
}


def waits(roster: Roster, record: AppRecord, service: str) -> tuple[str, ...]:
    """What the service's instances have to wait for, such as `db to be healthy`; empty: nothing."""
    found = []
    for dependency in record.app.services[service].depends_on:
        if dependency.service not in record.app.services:
            if dependency.required:
                found.append(f"{dependency.service}, which the app doesn't have")
            continue
        placed = roster.current(record, dependency.service)
        wanted = roster.wanted(record, dependency.service)
        if not _holds(record, dependency, placed, wanted):
            found.append(f"{dependency.service} {_GOALS[dependency.condition]}")
    return tuple(found)


def hopeless(roster: Roster, record: AppRecord, service: str) -> tuple[str, ...]:
    """Dependencies that waiting won't mend, one phrase each: something must be changed first."""
    found = []
    for dependency in record.app.services[service].depends_on:
        needed = record.app.services.get(dependency.service)
        if not dependency.required or needed is None:
            continue
        for item in roster.current(record, dependency.service):
            obstacle = _obstacle(dependency.condition, needed, item)
            if obstacle:
                found.append(f"{dependency.service} {obstacle}")
                break
    return tuple(found)


def _holds(
    record: AppRecord, dependency: Dependency, placed: Sequence[Placed], wanted: int
) -> bool:
    """All wanted instances fulfil the condition, each slot by any of those that it has; with none wanted it
    holds. One that is not required is waited for only while it can still make it."""
    condition, needed = dependency.condition, record.app.services[dependency.service]
    done = {
        item.assignment.instance.slot
        for item in placed
        if _fulfils(condition, item)
        or (not dependency.required and _obstacle(condition, needed, item))
    }
    return len(done) >= wanted


def _fulfils(condition: DependencyCondition, item: Placed) -> bool:
    status = item.status
    if status is None:
        return False
    if condition is DependencyCondition.STARTED:
        return status.phase in (Phase.RUNNING, Phase.COMPLETED) or status.started_at > 0
    if condition is DependencyCondition.HEALTHY:
        return status.phase is Phase.RUNNING and status.health is Health.HEALTHY
    return status.phase is Phase.COMPLETED


def _obstacle(condition: DependencyCondition, needed: Service, item: Placed) -> str:
    """Why the instance will never fulfil the condition; empty while it may."""
    status = item.status
    if status is None or _fulfils(condition, item):
        return ""
    if status.phase is Phase.FAILED:
        return "has failed"
    if condition is not DependencyCondition.HEALTHY:
        return ""
    if status.phase is Phase.COMPLETED:
        return "has ended, so it never becomes healthy"
    # A check that the spec asks for shows up a moment after the start; one of the image at once.
    check = needed.container.healthcheck
    unchecked = check is None or check.disabled
    if status.phase is Phase.RUNNING and status.health is Health.NONE and unchecked:
        return "has no health check, so it never becomes healthy"
    return ""
