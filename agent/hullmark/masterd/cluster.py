"""The cluster as the leader runs it: the one door between the master's ports and its logic.

    cluster = Cluster(store, "m1", "10.0.0.1:7441", Settings(lost_after_s=10), check=check, shown=shown)
    await cluster.start()          # leads, or raises
    ...                            # the ports call what is below
    await cluster.stop()           # what is pending is written, leadership is given back

Everything here runs on one asyncio loop and never blocks it: the store is called from threads. Plain
methods answer from memory. A change returns once it is durable in the store, and raises:

    InvalidInput      the request is wrong, problems by field
    NotFound          no such app, host or invite
    Conflict          the request id was used for something else, or the app isn't as expected
    Forbidden         an invite that is used, expired or for another host
    ImageUnavailable  an image can't be resolved; nothing was changed
    StaleEpoch        this master does not lead (any more); `why_not` says why
    StoreUnavailable  the store does not answer; ask again with the same request id
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

import hullmark
from hullmark.core.explain import explanation
from hullmark.core.overview import orphan_views
from hullmark.core.pair import Known, Seat, cluster_status
from hullmark.core.standing import Standing
from hullmark.masterd.admission import Admission, MakeHost
from hullmark.masterd.changes import Changes, Check
from hullmark.masterd.credentials import Credentials
from hullmark.masterd.fleet import Passage
from hullmark.masterd.hostlife import HostLife, planned
from hullmark.masterd.moving import Moving
from hullmark.masterd.people import People
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.refusals import not_enrolled, not_leading
from hullmark.masterd.rollouts import Rollouts
from hullmark.masterd.runs import Alarm, Runs, cloned
from hullmark.masterd.settings import Settings
from hullmark.masterd.sights import Sights
from hullmark.masterd.term import Term
from hullmark.model.api import (
    AppDetail,
    AppList,
    ApplyAnswer,
    ApplyRequest,
    ClusterStatus,
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
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.explanation import Explanation
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import HostDetail
from hullmark.model.observed import Report
from hullmark.model.orders import Orders
from hullmark.model.protocol import Former, ReportAnswer
from hullmark.model.records import Change, InviteRecord, LeaderRecord
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import Store

__all__ = ["Cluster", "MakeHost", "Resolver", "Settings"]

DEFAULTS = Settings()
EVENTS_AT_ONCE = 1000


class Cluster:
    """`address` is where agents and people reach this master. `check` finds what is wrong with an app,
    `shown` masks one: both are the compose room's."""

    def __init__(
        self,
        store: Store,
        master: str,
        address: str,
        settings: Settings = DEFAULTS,
        *,
        check: Check,
        shown: Callable[[App], Mapping[str, object]],
    ) -> None:
        self._store = store
        self._master = master
        self._address = address
        self._settings = settings
        self._check = check
        self._shown = shown
        self._term_now: Optional[Term] = None

    async def start(self) -> None:
        """Begin to lead: a term above every former one. Raises what `Term.start` does."""
        term = Term(self._store, self._master, self._address, self._settings, self._turned)
        self._term_now = term
        await term.start()
        self._changes = Changes(
            term.leadership,
            term.view,
            term.one_at_a_time,
            term.snapshot,
            check=self._check,
            tell=self._tell,
        )
        self._admission = Admission(
            term.leadership, term.view, term.one_at_a_time, self._settings.wall, self._tell
        )
        self.moving = Moving(term, self._tell)
        self.rollouts = Rollouts(term, self._settings.wall, self._tell)
        self.people = People(term, self._settings.wall, self._tell)
        self.hostlife = HostLife(term, self._settings.wall, self._tell, self._forget)
        self.credentials = Credentials(term, self._settings.clock, self._add)
        self.runs = Runs(self._settings.clock, self._tell_cloned)
        self.sights = Sights(term, self._settings, self.runs)
        term.also(self.hostlife.run())

    async def stop(self) -> None:
        """Finish what is under way, write pending events, give leadership back. Twice is fine."""
        if self._term_now is not None:
            await self._term_now.stop()

    @property
    def _term(self) -> Term:
        if self._term_now is None:
            raise not_leading(self.why_not)
        return self._term_now

    @property
    def leader_record(self) -> LeaderRecord:
        """Of this master's own term, also when it has ended."""
        return self._term.leadership.record

    @property
    def is_leader(self) -> bool:
        return self._term_now is not None and self._term_now.leadership.is_leader

    @property
    def why_not(self) -> str:
        """Why this master does not lead; empty while it does."""
        term = self._term_now
        return "it has not begun to lead" if term is None else term.leadership.why_not

    async def lost(self) -> str:
        """Returns, with the reason, when this master leads no more."""
        return await self._term.lost()

    @property
    def other_leader(self) -> Optional[LeaderRecord]:
        """Who leads instead of this master, as far as it knows."""
        seen = None if self._term_now is None else self._term_now.view.leader
        return seen if seen is not None and seen.master and seen != self.leader_record else None

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
        return await self._term.whole(self._changes.apply(request, change, resolve))

    async def scale(self, app: str, request: ScaleRequest, change: Change) -> ApplyAnswer:
        return await self._term.whole(self._changes.scale(app, request, change))

    async def remove(self, app: str, request: RemoveRequest, change: Change) -> ApplyAnswer:
        """The app is listed as `removing` until its hosts are done; then it is not found any more."""
        return await self._term.whole(self._changes.remove(app, request, change))

    def plan(self, app: App) -> PlanAnswer:
        """What `apply` would change. Asks nobody, so tags keep the digests that they have."""
        return self._changes.plan(app)

    async def invite(
        self, request: InviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord:
        """Open a one-time invite, kept by the hash of its secret (64 hexadecimal digits)."""
        return await self._term.whole(self._admission.invite(request, secret_sha256, change))

    async def enroll(
        self, secret_sha256: str, host: str, make_host: MakeHost, *, key_sha256: str = ""
    ) -> HostRecord:
        """Use an invite. With `key_sha256` (of the public key) the same key may repeat it until the
        invite expires, so that an answer that got lost can be had again."""
        return await self._term.whole(
            self._admission.enroll(secret_sha256, host, make_host, key_sha256)
        )

    async def renewed(
        self, host_id: str, certificate_sha256: str, change: Change, *, used_sha256: str = ""
    ) -> HostRecord:
        """A host got a newer certificate. Raises NotFound, Forbidden."""
        return await self._term.whole(
            self._admission.renew(host_id, certificate_sha256, change, used_sha256=used_sha256)
        )

    def app_list(self) -> AppList:
        return AppList(self._standing().summaries())

    def app_detail(self, name: str) -> AppDetail:
        """Raises NotFound."""
        record = self._term.view.app(name)
        return self._standing().detail(record, self.version, self._shown(record.app))

    def explain(self, name: str, service: str = "") -> Explanation:
        """Raises NotFound."""
        record = self._term.view.app(name)
        blind_s = self.sights.blind_s()
        return explanation(self.snapshot(), self._term.unplaced, record, service, blind_s)

    def instances(self, app: str = "") -> InstanceList:
        """Of one app, or of all. Raises NotFound for an app that there isn't."""
        found = self._standing().instances(app)
        if app and not found:
            self._term.view.app(app)
        return InstanceList(found)

    def hosts(self) -> HostList:
        return HostList(self.sights.views(self.snapshot()))

    def host_detail(self, name: str) -> HostDetail:
        """Raises NotFound."""
        host = self.hostlife.named(name)
        return self.sights.detail(host, self.snapshot(), self._standing().instances())

    def orphans(self) -> OrphanList:
        return OrphanList(orphan_views(self.snapshot()))

    def status(self) -> ClusterStatus:
        """As far as this master knows."""
        snapshot = self.snapshot()
        known = Known(
            snapshot,
            self.sights.views(snapshot),
            self._standing().summaries(),
            len(orphan_views(snapshot)),
            self.sights.claims(self.leader_record.epoch),
            self._admission.invited(),
        )
        seat = Seat(
            snapshot.cluster.cluster_id,
            snapshot.leader,
            self._settings.clock() - self._term.began_at,
            self.why_not,
            self._settings.store_name,
            self._term.leadership.store_trouble,
        )
        return cluster_status(seat, known, hullmark.__version__)

    def events(self, after: int = 0, limit: int = 100) -> EventList:
        """Those after a cursor, the oldest first; with `after` 0 the newest `limit`."""
        return self._term.journal.since(after, min(max(limit, 0), EVENTS_AT_ONCE))

    def host(self, host_id: str) -> Optional[HostRecord]:
        return self._term.view.hosts.get(host_id)

    def heard(self, host_id: str, run: str) -> None:
        """A host called, in this life (`run`) of its agent. Raises NotFound for one that isn't enrolled."""
        self._enrolled(host_id)
        passage = self._term.fleet.hear(host_id, run)
        self._term.ages.heard(host_id)
        if passage is not None:
            self._turned(passage)
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
            self._tell_problems(report.host_id)
            self._term.changed()
        record = self.leader_record
        return ReportAnswer(record.epoch, record.leader, resend=merged.resend)

    def record(self, event: Event) -> None:
        """An event of the master itself. One that is known by its id is not taken twice."""
        self._term.journal.add(event)

    def _enrolled(self, host_id: str) -> HostRecord:
        record = self.host(host_id)
        if record is None:
            raise not_enrolled(host_id)
        return record

    def _standing(self) -> Standing:
        return Standing(self.snapshot(), self._term.unplaced, self.sights.blind_s())

    def _tell_problems(self, host_id: str) -> None:
        term = self._term
        problems = term.fleet.observed[host_id].problems
        for told in term.troubles.compare(host_id, problems, self._settings.wall()):
            self._add(told.kind, f"host {self._name_of(host_id)}", told.message, "", told.fields)

    def _name_of(self, host_id: str) -> str:
        record = self.host(host_id)
        return host_id if record is None else record.name

    def _turned(self, passage: Passage) -> None:
        """Of a host in maintenance that is told too, as what was to be expected."""
        kind = {"silent": "host.silent", "lost": "host.lost"}.get(passage.word, "host.returned")
        fields = planned(self.host(passage.host_id), self._settings.wall())
        message = f"not heard for {passage.heard_s:.1f} s" + (", in maintenance" if fields else "")
        self._add(kind, f"host {self._name_of(passage.host_id)}", message, "", fields)

    def _forget(self, host_id: str) -> None:
        """An operator removed the host: what it said is nothing to anybody, and what it holds open ends."""
        for each in (self._term.fleet, self.credentials, self.runs, self.sights):
            each.forget(host_id)
        self._term.told(host_id).bump()
        self._term.changed()

    def _tell_cloned(self, host_id: str, alarm: Alarm) -> None:
        fields = {"host_id": host_id, "standing": alarm.standing, "refused": alarm.refused}
        subject = f"host {self._name_of(host_id)}"
        self._add("host.cloned", subject, cloned(alarm).message, "", fields)
        self._term.version.bump()

    def _tell(self, kind: str, subject: str, change: Change, fields: Mapping[str, str]) -> None:
        message = ", ".join(f"{key} {value}" for key, value in fields.items())
        more = {"ticket": change.ticket, "request_id": change.request_id, "from": change.origin}
        kept = {**fields, **{key: value for key, value in more.items() if value}}
        self._add(kind, subject, message, change.by, kept)

    def _add(self, kind: str, subject: str, message: str, by: str, fields: Any) -> None:
        now = self._settings.wall()
        self.record(
            Event(self._settings.new_id(), now, kind, subject, self._master, message, by, fields)
        )
