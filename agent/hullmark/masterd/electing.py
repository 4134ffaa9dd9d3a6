"""The elector of a master whose store others share: it carries out what `core.election` decides.

    read everything, and follow it -> take over when it is time -> lead, pulsing -> stop -> read everything anew

One term object serves for following and for leading, and another one comes after it has ended. Pulses have threads of their own,
so that nothing of a term's work comes before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Callable, Optional, TypeVar

from hullmark import log
from hullmark.core import election
from hullmark.core.election import Phase, Sight, State
from hullmark.errors import HullmarkError, StoreUnavailable
from hullmark.masterd.answers import traced
from hullmark.masterd.bureau import Bureau
from hullmark.masterd.counter import Counter
from hullmark.masterd.pair import Pair
from hullmark.masterd.refusals import not_leading
from hullmark.masterd.settings import Settings
from hullmark.masterd.view import decode
from hullmark.model.names import LEADER_KEY, PULSE_KEY
from hullmark.model.records import LeaderRecord
from hullmark.store.protocol import Entry, Store

RETRY_S = 0.5
LEAST_S = 0.005
MOST_S = 60.0
CLOSE_S = 8.0
LATE_RENEWALS = 2
"""A pulse that is not answered for so many times the pause between two is sent again."""
FOREVER_S = 1e9

T = TypeVar("T")

_log = log.get("election")


class Elector:
    """`make` gives the bureau of a new term. `begun` is called with it once it leads; `changed` when who leads, or why this
    master doesn't, may be another. Used from one event loop."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        pair: Pair,
        *,
        make: Callable[[], Bureau],
        begun: Callable[[Bureau], None],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._pair = pair
        self._make = make
        self._begun = begun
        self._changed = changed
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="election")
        self._woken = Counter()
        self._over = Counter()
        self._left = Counter()
        self._faults = Counter()
        self._marks: set[str] = set()
        self._candidate: Optional[Bureau] = None
        self._closing = False
        self._tasks: set[asyncio.Future[None]] = set()
        self._live_task: Optional[asyncio.Future[None]] = None
        self.bureau: Optional[Bureau] = None
        timing = election.Timing(settings.leader_ttl_s)
        self.state: State = election.begin(timing, settings.clock())

    def start(self) -> None:
        self._live_task = self.always(self._live())
        self.always(self._keep_time())

    def also(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """A task of this elector's, as long as it is not closed. One that fails ends leading."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def always(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """A loop that this elector is of no use without: `broken` returns where it ends by a fault."""
        task = self.also(work)
        task.add_done_callback(self._may_be_broken)
        return task

    async def broken(self) -> str:
        """Returns, with the reason, when this elector can go on no more, so that the process has to begin anew."""
        await self._faults.passed(0, FOREVER_S)
        return "a loop of the election failed: see its log"

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call of the store in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def step_down(self, why: str) -> None:
        """Returns once leadership was given back. Raises StaleEpoch where this master does not lead."""
        if self.state.phase is not Phase.LEADING:
            raise not_leading(self.state.why)
        seen = self._left.value
        self._feed(election.Resigned(why))
        await self._left.passed(seen, CLOSE_S)

    async def close(self) -> None:
        """Give leadership back, and end."""
        self._closing = True
        self._feed(election.Resigned("it was stopped"))
        self._over.bump()
        if self._live_task is not None:
            await asyncio.wait({self._live_task}, timeout=CLOSE_S)
            self._live_task.cancel()
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False)

    async def _live(self) -> None:
        """One term after the other."""
        while not self._closing:
            seen = self._over.value
            bureau = self._make()
            term = bureau.term
            term.leadership.marks = self._marks
            term.followed = partial(self._followed, bureau)
            term.silent = lambda why: self._feed(election.Silent(why))
            term.lost_lead = self._lost
            term.fell = self._over.bump
            try:
                await term.follow()
                await self._over.passed(seen, FOREVER_S)
            except HullmarkError as error:
                if not isinstance(error, StoreUnavailable):
                    _log.error("the store can't be read", why=error.message)
                self._feed(election.Silent(error.message))
                await asyncio.sleep(RETRY_S)
            await term.stop()
            self._left.bump()
            if self._candidate is bureau and not self._closing:
                self._candidate = None  # it fell, and another one might at once
                await asyncio.sleep(RETRY_S)

    async def _keep_time(self) -> None:
        clock = self._settings.clock
        while True:
            if clock() >= self.state.wakes_at():
                self._feed(election.Ticked())
            wait_s = self.state.wakes_at() - clock()
            await self._woken.passed(self._woken.value, min(max(wait_s, LEAST_S), MOST_S))

    def _feed(self, observation: election.Observation) -> None:
        phase, why = self.state.phase, self.state.why
        self.state, actions = election.step(self.state, observation, self._settings.clock())
        if self.state.phase is Phase.LEADING and self._candidate is not None:
            self._candidate.term.leadership.until = self.state.until
        for action in actions:
            self._do(action)
        if (phase, why) != (self.state.phase, self.state.why):
            self._changed()
        self._woken.bump()

    def _do(self, action: election.Action) -> None:
        if isinstance(action, election.Look):
            self.also(self._look())
        elif isinstance(action, election.Take):
            self.also(self._take(action))
        elif isinstance(action, election.Pulse):
            self.also(self._pulse(action.number, self._candidate))
        else:
            self._stop(action)

    def _followed(self, bureau: Bureau) -> None:
        """The bureau's view is as the store was a moment ago."""
        view = bureau.term.view
        if self._closing or bureau.term.over:
            return
        self._candidate = self.bureau = bureau
        self._pair.heard()
        self._pair.follow(view)
        self._feed(
            election.Saw(
                self._sight(view.leader, view.modified(LEADER_KEY), view.modified(PULSE_KEY))
            )
        )
        self._changed()

    def _sight(self, leader: Optional[LeaderRecord], record: int, pulse: int) -> Sight:
        master = "" if leader is None else leader.master
        return Sight(master, record, pulse, leader is not None and leader.mark in self._marks)

    async def _look(self) -> None:
        try:
            record: Optional[Entry] = await self.call(self._store.get, LEADER_KEY)
            pulse: Optional[Entry] = await self.call(self._store.get, PULSE_KEY)
            leader = None if record is None else decode(LeaderRecord, LEADER_KEY, record.value)
        except HullmarkError as error:
            self._feed(election.Silent(error.message))
            await asyncio.sleep(RETRY_S)
            if self.state.sight is None and not self._closing:
                self.also(self._look())
            return
        self._pair.heard()
        at = (0 if record is None else record.modified, 0 if pulse is None else pulse.modified)
        self._feed(election.Saw(self._sight(leader, *at)))

    async def _take(self, action: election.Take) -> None:
        bureau = self._candidate
        if bureau is None or bureau.term.over or self._closing:
            self._feed(election.NotTaken(action.number, "it has not read the store yet"))
            return
        term = bureau.term
        clock, timing = self._settings.clock, self.state.timing
        term.leadership.until = clock() + timing.deadline_s
        try:
            _, record = await term.leadership.take_over(
                self._settings.wall(), action.record, action.pulse
            )
        except HullmarkError as error:
            self._feed(election.NotTaken(action.number, error.message))
            return
        self._feed(election.Took(action.number, record))
        if self.state.phase is not Phase.LEADING or self.state.record != record:
            term.leadership.step_down("it took too long to begin")
            self._candidate, term.over = None, True
            self._over.bump()
            return
        try:
            await term.leadership.remember()
            await term.begin()
        except HullmarkError as error:
            _log.error("it could not begin to lead", why=error.message)
            self._lost(error.message)
            return
        self._begun(bureau)
        self._changed()

    async def _pulse(self, number: int, bureau: Optional[Bureau]) -> None:
        assert bureau is not None
        try:
            taken = await self._sent(bureau.term.leadership.pulse)
        except HullmarkError as error:
            self._feed(election.NotPulsed(number, error.message))
            return
        if taken:
            self._pair.heard()
            self._feed(election.Pulsed(number))
        elif bureau is self._candidate:  # else it was of a term before this one, which ended
            self._feed(election.Overtaken("another master leads since"))

    async def _sent(self, pulse: Callable[[], bool]) -> bool:
        """What the store says first of a pulse, which is sent once more where it is long in answering: the second one goes to
        another member, and there is time for it. Raises what the last one raised where none was answered."""
        asked = {asyncio.ensure_future(self.call(pulse))}
        done, waiting = await asyncio.wait(asked, timeout=self.state.timing.renew_s * LATE_RENEWALS)
        if not done:
            waiting.add(asyncio.ensure_future(self.call(pulse)))
        while True:
            for one in done:
                if not waiting or one.exception() is None:
                    for other in waiting:
                        other.add_done_callback(asyncio.Future.exception)
                    return one.result()
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    def _stop(self, action: election.Stop) -> None:
        bureau, self._candidate = self._candidate, None
        if bureau is not None:
            bureau.term.over = (
                True  # at once, so that it is not taken up again before it has stopped
            )
            if action.give_back:
                bureau.term.retire(action.why)
            else:
                bureau.term.leadership.step_down(action.why)
        self._over.bump()

    def _lost(self, why: str) -> None:
        """The term ended by itself: its fence failed, or a loop of it."""
        if self.state.phase is Phase.LEADING:
            self._feed(election.Resigned(why, give_back=False))

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a task of the election failed", traceback=traced(error))
            self._lost("a task of the election failed: see its log")

    def _may_be_broken(self, task: asyncio.Future[None]) -> None:
        if not self._closing and not task.cancelled():
            self._faults.bump()
