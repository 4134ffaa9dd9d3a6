"""Removing the volumes of a removed app: ordered on every host, remembered until each has done it.

The app's record stays until every host has the order, so that a leader that dies in between leaves
nothing half said. After that the order stands in the host's own list, also while the host is away.
"""

from __future__ import annotations

from hullmark.core.draft import Draft, accepted_state, app_volumes
from hullmark.model import names
from hullmark.model.orders import VolumeRemoval
from hullmark.model.records import NO_ASSIGNMENTS, AppRecord


def order_removals(draft: Draft) -> None:
    """Give each host the removals that it still has to do. From one that was removed nothing is expected."""
    leaving = [
        record
        for record in draft.snapshot.apps.values()
        if record.removing and record.remove_volumes
    ]
    for host_id in sorted({*draft.berths, *draft.snapshot.assignments}):
        wanted = [
            item
            for item in draft.snapshot.assignments.get(host_id, NO_ASSIGNMENTS).volume_removals
            if host_id in draft.berths and not _is_over(draft, host_id, item)
        ]
        known = {(item.app, item.volume) for item in wanted}
        epoch = draft.snapshot.leader.epoch
        for record in leaving:
            for volume in app_volumes(record):
                if (record.app.name, volume) not in known and host_id in draft.berths:
                    wanted.append(VolumeRemoval(record.app.name, volume, epoch))
        wanted.sort(key=lambda item: (item.app, item.volume))
        if wanted or host_id in draft.snapshot.assignments:
            draft.removals[host_id] = tuple(wanted)


def _is_over(draft: Draft, host_id: str, removal: VolumeRemoval) -> bool:
    """Done by the host, and not about to be ordered again by a record that is still there."""
    record = draft.snapshot.apps.get(removal.app)
    if record is not None and record.removing:
        return False
    return _is_done(draft, host_id, removal.app, removal.volume)


def _is_done(draft: Draft, host_id: str, app: str, volume: str) -> bool:
    state = accepted_state(draft.snapshot, host_id)
    return state is not None and names.engine_name(app, volume) in state.removed_volumes


def removes_volumes_on(draft: Draft, app: str, host_id: str) -> bool:
    """Whether a volume of a former app of this name still has to go from the host."""
    orders = draft.snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
    return any(
        item.app == app and not _is_over(draft, host_id, item) for item in orders.volume_removals
    )


def is_finished(draft: Draft, record: AppRecord) -> bool:
    """Whether a removed app's record may go: the store has every order for it, and every host that can
    be reached has done them."""
    return record.removing and all(
        _has_let_go(draft, record, host_id)
        for host_id in {*draft.berths, *draft.snapshot.assignments}
    )


def _has_let_go(draft: Draft, record: AppRecord, host_id: str) -> bool:
    app = record.app.name
    orders = draft.snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
    if any(item.instance.app == app for item in orders.assignments):
        return False
    volumes = app_volumes(record) if record.remove_volumes and host_id in draft.berths else ()
    ordered = {item.volume for item in orders.volume_removals if item.app == app}
    if not ordered.issuperset(volumes):
        return False
    berth = draft.berths.get(host_id)
    if berth is None or not berth.ready:
        return True
    if any(item.app == app for item in draft.tombstones.get(host_id, ())):
        return False
    return all(_is_done(draft, host_id, app, volume) for volume in volumes)
