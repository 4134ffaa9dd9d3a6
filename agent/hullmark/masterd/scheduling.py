"""The scheduling loop: plan, commit what differs, again until nothing does.

It is woken by everything that a plan depends on, and by time where a plan says so. A pass runs at once; the pause
after it grows with what it cost, so that a storm of reports takes a bounded share of the processor.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Callable, Optional

from hullmark import log
from hullmark.core.schedule import Plan, Unplaced, plan
from hullmark.errors import HullmarkError, Refused, StaleEpoch, StoreUnavailable
from hullmark.masterd.counter import Counter
from hullmark.masterd.leadership import Leadership, size_bytes
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.view import encode
from hullmark.model import names
from hullmark.model.records import NO_ASSIGNMENTS, HostAssignments, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import (
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    Compare,
    Delete,
    Put,
    Write,
)

_log = log.get("loop")

PASSES_MAX = 20
"""A plan is complete after two or three passes; more means that something goes round in circles."""
RETRY_S = 1.0
IDLE_S = 3600.0
PAUSE_SHARE = 3.0
PAUSE_MAX_S = 0.5
INLINE_S = 0.02
"""A plan that takes longer is made in a thread."""

Transaction = tuple[list[Compare], list[Write]]
_Part = tuple[dict[str, Compare], list[Write]]


class SchedulingLoop:
    """`one_at_a_time` is held while a plan is made and committed, so that no change of an app comes between.
    `planned` is called with each plan's unplaced instances, `undo` with each app whose rollout is to be taken
    back, and not while the lock is held: taking it back is a change like any other. `told` is called with the app,
    and its rollout before and after, where that changed; `history` gives the keys that go with an app's record."""

    def __init__(
        self,
        leadership: Leadership,
        one_at_a_time: asyncio.Lock,
        snapshot: Callable[[], Snapshot],
        planned: Callable[[tuple[Unplaced, ...]], None],
        undo: Optional[Callable[[str], Awaitable[object]]] = None,
        history: Callable[[str], Sequence[str]] = lambda app: (),
    ) -> None:
        self._leadership = leadership
        self._one_at_a_time = one_at_a_time
        self._snapshot = snapshot
        self._planned = planned
        self.undo = undo
        self.told: Optional[Callable[[str, Optional[Rollout], Rollout], None]] = None
        self.ordered: Callable[[Snapshot, Plan], None] = lambda snapshot, made: None
        """Called with each part of a plan that was committed."""
        self.settle: Optional[Callable[[], Awaitable[None]]] = None
        """Called before each plan: what services have to have before anything is placed."""
        self._history = history
        self._again_in_s = IDLE_S
        self._takes_s = 0.0
        self._wake = Counter(1)

    def wake(self) -> None:
        self._wake.bump()

    async def run(self) -> None:
        """Until cancelled, or until this master leads no more."""
        clock = asyncio.get_running_loop().time
        late = PutOff(_log, "the plan is not committed", "the plan is committed again")
        seen = 0
        while self._leadership.is_leader:
            seen = await self._wake.passed(seen, self._again_in_s)
            began = clock()
            try:
                await self.converge()
                await self._undo()
            except StaleEpoch:
                return
            except (StoreUnavailable, Refused) as error:
                late.failed(error)
                await asyncio.sleep(RETRY_S)
                self.wake()
            else:
                late.done()
                await asyncio.sleep(min((clock() - began) * PAUSE_SHARE, PAUSE_MAX_S))

    async def converge(self) -> None:
        """Plan and commit until nothing is left to write. Raises what `Leadership.commit` does."""
        for _ in range(PASSES_MAX):
            async with self._one_at_a_time:
                if self.settle is not None:
                    await self.settle()
                snapshot = self._snapshot()
                made = await self._plan(snapshot)
                self._planned(made.unplaced)
                self._again_in_s = IDLE_S if made.again_in_s is None else made.again_in_s
                if not await self._carry_out(snapshot, made):
                    return
        _log.error("planning does not come to rest", passes=PASSES_MAX)

    async def _plan(self, snapshot: Snapshot) -> Plan:
        """In a thread where plans take long, so that agents and people are answered meanwhile. A snapshot
        does not change, and what is committed is compared with it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._takes_s < INLINE_S:
            made = plan(snapshot)
        else:
            made = await loop.run_in_executor(None, plan, snapshot)
        self._takes_s = loop.time() - began
        return made

    async def _carry_out(self, snapshot: Snapshot, made: Plan) -> bool:
        """Commit the plan, or, where nothing is left of it, the end of removed apps. False: nothing to do.

        What is remembered of apps is written first: an instance must not be somewhere without its home being known.
        """
        written = False
        for compares, writes in (*notes(snapshot, made), *transactions(snapshot, made.hosts)):
            done = await self._leadership.commit(compares, writes)
            written = True
            if not done.succeeded:
                _log.info("the plan was made from something older; planning again")
                return True
            self.ordered(snapshot, _written(made, writes))
        self._tell(snapshot, made)
        for app in made.finished if not made.hosts else ():
            key, rollout = names.APPS + app, names.ROLLOUTS + app
            gone = [name for name in (key, rollout) if name in snapshot.revisions]
            deletes = [Delete(name) for name in (*gone, *self._history(app))]
            await self._leadership.commit([Compare(key, snapshot.revisions[key])], deletes)
            written = True
        return written

    def _tell(self, snapshot: Snapshot, made: Plan) -> None:
        if self.told is not None:
            for app, rollout in sorted(made.rollouts.items()):
                self.told(app, snapshot.rollouts.get(app), rollout)

    async def _undo(self) -> None:
        """Also those that a former leader left to its successor."""
        for app, rollout in sorted(self._snapshot().rollouts.items()):
            if rollout.state is RolloutState.UNDOING and self.undo is not None:
                try:
                    await self.undo(app)
                except (StaleEpoch, StoreUnavailable):
                    raise
                except HullmarkError as error:
                    _log.error("a rollout is not taken back", app=app, why=error.message)


def _written(made: Plan, writes: Sequence[Write]) -> Plan:
    """What of a plan's orders is among these writes."""
    keys = {write.key for write in writes}
    hosts = {each: made.hosts[each] for each in made.hosts if names.ASSIGNMENTS + each in keys}
    return dataclasses.replace(made, hosts=hosts)


def notes(snapshot: Snapshot, made: Plan) -> Iterator[Transaction]:
    """What the plan remembers of apps: their slots' homes, and how far their changes have come."""
    return _together(
        _part(snapshot, [names.APPS + app], _notes_of(snapshot, made, app))
        for app in sorted({*made.homes, *made.rollouts})
    )


def _notes_of(snapshot: Snapshot, made: Plan, app: str) -> Iterator[Write]:
    rollout, homes = made.rollouts.get(app), made.homes.get(app)
    if homes is not None and homes.slots:
        yield Put(names.HOMES + app, encode(homes))
    elif homes is not None and names.HOMES + app in snapshot.revisions:
        yield Delete(names.HOMES + app)
    if rollout is not None:
        yield Put(names.ROLLOUTS + app, encode(rollout))


def transactions(snapshot: Snapshot, hosts: Mapping[str, HostAssignments]) -> Iterator[Transaction]:
    """The hosts' orders. Each transaction holds whole hosts, and compares those and the apps that they run with what
    the plan was made from, so each is safe without the next."""
    return _together(
        _part(snapshot, _apps_of(orders, snapshot), [_order(snapshot, host_id, orders)])
        for host_id, orders in hosts.items()
    )


def _order(snapshot: Snapshot, host_id: str, orders: HostAssignments) -> Write:
    key = names.ASSIGNMENTS + host_id
    if host_id not in snapshot.hosts and orders == NO_ASSIGNMENTS:
        return Delete(key)
    return Put(key, encode(orders))


def _part(snapshot: Snapshot, keys: Sequence[str], writes: Iterable[Write]) -> _Part:
    """Writes that belong together, with a compare of each key written and of others."""
    listed = list(writes)
    compared = [*(write.key for write in listed), *keys]
    return {key: Compare(key, snapshot.revisions.get(key, 0)) for key in compared}, listed


def _together(parts: Iterable[_Part]) -> Iterator[Transaction]:
    """The parts in transactions that fit the store's limits."""
    compares: dict[str, Compare] = {}
    writes: list[Write] = []
    for needed, added in parts:
        together = {**compares, **needed}
        # One operation and some bytes are the fence's.
        operations = len(together) + len(writes) + len(added) + 1
        if writes and (
            operations > MAX_OPERATIONS
            or _bytes(together, [*writes, *added]) > MAX_TRANSACTION_BYTES
        ):
            yield list(compares.values()), writes
            together, writes = needed, []
        compares = together
        writes = [*writes, *added]
    if writes:
        yield list(compares.values()), writes


def _apps_of(orders: HostAssignments, snapshot: Snapshot) -> Sequence[str]:
    """Keys of the apps that the orders were made from. More than a transaction takes are not compared: the
    lock keeps changes of apps out anyway, and the next plan mends what this one got wrong."""
    keys = {names.APPS + item.instance.app for item in orders.assignments}
    known = sorted(key for key in keys if key in snapshot.revisions)
    return known[: MAX_OPERATIONS // 2]


def _bytes(compares: Mapping[str, Compare], writes: Sequence[Write]) -> int:
    fence = len(names.LEADER_KEY)
    return fence + size_bytes(writes) + sum(len(key.encode()) for key in compares)
