"""What agents and people ask of a cluster, answered by the bureau of the newest term that this master knows of.

Each method finds the bureau anew, so that a caller may keep the cluster through any change of leader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.core.concerned import Wanted
from hullmark.core.schedule import Unplaced
from hullmark.masterd.admission import MakeHost
from hullmark.masterd.bureau import Bureau
from hullmark.masterd.changecontrol import ChangeControl
from hullmark.masterd.credentials import Credentials
from hullmark.masterd.directories import Directories
from hullmark.masterd.hostlife import HostLife
from hullmark.masterd.incidentnotes import IncidentNotes
from hullmark.masterd.loadlines import LoadLines
from hullmark.masterd.moving import Moving
from hullmark.masterd.operating import Operating
from hullmark.masterd.peers import Peers
from hullmark.masterd.people import People
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.refusals import not_enrolled, not_leading
from hullmark.masterd.rollouts import Rollouts
from hullmark.masterd.runs import Runs
from hullmark.masterd.settings import Settings
from hullmark.masterd.sights import Sights
from hullmark.masterd.snapshots import Snapshots
from hullmark.masterd.term import Term
from hullmark.model.api import (
    AppDetail,
    AppList,
    ApplyAnswer,
    ApplyRequest,
    EventList,
    HostList,
    InstanceList,
    InviteRequest,
    OrphanList,
    PlanAnswer,
    RemoveRequest,
    ScaleRequest,
)
from hullmark.model.app import App
from hullmark.model.change import Change
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.explanation import Explanation
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import HostDetail
from hullmark.model.observed import Report
from hullmark.model.orders import Orders
from hullmark.model.protocol import Former, ReportAnswer
from hullmark.model.records import InviteRecord, LeaderRecord
from hullmark.model.snapshot import Snapshot


class Counters:
    """Raises StaleEpoch, whatever is asked, before there is a first bureau."""

    _settings: Settings
    _bureau_now: Optional[Bureau] = None

    @property
    def is_leader(self) -> bool:
        return self._bureau_now is not None and not self._bureau_now.term.why_not

    @property
    def why_not(self) -> str:
        """Why this master does not lead; empty while it does."""
        bureau = self._bureau_now
        return "it has not begun to lead" if bureau is None else bureau.term.why_not

    @property
    def _bureau(self) -> Bureau:
        if self._bureau_now is None:
            raise not_leading(self.why_not)
        return self._bureau_now

    @property
    def _term(self) -> Term:
        return self._bureau.term

    @property
    def peers(self) -> Peers:
        return self._bureau.peers

    @property
    def people(self) -> People:
        return self._bureau.people

    @property
    def hostlife(self) -> HostLife:
        return self._bureau.hostlife

    @property
    def directories(self) -> Directories:
        return self._bureau.directories

    @property
    def changecontrol(self) -> ChangeControl:
        return self._bureau.changecontrol

    @property
    def loadlines(self) -> LoadLines:
        return self._bureau.loadlines

    @property
    def incidentnotes(self) -> IncidentNotes:
        return self._bureau.incidentnotes

    def shown(self, app: App) -> Mapping[str, object]:
        """An app for people, values of its environment masked."""
        return self._bureau.shown(app)

    @property
    def operating(self) -> Operating:
        return self._bureau.operating

    @property
    def moving(self) -> Moving:
        return self._bureau.moving

    @property
    def snapshots(self) -> Snapshots:
        return self._bureau.snapshots

    @property
    def rollouts(self) -> Rollouts:
        return self._bureau.rollouts

    @property
    def credentials(self) -> Credentials:
        return self._bureau.credentials

    @property
    def runs(self) -> Runs:
        return self._bureau.runs

    @property
    def sights(self) -> Sights:
        return self._bureau.sights

    @property
    def leader_record(self) -> LeaderRecord:
        """Of this master's own term, also when it has ended."""
        return self._term.leadership.record

    def snapshot(self) -> Snapshot:
        """All that is known now. Nothing in it changes later."""
        return self._term.snapshot()

    @property
    def version(self) -> int:
        """Grows with every change of anything that can be asked for here, across terms too."""
        return self._term.version.value

    async def wait_changed(self, after: int, hold_s: float) -> int:
        """The version: at once where it is above `after`, else after the next change or `hold_s`."""
        return await self._term.version.passed(after, hold_s)

    async def apply(self, request: ApplyRequest, change: Change, resolve: Resolver) -> ApplyAnswer:
        return await self._bureau.term.whole(self._bureau.changes.apply(request, change, resolve))

    async def scale(self, app: str, request: ScaleRequest, change: Change) -> ApplyAnswer:
        return await self._bureau.term.whole(self._bureau.changes.scale(app, request, change))

    async def remove(self, app: str, request: RemoveRequest, change: Change) -> ApplyAnswer:
        """The app is listed as `removing` until its hosts are done; then it is not found any more."""
        return await self._bureau.term.whole(self._bureau.changes.remove(app, request, change))

    def plan(self, app: App) -> PlanAnswer:
        """What `apply` would change. Asks nobody, so tags keep the digests that they have."""
        return self._bureau.changes.plan(app)

    def foreseen(
        self, app: App, unknown: Optional[Mapping[str, str]] = None
    ) -> tuple[PlanAnswer, Wanted]:
        """The same, and what each host would get; `unknown` as `Changes.foreseen` takes it."""
        return self._bureau.changes.foreseen(app, unknown)

    async def invite(
        self, request: InviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord:
        """Open a one-time invite, kept by the hash of its secret (64 hexadecimal digits)."""
        return await self._bureau.term.whole(
            self._bureau.admission.invite(request, secret_sha256, change)
        )

    async def enroll(
        self, secret_sha256: str, host: str, make_host: MakeHost, *, key_sha256: str = ""
    ) -> HostRecord:
        """Use an invite. With `key_sha256` (of the public key) the same key may repeat it until the
        invite expires, so that an answer that got lost can be had again."""
        return await self._bureau.term.whole(
            self._bureau.admission.enroll(secret_sha256, host, make_host, key_sha256)
        )

    async def renewed(
        self, host_id: str, certificate_sha256: str, change: Change, *, used_sha256: str = ""
    ) -> HostRecord:
        """A host got a newer certificate. Raises NotFound, Forbidden."""
        return await self._bureau.term.whole(
            self._bureau.admission.renew(
                host_id, certificate_sha256, change, used_sha256=used_sha256
            )
        )

    def app_list(self) -> AppList:
        return self._bureau.reads.app_list()

    def app_detail(self, name: str) -> AppDetail:
        """Raises NotFound."""
        return self._bureau.reads.app_detail(name)

    def explain(self, name: str, service: str = "") -> Explanation:
        """Raises NotFound."""
        return self._bureau.reads.explain(name, service)

    def stuck(self) -> tuple[Sequence[Unplaced], Mapping[str, float]]:
        """What the newest plan could not place; and for how long hosts, by id, have not seen their own containers."""
        return self._bureau.reads.stuck()

    @property
    def store_trouble(self) -> str:
        """What the store said when it did not take a write of this leader's; empty where it does."""
        return self._term.leadership.store_trouble

    def instances(self, app: str = "") -> InstanceList:
        """Of one app, or of all. Raises NotFound for an app that there isn't."""
        return self._bureau.reads.instances(app)

    def hosts(self) -> HostList:
        return self._bureau.reads.hosts()

    def host_detail(self, name: str) -> HostDetail:
        """Raises NotFound."""
        return self._bureau.reads.host_detail(name)

    def orphans(self) -> OrphanList:
        return self._bureau.reads.orphans()

    def events(self, after: int = 0, limit: int = 100) -> EventList:
        """Those after a cursor, the oldest first; with `after` 0 the newest `limit`."""
        return self._bureau.reads.events(after, limit)

    def host(self, host_id: str) -> Optional[HostRecord]:
        return self._term.view.hosts.get(host_id)

    def heard(self, host_id: str, run: str) -> None:
        """A host called, in this life (`run`) of its agent. Raises NotFound for one that isn't enrolled."""
        self._enrolled(host_id)
        passage = self._term.fleet.hear(host_id, run)
        self._term.ages.heard(host_id)
        if passage is not None:
            self._bureau.teller.turned(passage)
            self._term.changed()

    def lacks_state(self, host_id: str, run: str) -> bool:
        """Whether the agent should send a full report: `resend` in the answer to its poll."""
        return self._term.fleet.lacks_state(host_id, run)

    async def wait_orders(
        self, host_id: str, epoch: Epoch, revision: int, hold_s: float, sha256: Optional[str] = None
    ) -> bool:
        """True as soon as the host's orders are not those that it knows, this master leads no more, or the
        certificate with that fingerprint is worth nothing any more."""
        clock, term = self._settings.clock, self._term
        deadline = clock() + hold_s
        told = term.told(host_id)
        while True:
            seen = told.value
            current = (self.leader_record.epoch, term.book.revision(host_id))
            stays = sha256 is None or self.credentials.may_stay(host_id, sha256)
            if not (self.is_leader and stays) or current != (epoch, revision):
                return True
            left_s = deadline - clock()
            if left_s <= 0:
                return False
            await told.passed(seen, left_s)

    def former(self, epoch: Epoch) -> Optional[Former]:
        """What the store says of an earlier epoch, for a host that obeyed it."""
        return self._term.leadership.former(epoch)

    def orders(self, host_id: str) -> Orders:
        """Raises NotFound for a host that isn't enrolled, StaleEpoch where this master leads no more."""
        self._enrolled(host_id)
        if not self.is_leader:
            raise not_leading(self.why_not)
        cluster = self._term.view.cluster
        assert cluster is not None
        return self._term.book.orders(cluster.cluster_id, self.leader_record, host_id)

    async def merge(self, report: Report) -> ReportAnswer:
        """Take in what a host says. The caller has made sure that it is that host who says it."""
        self.heard(report.host_id, report.run)
        merged = self._term.fleet.merge(report)
        self.sights.note(report.host_id)
        for event in report.events:
            self._term.journal.add(event)
        if merged.changed:
            self._term.ages.take(report.host_id, self._term.fleet.observed[report.host_id])
            self._bureau.teller.problems(report.host_id)
            self._term.changed()
        record = self.leader_record
        return ReportAnswer(record.epoch, record.leader, resend=merged.resend)

    def record(self, event: Event) -> None:
        """An event of the master itself. One that is known by its id is not taken twice."""
        self._term.journal.add(event)

    def answered(self, request_id: str) -> float:
        """When the change with this id was carried out, as the store has it; 0.0: the store has nothing of it."""
        known = self._term.view.requests.get(request_id)
        return 0.0 if known is None else known.at

    def tell(self, kind: str, subject: str, change: Change, fields: Mapping[str, str]) -> None:
        """An event of a change that somebody asked for."""
        self._bureau.teller.tell(kind, subject, change, fields)

    def _enrolled(self, host_id: str) -> HostRecord:
        record = self.host(host_id)
        if record is None:
            raise not_enrolled(host_id)
        return record
