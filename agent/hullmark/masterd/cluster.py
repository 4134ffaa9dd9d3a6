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

from collections.abc import Sequence
from typing import Callable, Optional

import hullmark
from hullmark.core.election import Phase
from hullmark.core.pair import Seat, cluster_status
from hullmark.errors import Refused
from hullmark.masterd.admission import MakeHost
from hullmark.masterd.bureau import Bureau, Shown
from hullmark.masterd.changes import Check
from hullmark.masterd.counters import Counters
from hullmark.masterd.electing import Elector
from hullmark.masterd.pair import Pair
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.presence import NOTHING_VOUCHED, Presence, Vouched
from hullmark.masterd.redundancywatch import RedundancyWatch
from hullmark.masterd.settings import Settings
from hullmark.masterd.term import Term
from hullmark.model.api import ClusterStatus
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.records import LeaderRecord, MasterRecord
from hullmark.model.redundancy import MasterView, StoreCondition
from hullmark.store.protocol import Store

__all__ = ["Cluster", "MakeHost", "Resolver", "Settings"]

DEFAULTS = Settings()
HOSTS_A_SECOND = 200.0
"""So many hosts may come back to a new leader in one second."""


class Cluster(Counters):
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
        shown: Shown,
    ) -> None:
        self._store = store
        self._master = master
        self._address = address
        self._settings = settings
        self._check = check
        self._shown = shown
        self._pair = Pair(master, settings)
        self._elector: Optional[Elector] = None
        self._knocks: dict[str, float] = {}
        self.vouched: Callable[[], Vouched] = lambda: NOTHING_VOUCHED
        """What this master says of its file of heads; set before the start."""
        self.unrecorded: Callable[[], str] = lambda: ""
        """Why its own audit log can't be written; likewise."""
        self.turned: list[Callable[[], None]] = []
        """Called where who leads, or why this master doesn't, may have changed."""

    async def start(self) -> None:
        """With a store of its own it begins to lead: a term above every former one. Raises what `Term.start` does. With one
        that others share it begins to look who leads, and leads when it is time."""
        if self._settings.shared:
            self._elector = self._shared()
            self._elector.start()
            return
        bureau = self._bureau_now = self._make()
        await bureau.term.start()
        self._pair.follow(bureau.term.view)
        self._leads(bureau)

    def _make(self) -> Bureau:
        term = Term(self._store, self._master, self._address, self._settings)
        return Bureau(term, self._master, self._settings, check=self._check, shown=self._shown)

    def _shared(self) -> Elector:
        elector = Elector(
            self._store,
            self._settings,
            self._pair,
            make=self._make,
            begun=self._leads,
            changed=self._changed,
        )
        presence = Presence(
            self._store,
            self._master,
            self._settings,
            elector,
            self._pair,
            why_not=lambda: self.why_not and (self.unrecorded() or self.why_not),
            hears=self._hears,
            vouched=self.vouched,
        )
        elector.always(presence.run())
        elector.always(presence.watch_store())
        return elector

    def _leads(self, bureau: Bureau) -> None:
        """What runs beside a term that has begun."""
        term, settings = bureau.term, self._settings
        term.also(bureau.directories.run())
        term.also(bureau.proxyrecords.run())
        term.also(bureau.hostlife.run())
        term.also(bureau.changecontrol.run())
        settings.alarm.ended = bureau.incidents.ended
        term.also(bureau.incidents.run())
        term.also(bureau.loadlines.run())
        watch = RedundancyWatch(
            term, bureau.teller, settings, self.masters, lambda: self.store_condition
        )
        term.also(watch.run())

    def _changed(self) -> None:
        if self._elector is not None and self._elector.bureau is not None:
            self._bureau_now = self._elector.bureau
        for told in self.turned:
            told()

    async def stop(self) -> None:
        """Finish what is under way, write pending events, give leadership back. Twice is fine."""
        if self._elector is not None:
            await self._elector.close()
        elif self._bureau_now is not None:
            await self._term.stop()

    @property
    def why_not(self) -> str:
        """Why this master does not lead; empty while it does."""
        elector = self._elector
        if elector is None or self.is_leader:
            return super().why_not
        if elector.state.phase is Phase.LEADING:
            return super().why_not or "it is about to lead"
        return self.read_only or elector.state.why

    async def lost(self) -> str:
        """Returns, with the reason, when this master leads no more; where masters share the store, when it can't go on even
        as a standby."""
        if self._elector is not None:
            return await self._elector.broken()
        return await self._term.lost()

    @property
    def role(self) -> str:
        """`leader`; `standby` while another may lead; `read-only` where nothing can be changed through this master
        or another that it knows of."""
        if self.is_leader:
            return "leader"
        return "standby" if self._elector is not None and not self.read_only else "read-only"

    @property
    def read_only(self) -> str:
        """Why nothing can be changed, empty where this master leads or another may."""
        if self._elector is None:
            return super().why_not
        trouble = self._elector.state.read_only(self._settings.clock())
        return f"the store does not answer: {trouble}" if trouble else ""

    @property
    def readable(self) -> bool:
        """Whether there is a view to answer reads from."""
        if self._elector is None:
            return self.is_leader
        return self._bureau_now is not None and self._term.view.cluster is not None

    @property
    def stale_s(self) -> float:
        """The age of what is known here."""
        return 0.0 if self.is_leader else self._pair.stale_s

    @property
    def leader_seen(self) -> Optional[LeaderRecord]:
        """Who leads, as the store said last; None where nobody does."""
        if self.is_leader:
            return self.leader_record
        return self._pair.leader if self._bureau_now is None else self._seen_by_term()

    def _seen_by_term(self) -> Optional[LeaderRecord]:
        seen = self._term.view.leader
        return seen if seen is not None and seen.master else None

    @property
    def other_leader(self) -> Optional[LeaderRecord]:
        """Who leads instead of this master, as far as it knows."""
        seen = self.leader_seen
        if seen is None or self._bureau_now is None:
            return seen
        own = self._term.leadership.owns(seen) or seen.master == self._master
        return None if own else seen

    def masters(self) -> tuple[MasterView, ...]:
        """All that there are, the leader first."""
        return self._pair.masters(self.why_not, self._hears())

    def other_masters(self) -> Sequence[MasterRecord]:
        """What each says of itself in the store."""
        return self._pair.others()

    def _hears(self) -> int:
        """How many hosts called this master lately."""
        now, lost_after_s = self._settings.clock(), self._settings.lost_after_s
        lately = {host for host, at in self._knocks.items() if now - at < lost_after_s}
        if self.is_leader:
            heard = self._term.fleet.heard_s()
            lately |= {host for host, heard_s in heard.items() if heard_s < lost_after_s}
        return len(lately)

    def knocked(self, host_id: str) -> None:
        """A host with a good certificate called, and was told that this master does not lead."""
        now = self._settings.clock()
        lost_after_s = self._settings.lost_after_s
        self._knocks = {h: at for h, at in self._knocks.items() if now - at < lost_after_s}
        if host_id:
            self._knocks[host_id] = now

    @property
    def store_condition(self) -> StoreCondition:
        """As it was found a few seconds ago at most."""
        return self._pair.condition

    async def step_down(self, why: str) -> None:
        """Hand over to the other master. Returns once leadership was given back. Raises StaleEpoch where this master does
        not lead, Refused where there can be no other."""
        if self._elector is not None:
            await self._elector.step_down(why)
            return
        raise Refused(
            "this cluster has one master: nobody could take over",
            remedy="docs/operations/high-availability.md says how to add a second one",
        )

    def agents_urls(self) -> tuple[str, ...]:
        """Where agents reach the masters, this one first."""
        return self._pair.agents_urls()

    def api_urls(self) -> tuple[str, ...]:
        """Where people reach the masters, this one first."""
        return self._pair.api_urls()

    def spread_s(self) -> float:
        """Over how long agents are to spread their calls where they lose their leader."""
        hosts = len(self._term.view.hosts) if self._bureau_now is not None else 0
        return min(hosts / HOSTS_A_SECOND, self._settings.lost_after_s / 3)

    @property
    def proof(self) -> Optional[IncarnationProof]:
        """Of the incarnation, where it needs one. Raises StaleEpoch where this master knows of none."""
        cluster = self._term.view.cluster
        return None if cluster is None else cluster.proof

    @property
    def cluster_id(self) -> str:
        """Raises StaleEpoch where this master has not read the store yet."""
        return self.snapshot().cluster.cluster_id

    def status(self, cluster_id: str = "") -> ClusterStatus:
        """As far as this master knows. `cluster_id` is for one that has not read the store yet."""
        bureau = self._bureau_now
        trouble = "" if bureau is None or self.why_not else bureau.term.leadership.store_trouble
        seat = Seat(
            cluster_id or self.cluster_id,
            self.leader_seen,
            self._leading_s(),
            self.why_not,
            self._settings.store_name,
            trouble,
            self.masters(),
            self.store_condition,
            self.read_only,
            self.stale_s,
            self._master,
            self.unrecorded(),
        )
        known = bureau.reads.known() if bureau is not None and self._knows_hosts() else None
        return cluster_status(seat, known, hullmark.__version__)

    def _knows_hosts(self) -> bool:
        """A standby has what the store says of hosts and apps, but hosts report to the leader alone."""
        if self.is_leader or not self.readable:
            return self.readable
        return bool(self._term.fleet.observed) or not self._term.view.hosts

    def _leading_s(self) -> float:
        """For how long the leader has led: of another by the time in its record."""
        if self.is_leader:
            return self._settings.clock() - self._term.began_at
        seen = self.leader_seen
        return 0.0 if seen is None else max(0.0, self._settings.wall() - seen.since)
