"""The journal of events: in memory for readers, in the store for the next leader.

Each event has a number, which is the cursor that readers pass. Events are written in batches, at most one
transaction a second, so the last second's may be lost when the process is killed; a change itself never is,
its author and ticket are in the app's record. Numbers skip ahead with every leader, so that the number of
an event that was lost in that way is never given to another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

from hullmark import log
from hullmark.errors import Refused, StoreUnavailable
from hullmark.masterd.counter import Counter
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.view import encode
from hullmark.model.api import EventList
from hullmark.model.change import Change
from hullmark.model.event import Event
from hullmark.model.names import EVENTS
from hullmark.model.records import EventBatch
from hullmark.store.protocol import Delete, Put, Write

_log = log.get("events")

Tell = Callable[[str, str, Change, Mapping[str, str]], None]
"""(kind, subject, change, fields): record an event of a change."""

NUMBERS_SKIPPED = 10_000
"""More than can be pending; see `PENDING_MAX`."""
PENDING_MAX = 5_000
BATCH_MAX = 500
BATCH_MAX_BYTES = 256 << 10
DELETES_MAX = 50
"""Old batches that go with one new one."""
FLUSH_EVERY_S = 1.0


@dataclass(frozen=True)
class _Stored:
    key: str
    last: int
    at: float


class Journal:
    """Used from one event loop. `added` is called with every event that is new."""

    def __init__(
        self, wall: Callable[[], float], *, kept: int, kept_s: float, added: Callable[[], None]
    ) -> None:
        self._wall = wall
        self._kept = kept
        self._kept_s = kept_s
        self._added = added
        self._events: deque[tuple[int, Event]] = deque()
        self._ids: set[str] = set()
        self._pending: deque[tuple[int, Event]] = deque()
        self._tried: Sequence[tuple[int, Event]] = ()
        self._stored: deque[_Stored] = deque()
        self._next = 1
        self._arrived = Counter()
        self.dropped = 0

    def load(self, batches: Iterable[tuple[str, EventBatch]]) -> None:
        """Take over what former leaders wrote."""
        for key, batch in batches:
            number = int(key[len(EVENTS) :])
            for event in batch.events:
                self._events.append((number, event))
                self._ids.add(event.event_id)
                number += 1
            at = batch.events[-1].at if batch.events else 0.0
            self._stored.append(_Stored(key, number - 1, at))
            self._next = number + NUMBERS_SKIPPED
        self._forget()

    def add(self, event: Event) -> bool:
        """False for one that is known already, by its id."""
        if event.event_id in self._ids:
            return False
        self._ids.add(event.event_id)
        entry = (self._next, event)
        self._next += 1
        self._events.append(entry)
        self._pending.append(entry)
        if len(self._pending) > PENDING_MAX:
            self._pending.popleft()
            self.dropped += 1
        self._forget()
        self._arrived.bump()
        self._added()
        return True

    def since(self, after: int, limit: int) -> EventList:
        """Events with a number above `after`, at most `limit`, the oldest of them first. With `after` 0 the
        newest ones."""
        if after <= 0:
            entries = list(self._events)[-limit:] if limit > 0 else []
        else:
            entries = [entry for entry in self._events if entry[0] > after][:limit]
        last = entries[-1][0] if entries else after
        return EventList(tuple(event for _, event in entries), last)

    def all(self) -> Iterable[Event]:
        """The oldest first."""
        return [event for _, event in self._events]

    async def run(self, leadership: Leadership) -> None:
        """Write what is pending, until cancelled. Ends when this master leads no more."""
        seen = 0
        late = PutOff(_log, "events are not written yet", "events are written again")
        while leadership.is_leader:
            seen = await self._arrived.passed(seen, 3600.0)
            try:
                await self.flush(leadership)
                late.done()
            except StoreUnavailable as error:
                late.failed(error)
                self._arrived.bump()
            except Refused as error:
                self._tried = ()
                _log.warning("events can't be written", why=error.message)
            await asyncio.sleep(FLUSH_EVERY_S)

    async def flush(self, leadership: Leadership) -> None:
        """Write everything that is pending. Raises what `Leadership.commit` does."""
        while self._pending:
            # A batch whose outcome is unknown may still be written, and so also later than the same once more: unchanged.
            batch = self._tried = self._tried or self._batch()
            first, last = batch[0][0], batch[-1][0]
            key = f"{EVENTS}{first:016d}"
            old = self._outdated()
            writes: list[Write] = [Put(key, encode(EventBatch(tuple(event for _, event in batch))))]
            writes += [Delete(stored.key) for stored in old]
            await leadership.commit([], writes)
            self._tried = ()
            while self._pending and self._pending[0][0] <= last:
                self._pending.popleft()
            self._stored.append(_Stored(key, last, batch[-1][1].at))
            for _ in old:
                self._stored.popleft()

    def _batch(self) -> Sequence[tuple[int, Event]]:
        """The oldest pending events with numbers in a row, as many as one batch takes."""
        found: list[tuple[int, Event]] = []
        size_bytes = 0
        for number, event in self._pending:
            size_bytes += len(encode(event))
            gap = bool(found) and number != found[-1][0] + 1
            if found and (gap or len(found) >= BATCH_MAX or size_bytes > BATCH_MAX_BYTES):
                break
            found.append((number, event))
        return found

    def _outdated(self) -> list[_Stored]:
        """Batches of which every event is too many or too old."""
        oldest = self._events[0][0] if self._events else self._next
        found: list[_Stored] = []
        for stored in self._stored:
            if stored.last >= oldest or len(found) >= DELETES_MAX:
                break
            found.append(stored)
        return found

    def _forget(self) -> None:
        too_old = self._wall() - self._kept_s
        while self._events and (len(self._events) > self._kept or self._events[0][1].at < too_old):
            self._ids.discard(self._events.popleft()[1].event_id)
