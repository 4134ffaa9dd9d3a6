"""The scheduling loop: plan, commit what differs, again until nothing does.

It is woken by everything that a plan depends on. A pass runs at once; the pause after it grows with what it
cost, so that a storm of reports takes a bounded share of the processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Callable

from hullmark import log
from hullmark.core.schedule import Plan, Unplaced, plan
from hullmark.errors import Refused, StaleEpoch, StoreUnavailable
from hullmark.masterd.counter import Counter
from hullmark.masterd.leadership import Leadership, size_bytes
from hullmark.masterd.view import encode
from hullmark.model import names
from hullmark.model.records import HostAssignments
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
PAUSE_SHARE = 3.0
PAUSE_MAX_S = 0.5

Transaction = tuple[list[Compare], list[Write]]


class SchedulingLoop:
    """`one_at_a_time` is held while a plan is made and committed, so that no change of an app comes between.
    `planned` is called with each plan's unplaced instances."""

    def __init__(
        self,
        leadership: Leadership,
        one_at_a_time: asyncio.Lock,
        snapshot: Callable[[], Snapshot],
        planned: Callable[[tuple[Unplaced, ...]], None],
    ) -> None:
        self._leadership = leadership
        self._one_at_a_time = one_at_a_time
        self._snapshot = snapshot
        self._planned = planned
        self._wake = Counter(1)

    def wake(self) -> None:
        self._wake.bump()

    async def run(self) -> None:
        """Until cancelled, or until this master leads no more."""
        clock = asyncio.get_running_loop().time
        seen = 0
        while self._leadership.is_leader:
            seen = await self._wake.passed(seen, 3600.0)
            began = clock()
            try:
                await self.converge()
            except StaleEpoch:
                return
            except (StoreUnavailable, Refused) as error:
                _log.warning("the plan is not committed", why=error.message)
                await asyncio.sleep(RETRY_S)
                self.wake()
            else:
                await asyncio.sleep(min((clock() - began) * PAUSE_SHARE, PAUSE_MAX_S))

    async def converge(self) -> None:
        """Plan and commit until nothing is left to write. Raises what `Leadership.commit` does."""
        for _ in range(PASSES_MAX):
            async with self._one_at_a_time:
                snapshot = self._snapshot()
                made = plan(snapshot)
                self._planned(made.unplaced)
                if not await self._carry_out(snapshot, made):
                    return
        _log.error("planning does not come to rest", passes=PASSES_MAX)

    async def _carry_out(self, snapshot: Snapshot, made: Plan) -> bool:
        """Commit the plan, or, where nothing is left of it, the end of removed apps. False: nothing to do."""
        written = False
        for compares, writes in transactions(snapshot, made.hosts):
            done = await self._leadership.commit(compares, writes)
            written = True
            if not done.succeeded:
                _log.info("the plan was made from something older; planning again")
                break
        for app in made.finished if not made.hosts else ():
            key = names.APPS + app
            compare = Compare(key, snapshot.revisions[key])
            await self._leadership.commit([compare], [Delete(key)])
            written = True
        return written


def transactions(snapshot: Snapshot, hosts: Mapping[str, HostAssignments]) -> Iterator[Transaction]:
    """The plan in transactions that fit the store's limits. Each holds whole hosts, and compares those and
    the apps that they run with what the plan was made from, so each is safe without the next."""
    compares: dict[str, Compare] = {}
    writes: list[Write] = []
    for host_id, orders in hosts.items():
        key = names.ASSIGNMENTS + host_id
        put = Put(key, encode(orders))
        needed = {key: Compare(key, snapshot.revisions.get(key, 0))}
        for app in _apps_of(orders, snapshot):
            needed[app] = Compare(app, snapshot.revisions[app])
        together = {**compares, **needed}
        # One operation and some bytes are the fence's.
        operations = len(together) + len(writes) + 2
        if writes and (
            operations > MAX_OPERATIONS or _bytes(together, [*writes, put]) > MAX_TRANSACTION_BYTES
        ):
            yield list(compares.values()), writes
            together, writes = needed, []
        compares = together
        writes = [*writes, put]
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
