"""Leadership: one leader's term, and the fence around everything that it writes.

Whoever begins to lead writes the leader record with the next term, by compare-and-set. Every later write
compares that the record is still that one: if it isn't, nothing is written, and this master has
stopped leading before the call returns. A term is never used twice, also not after a clean stop:
the record then stays, naming nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable, Sequence
from typing import Any, Callable, Optional, TypeVar

from hullmark import log
from hullmark.errors import Refused, StoreUnavailable
from hullmark.masterd.refusals import not_leading, overtaken
from hullmark.masterd.view import decode, encode
from hullmark.model.epoch import Epoch
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY, TERMS_KEY
from hullmark.model.protocol import Former
from hullmark.model.records import ClusterRecord, LeaderRecord, Term, TermsRecord
from hullmark.store.protocol import Committed, Compare, Delete, Entry, Put, Store, Write

_log = log.get("leadership")

ATTEMPTS_TO_FIND_OUT = 4
"""Reads after a transaction without an answer, each after a longer pause."""

TERMS_KEPT = 2000
"""A host that was away for more changes of leader has to be told by an operator whom to obey."""

T = TypeVar("T")
Caller = Callable[..., Awaitable[Any]]
"""Runs a blocking call in a thread: `await call(store.get, key)`."""


class Leadership:
    """`applied` is called with each transaction that happened and its revision; `lost` once, with the
    reason, when this master stops leading against its will."""

    def __init__(
        self,
        store: Store,
        call: Caller,
        master: str,
        address: str,
        *,
        applied: Callable[[Sequence[Write], int], None],
        lost: Callable[[str], None],
    ) -> None:
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
        return not self.why_not

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
        """Begin a new term. Raises Refused where there is no cluster in the store, Conflict where
        another master was faster, StoreUnavailable."""
        cluster = await self._read(ClusterRecord, CLUSTER_KEY)
        if cluster is None:
            raise Refused("the store holds no cluster yet", remedy="hullmark master init")
        before = await self._call(self._store.get, LEADER_KEY)
        term, seen = 1, 0
        if before is not None:
            last = decode(LeaderRecord, LEADER_KEY, before.value).epoch
            term, seen = last.term + 1, before.modified
        epoch = Epoch(cluster.incarnation, term)
        mark = secrets.token_hex(4)
        record = LeaderRecord(epoch, self._master, self._address, now, mark)
        done = await self._commit([Compare(LEADER_KEY, seen)], [Put(LEADER_KEY, encode(record))])
        if not done.succeeded:
            raise overtaken()
        await self._remember(Term(epoch, record.leader, done.revision))
        self._record, self._modified, self.why_not = record, done.revision, ""
        _log.info("leading", epoch=str(epoch), leader=record.leader)
        return record

    async def _remember(self, term: Term) -> None:
        """Before the term's first order: add it to those that agents may ask about."""
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
        return entry

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
        """Stop leading at once. Nothing is written any more."""
        if self.is_leader:
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
        try:
            done: Committed = await self._call(self._store.commit, compares, writes)
        except StoreUnavailable as error:
            self.store_trouble = error.message
            done = await self._find_out(writes, error)
        self.store_trouble = ""
        return done

    async def _find_out(self, writes: Sequence[Write], error: StoreUnavailable) -> Committed:
        """Whether a transaction without an answer happened: what it put first is there, or it isn't."""
        probe = next((write for write in writes if isinstance(write, Put)), None)
        for attempt in range(ATTEMPTS_TO_FIND_OUT if probe is not None else 0):
            assert probe is not None
            await asyncio.sleep(0.05 * 3**attempt)
            try:
                entry = await self._call(self._store.get, probe.key)
            except StoreUnavailable:
                continue
            if entry is not None and entry.value == probe.value:
                return Committed(True, entry.modified)
            break
        raise error


def size_bytes(writes: Sequence[Write]) -> int:
    """What the writes count towards a transaction's limit."""
    return sum(
        len(write.key.encode()) + (0 if isinstance(write, Delete) else len(write.value))
        for write in writes
    )
