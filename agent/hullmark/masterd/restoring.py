"""Restoring a snapshot into an empty store, of either kind, under a new incarnation of its cluster.

    marker "restoring" -> what an earlier try left is deleted -> entries, many transactions
    -> one last transaction: the cluster's record, a leader record that names nobody, no marker

The cluster's record comes last, so a store that is half restored holds no cluster and nobody leads it. Every transaction compares
the marker: of two who restore at once only the later one goes on. A restore that was cut short is begun again by the same command.

Instances are restored as not released: a host starts none that it doesn't have before the leader has heard which hosts
have what (`core/adoption.py`). What a host has goes on.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hullmark.errors import Conflict, Refused
from hullmark.masterd.snapshotreading import Source, Verified
from hullmark.masterd.view import decode, encode
from hullmark.model import names
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY, RESTORING_KEY
from hullmark.model.records import (
    ClusterRecord,
    EventBatch,
    HostAssignments,
    LeaderRecord,
    RestoringRecord,
)
from hullmark.model.snapshotfile import Item, is_kept
from hullmark.pki import statements
from hullmark.pki.authority import Authority
from hullmark.store.protocol import (
    MAX_TRANSACTION_BYTES,
    Compare,
    Delete,
    Listing,
    Put,
    Store,
    Write,
)

WRITES_AT_ONCE = 90
"""Of the store's 100 operations."""
BYTES_AT_ONCE = MAX_TRANSACTION_BYTES - 64
"""What a transaction holds beside its compare."""
EVENTS_SKIPPED = 20_000
"""Numbers of events that the cluster gave after the snapshot are not given again, for most clusters."""


@dataclass(frozen=True)
class Restored:
    """`resumed`: an earlier try had been cut short."""

    incarnation: int
    entries: int
    revision: int
    resumed: bool


class Restorer:
    """One restore. `by` is who does it, `origin` on which machine; `now` in seconds since 1970."""

    def __init__(
        self, store: Store, authority: Authority, *, by: str, origin: str, now: float
    ) -> None:
        self._store = store
        self._authority = authority
        self._by = by
        self._origin = origin
        self._now = now
        self._fence: tuple[Compare, ...] = ()
        self._entries = 0

    def restore(self, source: Source, found: Verified, incarnation: int) -> Restored:
        """Raises Refused where the store isn't empty, Conflict where somebody else restores into it or made a cluster there,
        StoreUnavailable (do it again), BrokenState where the file changed meanwhile."""
        listing = self._store.list(names.ROOT)
        resumed = must_be_empty(listing)
        self._mark(listing, found)
        self._clear(listing)
        self._fill(source.entries(found.end), found, incarnation)
        done = self._finish(found, incarnation)
        return Restored(incarnation, self._entries, done, resumed)

    def _mark(self, listing: Listing, found: Verified) -> None:
        seen = {entry.key: entry.modified for entry in listing.entries}
        marker = RestoringRecord(uuid.uuid4().hex, found.end.sha256, self._now, self._by)
        done = self._store.commit(
            [Compare(CLUSTER_KEY, 0), Compare(RESTORING_KEY, seen.get(RESTORING_KEY, 0))],
            [Put(RESTORING_KEY, encode(marker))],
        )
        if not done.succeeded:
            raise _overtaken()
        self._fence = (Compare(RESTORING_KEY, done.revision),)

    def _clear(self, listing: Listing) -> None:
        """What an earlier try put, maybe from another snapshot."""
        left = [entry.key for entry in listing.entries if is_kept(entry.key)]
        for chunk in in_chunks(Delete(key) for key in left):
            self._commit(chunk)

    def _fill(self, items: Iterable[Item], found: Verified, incarnation: int) -> None:
        newest = ("", b"")

        def puts() -> Iterator[Write]:
            nonlocal newest
            for item in items:
                self._entries += 1
                if item.key == CLUSTER_KEY or not is_kept(item.key):
                    continue
                value = item.value.encode()
                if item.key.startswith(names.ASSIGNMENTS):
                    value = held(item.key, value)
                elif item.key.startswith(names.EVENTS):
                    newest = max(newest, (item.key, value))
                yield Put(item.key, value)

        for chunk in in_chunks(puts()):
            self._commit(chunk)
        key = _next_event_key(*newest)
        self._commit([Put(key, encode(EventBatch((self._event(found, incarnation),))))])

    def _finish(self, found: Verified, incarnation: int) -> int:
        """The store's revision, from which on it is a cluster's."""
        proof = statements.sign_incarnation(
            self._authority,
            found.cluster.cluster_id,
            incarnation,
            reason="restored",
            by=self._by,
            now=self._now,
        )
        cluster = dataclasses.replace(found.cluster, incarnation=incarnation, proof=proof)
        nobody = LeaderRecord(Epoch(incarnation, 0), "", "", self._now)
        return self._commit(
            [
                Put(CLUSTER_KEY, encode(cluster)),
                Put(LEADER_KEY, encode(nobody)),
                Delete(RESTORING_KEY),
            ],
            Compare(CLUSTER_KEY, 0),
        )

    def _event(self, found: Verified, incarnation: int) -> Event:
        head = found.head
        return Event(
            uuid.uuid4().hex,
            self._now,
            "cluster.restored",
            "the cluster",
            self._origin,
            f"from a snapshot of epoch {head.epoch}, revision {head.revision}",
            self._by,
            {"incarnation": str(incarnation), "sha256": found.end.sha256},
        )

    def _commit(self, writes: Sequence[Write], *compares: Compare) -> int:
        done = self._store.commit([*self._fence, *compares], writes)
        if not done.succeeded:
            raise _overtaken()
        return done.revision


def must_be_empty(listing: Listing) -> bool:
    """Whether a restore into it was cut short. Raises Refused for a store that holds anything else. What running masters
    say of themselves is nothing."""
    keys = {
        entry.key: entry for entry in listing.entries if not entry.key.startswith(names.MASTERS)
    }
    if CLUSTER_KEY in keys:
        record = decode(ClusterRecord, CLUSTER_KEY, keys[CLUSTER_KEY].value)
        raise Refused(
            f"the store holds cluster {record.cluster_id} already",
            remedy="restoring is for an empty store: docs/operations/backup.md says how to empty this one",
        )
    if RESTORING_KEY in keys:
        return True
    if keys:
        raise Refused(
            f"the store is not empty: {len(keys)} keys below {names.ROOT}, but no cluster",
            remedy="look whose they are; restoring is for an empty store",
        )
    return False


def held(key: str, value: bytes) -> bytes:
    """A host's orders with nothing released."""
    orders = decode(HostAssignments, key, value)
    waiting = tuple(dataclasses.replace(item, released=False) for item in orders.assignments)
    return encode(dataclasses.replace(orders, assignments=waiting))


def in_chunks(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """As many as one transaction takes, in order."""
    chunk: list[Write] = []
    size_bytes = 0
    for write in writes:
        own = len(write.key.encode()) + (len(write.value) if isinstance(write, Put) else 0)
        if chunk and (len(chunk) >= WRITES_AT_ONCE or size_bytes + own > BYTES_AT_ONCE):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(write)
        size_bytes += own
    if chunk:
        yield chunk


def _next_event_key(key: str, value: bytes) -> str:
    """Above every number in the snapshot, and above what was given soon after it."""
    if not key:
        return f"{names.EVENTS}{EVENTS_SKIPPED:016d}"
    last = int(key[len(names.EVENTS) :]) + len(decode(EventBatch, key, value).events)
    return f"{names.EVENTS}{last + EVENTS_SKIPPED:016d}"


def _overtaken() -> Conflict:
    return Conflict(
        "somebody else restores into this store, or made a cluster in it, at the same time",
        remedy="let one of them finish; then look at: hullmark status",
    )
