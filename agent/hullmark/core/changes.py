"""The report that turns one observed state into the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.observed import HostState, InstanceStatus, Report
from hullmark.model.wire import digest


def changes(
    before: Optional[HostState],
    after: HostState,
    *,
    host_id: str,
    run: str,
    sequence: int,
    epoch: Epoch,
    events: tuple[Event, ...] = (),
) -> Report:
    """`before`: what the leader is known to hold; None: nothing, so that everything is sent."""
    report = Report(
        host_id,
        run,
        sequence,
        epoch,
        digest(after),
        accepted_revision=after.accepted_revision,
        events=events,
    )
    if before is None:
        return replace(
            report,
            full=True,
            facts=after.facts,
            instances=after.instances,
            orphans=after.orphans,
            problems=after.problems,
            removed_volumes=after.removed_volumes,
            posture=after.posture,
            outages=after.outages,
        )
    # One that moved between instances and orphans is taken out of both and sent again.
    gone = {name for name in before.instances if name not in after.instances}
    gone |= {name for name in before.orphans if name not in after.orphans}
    same_volumes = after.removed_volumes == before.removed_volumes
    return replace(
        report,
        facts=None if after.facts == before.facts else after.facts,
        instances=_changed(before.instances, after.instances),
        orphans=_changed(before.orphans, after.orphans),
        gone=tuple(sorted(gone)),
        problems=None if after.problems == before.problems else after.problems,
        removed_volumes=None if same_volumes else after.removed_volumes,
        posture=None if after.posture == before.posture else after.posture,
        outages=None if after.outages == before.outages else after.outages,
    )


def _changed(
    before: Mapping[str, InstanceStatus], after: Mapping[str, InstanceStatus]
) -> dict[str, InstanceStatus]:
    return {name: status for name, status in after.items() if before.get(name) != status}
