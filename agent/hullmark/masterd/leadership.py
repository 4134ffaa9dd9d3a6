"""Leadership: one leader's term, and the fence around everything that it writes.

Whoever begins to lead writes the leader record with the next term, by compare-and-set. Every later write
compares that the record is still that one: if it isn't, nothing is written, and this master has
stopped leading before the call returns. A term is never used twice, also not after a clean stop:
the record then stays, naming nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import secrets
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Callable, Optional, TypeVar

from hullmark import log
from hullmark.errors import OutcomeUnknown, Refused, StoreUnavailable
from hullmark.masterd.refusals import not_leading, overtaken
from hullmark.masterd.view import decode, encode
from hullmark.model.epoch import Epoch
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY, PULSE_KEY, RESTORING_KEY, TERMS_KEY
from hullmark.model.protocol import Former
from hullmark.model.records import ClusterRecord, LeaderRecord, PulseRecord, Term, TermsRecord
from hullmark.store.protocol import Committed, Compare, Delete, Entry, Put, Store, Write

_log = log.get("leadership")

ATTEMPTS_TO_FIND_OUT = 4
"""Reads after a transaction without an answer, each after a longer pause."""

PROBES_MOST = 5
"""Values that are looked for, of a transaction without an answer."""

TERMS_KEPT = 2000
"""A host that was away for more changes of leader has to be told by an operator whom to obey."""

T = TypeVar("T")
Caller = Callable[..., Awaitable[Any]]
"""Runs a blocking call in a thread: `await call(store.get, key)`."""


class Leadership:
    """`applied` is called with each transaction that happened and its revision; `lost` once, with the
    reason, when this master stops leading against its will. `until`: the deadline, on the monotonic `clock`, past which it does
    not lead, whatever else is known; `marks` are those that it drew."""

    def __init__(
        self,
        store: Store,
        call: Caller,
        master: str,
        address: str,
        *,
        applied: Callable[[Sequence[Write], int], None],
        lost: Callable[[str], None],
        api_address: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_address = api_address
        self._clock = clock
        self._count = 0
        self._known = 0
        self.marks: set[str] = set()
        self.until = math.inf
        self._store = store
        self._call = call
        self._master = master
        self._address = address
        self._applied = applied
        self._lost = lost
        self._record: Optional[LeaderRecord] = None
        self._modified = 0
        self._terms = TermsRecord()
        self.why_not = "it has not begun to lead"
        self.store_trouble = ""

    @property
    def is_leader(self) -> bool:
        return not self.why_not and self._clock() < self.until

    @property
    def record(self) -> LeaderRecord:
        """Of this master's term, also after it ended. Raises StaleEpoch before the first."""
        if self._record is None:
            raise not_leading(self.why_not)
        return self._record

    def owns(self, record: LeaderRecord) -> bool:
        """Whether a leader record is that of this very term."""
        return record == self._record

    async def take(self, now: float) -> LeaderRecord:
        """Begin a new term, whoever led before. Raises Refused where there is no cluster in the store, Conflict where
        another master was faster, StoreUnavailable."""
        before = await self.read(LEADER_KEY)
        record = await self._put_record(now, before, [])
        await self.remember()
        return record

    async def take_over(self, now: float, record: int, pulse: int) -> tuple[LeaderRecord, int]:
        """Begin a new term where leader record and pulse are still of these revisions; with the revision of the new record.
        `remember` has to follow. Raises as `take` does."""
        before = await self.read(LEADER_KEY)
        if (0 if before is None else before.modified) != record:
            raise overtaken()
        made = await self._put_record(now, before, [Compare(PULSE_KEY, pulse)])
        return made, self._modified

    async def _put_record(
        self, now: float, before: Optional[Entry], compares: Sequence[Compare]
    ) -> LeaderRecord:
        found = await self.read(CLUSTER_KEY)
        if found is None:
            raise Refused("the store holds no cluster yet", remedy="hullmark master init")
        cluster = decode(ClusterRecord, CLUSTER_KEY, found.value)
        term, seen = 1, 0
        if before is not None:
            last = decode(LeaderRecord, LEADER_KEY, before.value).epoch
            term, seen = last.term + 1, before.modified
        mark = secrets.token_hex(4)
        self.marks.add(mark)
        record = LeaderRecord(
            Epoch(cluster.incarnation, term),
            self._master,
            self._address,
            now,
            mark,
            self._api_address,
        )
        fence = [
            Compare(LEADER_KEY, seen),
            Compare(CLUSTER_KEY, found.modified),
            Compare(RESTORING_KEY, 0),
            *compares,
        ]
        puts = [Put(LEADER_KEY, encode(record)), Put(PULSE_KEY, encode(PulseRecord(mark, 0)))]
        done = await self._commit(fence, puts)
        if not done.succeeded:
            raise overtaken()
        self._record, self._modified, self.why_not = record, done.revision, ""
        _log.info("leading", epoch=str(record.epoch), leader=record.leader)
        return record

    def pulse(self) -> bool:
        """Show life, in a transaction of its own. False: the leader record is another's. Blocks, and may be called from any
        thread. Raises StoreUnavailable."""
        self._count += 1
        put = Put(PULSE_KEY, encode(PulseRecord(self.record.mark, self._count)))
        return self._store.commit([Compare(LEADER_KEY, self._modified)], [put]).succeeded

    async def remember(self) -> None:
        """Before the term's first order: add it to those that agents may ask about."""
        await self._remember(Term(self.record.epoch, self.record.leader, self._modified))

    async def _remember(self, term: Term) -> None:
        known = await self._read(TermsRecord, TERMS_KEY) or TermsRecord()
        self._terms = TermsRecord((*known.terms[-TERMS_KEPT:], term))
        put = Put(TERMS_KEY, encode(self._terms))
        done = await self._commit([Compare(LEADER_KEY, term.began)], [put])
        if not done.succeeded:
            raise overtaken()

    def former(self, epoch: Epoch) -> Optional[Former]:
        """What this store says of an earlier epoch; None where it knows of none."""
        for term, following in zip(self._terms.terms, self._terms.terms[1:]):
            if term.epoch == epoch:
                return Former(term.leader, following.began)
        return None

    async def _read(self, cls: type[T], key: str) -> Optional[T]:
        entry = await self._call(self._store.get, key)
        return None if entry is None else decode(cls, key, entry.value)

    async def read(self, key: str) -> Optional[Entry]:
        """One key from the store itself, for what the view may not have yet."""
        entry: Optional[Entry] = await self._call(self._store.get, key)
        self.knows(0 if entry is None else entry.modified)
        return entry

    def knows(self, revision: int) -> None:
        """The store has had this revision."""
        self._known = max(self._known, revision)

    async def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        """One fenced transaction. Not succeeded: a compare of the caller's own didn't hold.

        Raises StaleEpoch where this master does not lead, StoreUnavailable where it is still unknown
        whether it happened, Refused where a limit of the store is passed.
        """
        if not self.is_leader:
            raise not_leading(self.why_not)
        done = await self._commit([Compare(LEADER_KEY, self._modified), *compares], writes)
        if done.succeeded:
            self._applied(writes, done.revision)
        else:
            await self._check_fence()
        return done

    async def _check_fence(self) -> None:
        entry = await self._call(self._store.get, LEADER_KEY)
        if entry is None or entry.modified != self._modified:
            self.step_down("another master leads since")
        if not self.is_leader:
            raise not_leading(self.why_not)

    def saw_leader_change(self, revision: int) -> None:
        """The store says that the leader record changed at this revision."""
        if self.is_leader and revision > self._modified:
            self.step_down("another master leads since")

    def step_down(self, why: str) -> None:
        """Stop leading at once. Nothing is written any more, also where the deadline had passed and is set anew."""
        if not self.why_not:
            self.why_not = why
            _log.warning("no longer leading", why=why)
            self._lost(why)

    async def release(self, now: float) -> None:
        """Give leadership back, so that the next leader need not wait. The term stays in the record."""
        if not self.is_leader:
            return
        nobody = dataclasses.replace(self.record, master="", address="", since=now)
        compare, put = Compare(LEADER_KEY, self._modified), Put(LEADER_KEY, encode(nobody))
        self.why_not = "it was stopped"
        try:
            await self._commit([compare], [put])
        except StoreUnavailable as error:
            _log.warning("leadership not given back", why=error.message)

    async def _commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        known = self._known
        try:
            done: Committed = await self._call(self._store.commit, compares, writes)
        except OutcomeUnknown as error:
            self.store_trouble = error.message
            done = await self._find_out(writes, known, error)
        except StoreUnavailable as error:
            self.store_trouble = error.message
            raise
        self.store_trouble = ""
        self.knows(done.revision)
        return done

    async def _find_out(
        self, writes: Sequence[Write], known: int, error: OutcomeUnknown
    ) -> Committed:
        """A transaction without an answer happened where all that it put first is seen, of one revision above all that were
        known before it was sent. That it did not happen can't be seen: it may still. Raises OutcomeUnknown."""
        probes = [write for write in writes if isinstance(write, Put)][:PROBES_MOST]
        for attempt in range(ATTEMPTS_TO_FIND_OUT if probes else 0):
            await asyncio.sleep(0.05 * 3**attempt)
            try:
                found = [await self._call(self._store.get, probe.key) for probe in probes]
            except StoreUnavailable:
                continue
            same = all(
                entry is not None and entry.value == probe.value
                for entry, probe in zip(found, probes)
            )
            revisions = {entry.modified for entry in found if entry is not None}
            if same and len(revisions) == 1 and min(revisions) > known:
                return Committed(True, min(revisions))
        raise error


def size_bytes(writes: Sequence[Write]) -> int:
    """What the writes count towards a transaction's limit."""
    return sum(
        len(write.key.encode()) + (0 if isinstance(write, Delete) else len(write.value))
        for write in writes
    )
