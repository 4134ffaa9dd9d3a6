"""One leader's term: all that runs only while this master leads, started and stopped in one place.

    take leadership -> load the view -> plan once -> loops: schedule, watch, events, ticks, upkeep
    stop: changes end -> loops end -> pending events are written -> leadership is given back

A loop that fails is a fault of ours. The master then stops leading, says so, and writes nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

from hullmark import log
from hullmark.core.schedule import Unplaced
from hullmark.errors import HullmarkError, Refused, StaleEpoch, StoreUnavailable
from hullmark.masterd.addressing import Addressing
from hullmark.masterd.ages import Ages
from hullmark.masterd.answers import traced
from hullmark.masterd.counter import Counter
from hullmark.masterd.events import Journal
from hullmark.masterd.fleet import QUIET_SHARE, Fleet, Passage
from hullmark.masterd.history import History
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.orders import OrderBook
from hullmark.masterd.refusals import overtaken
from hullmark.masterd.scheduling import SchedulingLoop
from hullmark.masterd.settings import Settings
from hullmark.masterd.troubles import Troubles
from hullmark.masterd.upkeep import in_maintenance, upkeep
from hullmark.masterd.view import View, event_batches
from hullmark.model import names
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.records import LeaderRecord
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import Compacted, Listing, Store, Write

_log = log.get("term")

WATCH_S = 2.0
"""One wait for the store's changes. Stopping takes at most this long where nothing changes."""
TICK_S = 0.5
RETRY_S = 1.0

NOBODY = LeaderRecord(Epoch(1, 0), "", "", 0.0)

T = TypeVar("T")


class Term:
    """`turned` is called for every host that goes silent, is lost or comes back; it is set before the term begins."""

    def __init__(self, store: Store, master: str, address: str, settings: Settings) -> None:
        self._store = store
        self._master = master
        self._settings = settings
        self.turned: Optional[Callable[[Passage], None]] = None
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="store")
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._changing: set[asyncio.Task[Any]] = set()
        self._told: dict[str, Counter] = {}
        self.began_at = settings.clock()
        self.version = Counter()
        self.inputs = Counter()
        """Grows with all that plans and hosts' directories are made from."""
        self._over = Counter()
        self.unplaced: tuple[Unplaced, ...] = ()
        self.one_at_a_time = asyncio.Lock()
        self.view = View()
        self.book = OrderBook(self.view)
        self.leadership = Leadership(
            store,
            self.call,
            master,
            address,
            applied=self._applied,
            lost=self._lost,
            api_address=settings.api_address,
            clock=settings.clock,
        )
        self._begun = False
        self._loads = 0
        self._retired = ""
        self.followed: Optional[Callable[[], None]] = None
        self.silent: Optional[Callable[[str], None]] = None
        self.lost_lead: Optional[Callable[[str], None]] = None
        self.fell: Optional[Callable[[], None]] = None
        """Called where it can't follow the store any more, and does not lead."""
        self.over = False
        self.incident_of: Callable[[], Mapping[str, int]] = dict
        """The number of the incident that each open outage belongs to, by the outage's id."""
        self.fleet = Fleet(
            settings.clock,
            silent_after_s=min(settings.silent_after_s, settings.lost_after_s),
            lost_after_s=settings.lost_after_s,
        )
        self.ages = Ages(settings.clock, silent_after_s=settings.silent_after_s)
        self.journal = Journal(
            settings.wall,
            kept=settings.events_kept,
            kept_s=settings.events_kept_s,
            added=self.version.bump,
        )
        self.troubles = Troubles()
        self.history = History(self.leadership, self.view)
        self.loop = SchedulingLoop(
            self.leadership,
            self.one_at_a_time,
            self.snapshot,
            self._planned,
            history=self.history.keys,
        )
        self.addressing = Addressing(self.leadership, self.view, settings.service_range)
        self.loop.settle = self.addressing.settle

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call of the store in a thread. Raises StoreUnavailable once the term has ended: a change may still be
        under way then, of a process that was frozen."""
        if self._closed:
            raise StoreUnavailable("this term is over", remedy="ask again: a leader knows more")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def start(self) -> None:
        """Lead, whoever led before. Raises Refused where the store holds no cluster, BrokenState where it can't be read,
        Conflict where another master leads, StoreUnavailable."""
        await self.leadership.take(self._settings.wall())
        await self.begin()
        self.also(self._watch())

    async def begin(self) -> None:
        """What follows once leadership was taken. Raises as `start` does."""
        record = self.leadership.record
        # Above every version of an earlier term, so that who waits for the next one isn't left waiting.
        self.version.value = max(self.version.value, record.epoch.term << 32)
        try:
            await self._load()
            await self.loop.converge()
        except HullmarkError:
            self.leadership.step_down("it could not begin: see its log")
            raise
        self.began_at = self._settings.clock()
        self._begun = True
        self._tell("master.leading")
        for work in (
            self.loop.run(),
            self.journal.run(self.leadership),
            self._tick(),
            upkeep(self.leadership, self.view, self._compact, self._settings.wall),
        ):
            self.also(work)
        self.version.bump()

    @property
    def why_not(self) -> str:
        """Why nothing is answered from this term as from a leader's; empty while it is."""
        if self.leadership.is_leader:
            return self._retired or ("" if self._begun else "it is about to lead")
        return self.leadership.why_not or "its own deadline passed"

    def retire(self, why: str) -> None:
        """Answer nobody any more as a leader. What is under way may still be written."""
        self._retired = why
        self._wake_everyone()

    async def follow(self) -> None:
        """Read everything, and go on to follow it without leading. Raises StoreUnavailable, BrokenState."""
        await self._read_all()
        self.also(self._watch())

    def also(self, work: Coroutine[Any, Any, None]) -> None:
        """A loop that runs as long as this term."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    async def stop(self) -> None:
        """Changes under way are finished. Safe to call twice, and after leadership was lost."""
        self.over = True
        self.fleet.rest()
        if self._changing:
            await asyncio.wait(self._changing, timeout=3.0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3.0)
        if self.leadership.is_leader:
            self._tell("master.stopped", self._retired)
        with contextlib.suppress(StaleEpoch):
            try:
                await self.journal.flush(self.leadership)
            except (StoreUnavailable, Refused) as error:
                _log.warning("the last events are lost", why=error.message)
        await self.leadership.release(self._settings.wall())
        self._wake_everyone()
        self._closed = True
        self._pool.shutdown(wait=False)

    def snapshot(self) -> Snapshot:
        assert self.view.cluster is not None
        now = self._settings.wall()
        self.fleet.excuse(in_maintenance(self.view.hosts, now))
        return Snapshot(
            cluster=self.view.cluster,
            leader=self.leadership.record if self._begun else self.view.leader or NOBODY,
            apps=self.view.apps,
            hosts=self.view.hosts,
            assignments=self.view.assignments,
            observed=self.fleet.observed,
            heard_s=self.fleet.heard_s(),
            spoke_s=self.fleet.spoke_s(),
            waited_s=self.fleet.waited_s(),
            enrolled_s=self.fleet.enrolled_s(),
            lost_after_s=self._settings.lost_after_s,
            quiet_after_s=self._settings.lost_after_s * QUIET_SHARE,
            calm_s=self.fleet.calm_s(),
            now=now,
            revision=self.view.revision,
            homes=self.view.homes,
            rollouts=self.view.rollouts,
            serving_s=self.ages.serving_s(),
            strategy=self._settings.strategy,
            loadline=self.view.loadline,
            incidents=self.incident_of(),
            addresses=self.view.addresses.given,
            address_range=self._settings.service_range,
            proxies=self.view.proxies,
            revisions=self.view.revisions(
                names.APPS, names.ASSIGNMENTS, names.HOMES, names.ROLLOUTS
            ),
        )

    async def lost(self) -> str:
        """Returns, with the reason, when this master leads no more."""
        while self.leadership.is_leader:
            await self._over.passed(self._over.value, 3600.0)
        return self.leadership.why_not

    async def whole(self, change: Coroutine[Any, Any, T]) -> T:
        """Run a change to its end, also when whoever asked for it goes away meanwhile and can't be told how it ended."""
        task = asyncio.ensure_future(change)
        self._changing.add(task)
        task.add_done_callback(self._whole)
        return await asyncio.shield(task)

    def _whole(self, task: asyncio.Future[T]) -> None:
        self._changing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, HullmarkError):
            _log.error("a change failed", traceback=traced(error))

    def told(self, host_id: str) -> Counter:
        """Grows when the host's orders or its record change."""
        return self._told.setdefault(host_id, Counter())

    def changed(self) -> None:
        """Something that a plan depends on changed: hosts, or what they say."""
        self.version.bump()
        self.inputs.bump()
        self.loop.wake()

    async def listing(self) -> Listing:
        """All that the store holds, at one revision. Raises StoreUnavailable."""
        return await self.call(self._store.list, names.ROOT)

    async def _read_all(self) -> Listing:
        listing = await self.listing()
        self._loads += 1
        self.view.load(listing)
        self.leadership.knows(listing.revision)
        if self.followed is not None:
            self.followed()
        return listing

    async def _load(self) -> None:
        listing = await self._read_all()
        if self.view.leader != self.leadership.record:
            raise overtaken()
        batches = event_batches(listing)
        self.journal.load(batches)
        self.troubles.load(event for _, batch in batches for event in batch.events)
        self.fleet.expect(self.view.hosts)

    def _applied(self, writes: Sequence[Write], revision: int) -> None:
        """A transaction of this master is in the store: show it at once."""
        for key in self.view.apply_writes(writes, revision):
            self._notice(key, revision)

    def _notice(self, key: str, revision: int) -> None:
        if key == names.LEADER_KEY:
            self.leadership.saw_leader_change(revision)
        elif key.startswith(names.PLANNED):
            if key.startswith(names.HOSTS):
                self.fleet.know(self.view.hosts)
            self.changed()
            for prefix in (names.ASSIGNMENTS, names.HOSTS):
                if key.startswith(prefix):
                    self.told(key[len(prefix) :]).bump()

    def _planned(self, unplaced: tuple[Unplaced, ...]) -> None:
        if unplaced != self.unplaced:
            self.unplaced = unplaced
            self.version.bump()

    def _lost(self, why: str) -> None:
        self._wake_everyone()
        if self.lost_lead is not None:
            self.lost_lead(why)

    def _wake_everyone(self) -> None:
        self.changed()
        self._over.bump()
        for counter in self._told.values():
            counter.bump()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a loop of the leader failed", traceback=traced(error))
            self.leadership.step_down("a loop of it failed: see its log")
            if not self._begun and self.fell is not None:
                self.fell()

    def _tell(self, kind: str, why: str = "") -> None:
        """A change of this master's own leading."""
        record = self.leadership.record
        event = Event(
            self._settings.new_id(),
            self._settings.wall(),
            kind,
            f"master {self._master}",
            self._master,
            f"epoch {record.epoch}" + (f": {why}" if why else ""),
            fields={"epoch": str(record.epoch)},
        )
        self.journal.add(event)
        self._settings.happened(event)

    async def _watch(self) -> None:
        """Follow the store's own changes: another leader's record above all."""
        while not (self._begun and not self.leadership.is_leader):
            loads = self._loads
            try:
                found = await self.call(
                    self._store.changes, names.ROOT, self.view.revision, WATCH_S
                )
            except (StoreUnavailable, Refused) as error:
                # A store that lets nobody in for a while, as when its password is changed, is as good as silent.
                self.leadership.store_trouble = error.message
                if self.silent is not None:
                    self.silent(error.message)
                await asyncio.sleep(RETRY_S)
                continue
            except Compacted:
                await self._reload()
                continue
            if loads != self._loads:
                continue  # All was read anew meanwhile: these changes may be older than that.
            self.leadership.store_trouble = ""
            for change in found.changes:
                if self.view.apply(change.key, change.value, change.revision):
                    self._notice(change.key, change.revision)
            self.view.passed(found.revision)
            self.leadership.knows(found.revision)
            if self.followed is not None:
                self.followed()

    async def _reload(self) -> None:
        """Changes were missed: read everything, and treat all of it as changed."""
        with contextlib.suppress(StoreUnavailable):
            await self._read_all()
            if self._begun and self.view.leader != self.leadership.record:
                self.leadership.step_down("another master leads since")
            self.fleet.know(self.view.hosts)
            self._wake_everyone()

    async def _tick(self) -> None:
        while self.leadership.is_leader:
            await asyncio.sleep(TICK_S)
            passages = list(self.fleet.tick())
            for passage in passages:
                if self.turned is not None:
                    self.turned(passage)
            if passages:
                self.changed()

    async def _compact(self, upto: int) -> None:
        await self.call(self._store.compact, upto)
