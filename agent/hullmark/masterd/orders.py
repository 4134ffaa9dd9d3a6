"""What each host is told: its assignments from the store, with the bundles that they name."""

from __future__ import annotations

from hullmark import log
from hullmark.masterd.view import View
from hullmark.model.change import Change
from hullmark.model.names import ASSIGNMENTS
from hullmark.model.orders import Orders
from hullmark.model.records import NO_ASSIGNMENTS, HostAssignments, LeaderRecord

_log = log.get("orders")


class OrderBook:
    """Orders are put together once for each revision of a host's assignments."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._made: dict[str, Orders] = {}

    def revision(self, host_id: str) -> int:
        """Of the store, when the host's assignments last changed; 0: it never had any."""
        return self._view.modified(ASSIGNMENTS + host_id)

    def orders(self, cluster_id: str, leader: LeaderRecord, host_id: str) -> Orders:
        made = self._made.get(host_id)
        revision = self.revision(host_id)
        if made is None or (made.revision, made.epoch) != (revision, leader.epoch):
            made = self._make(cluster_id, leader, host_id)
            self._made[host_id] = made
        return made

    def _make(self, cluster_id: str, leader: LeaderRecord, host_id: str) -> Orders:
        kept = self._view.assignments.get(host_id, NO_ASSIGNMENTS)
        bundles, assignments = {}, []
        for assignment in kept.assignments:
            bundle = self._view.bundle(assignment.spec_hash)
            if bundle is None:
                # Its app's record is gone without a tombstone for it. Unnamed, it is an orphan to
                # its host: shown, and left running.
                _log.error("no spec for an instance", instance=str(assignment.instance))
                continue
            bundles[assignment.spec_hash] = bundle
            assignments.append(assignment)
        return Orders(
            cluster_id=cluster_id,
            host_id=host_id,
            epoch=leader.epoch,
            leader=leader.leader,
            revision=self.revision(host_id),
            assignments=tuple(assignments),
            tombstones=kept.tombstones,
            volume_removals=kept.volume_removals,
            bundles=bundles,
            asked=self._asked(kept),
        )

    def _asked(self, kept: HostAssignments) -> dict[str, Change]:
        """By app. Of one whose record is gone nothing is known any more."""
        named = {one.instance.app for one in kept.assignments}
        named |= {one.instance.app for one in kept.tombstones}
        named |= {one.app for one in kept.volume_removals}
        known = {app: self._view.apps.get(app) for app in sorted(named)}
        return {app: record.change for app, record in known.items() if record is not None}
