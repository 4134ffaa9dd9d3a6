"""How the cluster stands, told by any of its masters: by the one that leads, by a standby that can't reach it, and by one
that has lost the store and shows what it knew last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.overview import (
    Finding,
    Outlook,
    host_groups,
    judged,
    orphan_findings,
    outlook,
    ranked,
)
from hullmark.core.redundancy import Redundancy, redundancy
from hullmark.core.urgency import Urgency
from hullmark.model.api import AppSummary, ClusterStatus, HostView
from hullmark.model.durations import age
from hullmark.model.epoch import Epoch
from hullmark.model.incidentapi import IncidentNumbers
from hullmark.model.records import LeaderRecord
from hullmark.model.redundancy import MasterView, StoreCondition
from hullmark.model.snapshot import Snapshot

ASK_AGAIN = "hullmark status   (again in a moment)"


@dataclass(frozen=True)
class Seat:
    """What the master that answers knows of the pair. `leader` is who leads, as the store said last; `why_not` why this
    one doesn't, empty while it does. `read_only`: why nothing can be changed. `store_trouble`: what the store said
    last to the leader, where it did not answer. `leading_s` is how long the leader has led. `stale_s` is the age of what is
    known. `master` is the one that answers, and `unrecorded` why its own audit log can't be written."""

    cluster_id: str
    leader: Optional[LeaderRecord]
    leading_s: float
    why_not: str = ""
    store: str = "sqlite"
    store_trouble: str = ""
    masters: tuple[MasterView, ...] = ()
    condition: Optional[StoreCondition] = None
    read_only: str = ""
    stale_s: float = 0.0
    master: str = ""
    unrecorded: str = ""

    @property
    def led_last(self) -> bool:
        """It leads no more, and nobody is known to have followed it."""
        leader = self.leader
        if leader is None or not leader.master:
            return False
        return bool(self.why_not) and leader.master == self.master


@dataclass(frozen=True)
class Known:
    """What is known of hosts and apps. `claims` and `invited` are as in `overview.outlook`, `control` is told of change control,
    `outages` of incidents."""

    snapshot: Snapshot
    hosts: Sequence[HostView]
    apps: Sequence[AppSummary]
    orphans: int
    claims: Sequence[tuple[str, Epoch]] = ()
    invited: Sequence[str] = ()
    control: Sequence[Finding] = ()
    outages: Sequence[Finding] = ()
    incidents: Optional[IncidentNumbers] = None


def cluster_status(seat: Seat, known: Optional[Known], version: str) -> ClusterStatus:
    """`known` None: this master has no view of hosts and apps. `version` is its own."""
    behind = redundancy(seat.masters, seat.condition)
    seen = _outlook(seat, known, behind)
    store = seat.store if not seat.store_trouble else f"{seat.store}: {seat.store_trouble}"
    hosts = () if known is None else known.hosts
    apps = () if known is None else known.apps
    return ClusterStatus(
        cluster_id=seat.cluster_id,
        state=seen.state,
        master="" if seat.leader is None or seat.led_last else seat.leader.master,
        epoch="" if seat.leader is None else str(seat.leader.epoch),
        leading_s=round(seat.leading_s, 3),
        store=store,
        hosts_total=len(hosts),
        hosts_ready=sum(host.state == "ready" and not host.problems for host in hosts),
        apps_total=len(apps),
        apps_ok=sum(app.state == "running" for app in apps),
        version=version,
        notes=seen.notes,
        next=seen.next,
        orphans=0 if known is None else known.orphans,
        hosts=() if known is None else host_groups(hosts, known.snapshot.now),
        masters=_in_order(seat.masters),
        store_condition=seat.condition,
        redundancy=behind.left,
        read_only=seat.read_only,
        stale_s=round(seat.stale_s, 3),
        known=known is not None,
        incidents=None if known is None else known.incidents,
    )


def _in_order(masters: Sequence[MasterView]) -> tuple[MasterView, ...]:
    """The leader first."""
    return tuple(sorted(masters, key=lambda view: (view.role != "leader", view.name)))


def _outlook(seat: Seat, known: Optional[Known], behind: Redundancy) -> Outlook:
    masters = [*_not_leading(seat), *_store(seat), *_unrecorded(seat), *_stale(seat, known)]
    lost = [*_redundancy(behind, () if known is None else known.apps), *_versions(seat)]
    if known is None:
        told = [*ranked(Urgency.MASTERS, masters), *ranked(Urgency.REDUNDANCY, lost)]
        return judged(told)
    return outlook(
        known.snapshot,
        known.hosts,
        known.apps,
        [*known.outages, *orphan_findings(known.orphans)],
        known.claims,
        known.invited,
        masters,
        [*ranked(Urgency.CONTROLS, known.control), *ranked(Urgency.REDUNDANCY, lost)],
    )


def _not_leading(seat: Seat) -> Iterable[Finding]:
    if not seat.why_not:
        return
    leader = seat.leader.master if seat.leader is not None else ""
    if seat.read_only:
        note = f"nothing can be changed: {seat.read_only}"
        yield 2, note, _way_back(seat)
    elif seat.led_last:
        yield 2, f"this master leads no more: {seat.why_not}", ASK_AGAIN
    elif leader:
        note = f"this master is the standby, and can't reach the leader {leader}"
        where = "" if seat.leader is None else seat.leader.api_address
        ask = f"hullmark status --master https://{where}" if where else ASK_AGAIN
        yield 1, note, ask
    else:
        yield 2, f"no master leads; this one does not: {seat.why_not}", ASK_AGAIN


def _way_back(seat: Seat) -> str:
    """Of a master that can't write: the store's own word first."""
    told = () if seat.condition is None else tuple(filter(None, seat.condition.remedies))
    return told[0] if told else "look at the store; running apps go on"


def _store(seat: Seat) -> Iterable[Finding]:
    if seat.store_trouble and not seat.read_only:
        note = f"the store does not answer, nothing can be changed: {seat.store_trouble}"
        yield 2, note, "look at the store's disk; running apps go on"


def _unrecorded(seat: Seat) -> Iterable[Finding]:
    """What can't be recorded is not begun."""
    if seat.unrecorded:
        grade = 1 if seat.why_not else 2
        note = f"nothing can be changed through this master: {seat.unrecorded}"
        yield grade, note, "free space on the disk of its audit log; running apps go on"


def _stale(seat: Seat, known: Optional[Known]) -> Iterable[Finding]:
    if known is None:
        yield 0, "hosts and apps are not known to this master now; they go on", ""
    elif seat.stale_s >= 1.0:
        yield 0, f"hosts and apps are shown as they were {age(seat.stale_s)} ago", ""


def _versions(seat: Seat) -> Iterable[Finding]:
    """That is so while a pair is upgraded, one after the other, and should not stay."""
    found = {view.name: view.version for view in seat.masters if view.version}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
        yield 0, f"the masters run different versions: {told}", ""


def _redundancy(behind: Redundancy, apps: Sequence[AppSummary]) -> Iterable[Finding]:
    """What is lost is told in the lines of masters and store; here that it is, and what to do first."""
    if behind.lost:
        fine = bool(apps) and all(app.state == "running" for app in apps)
        remedy = next((loss.remedy for loss in behind.lost if loss.remedy), "")
        yield 1, "apps fine; redundancy lost" if fine else "redundancy lost", remedy
    for trouble in behind.troubles:
        yield 1, trouble.note, trouble.remedy
