"""The report that turns one observed state into the next."""

from __future__ import annotations

from collections.abc import Mapping
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
    if before is None:
        return Report(
            host_id,
            run,
            sequence,
            epoch,
            digest(after),
            full=True,
            facts=after.facts,
            instances=after.instances,
            orphans=after.orphans,
            problems=after.problems,
            accepted_revision=after.accepted_revision,
            removed_volumes=after.removed_volumes,
            events=events,
        )
    known = set(before.instances) | set(before.orphans)
    return Report(
        host_id,
        run,
        sequence,
        epoch,
        digest(after),
        facts=after.facts if after.facts != before.facts else None,
        instances=_changed(before.instances, after.instances),
        orphans=_changed(before.orphans, after.orphans),
        # One that moved between the two is taken out of both and sent again.
        gone=tuple(
            sorted(
                name
                for name in known
                if (name in before.instances and name not in after.instances)
                or (name in before.orphans and name not in after.orphans)
            )
        ),
        problems=after.problems if after.problems != before.problems else None,
        accepted_revision=after.accepted_revision,
        removed_volumes=(
            after.removed_volumes if after.removed_volumes != before.removed_volumes else None
        ),
        events=events,
    )


def _changed(
    before: Mapping[str, InstanceStatus], after: Mapping[str, InstanceStatus]
) -> dict[str, InstanceStatus]:
    return {name: status for name, status in after.items() if before.get(name) != status}
