"""The Store protocol over etcd v3 (3.4 and later), for a pair of masters.

A revision is etcd's own. Every read is one that a quorum has confirmed, so that a member which fell behind never
answers from the past. Keys outside `scope` can be read and written, where etcd's user may, but not watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from hullmark.errors import Refused, StoreUnavailable
from hullmark.model.names import ROOT
from hullmark.model.redundancy import StoreCondition
from hullmark.store import dialect
from hullmark.store.dialect import Verdict
from hullmark.store.gateway import Access, Gateway, Rejected
from hullmark.store.limits import check_key, check_prefix, check_transaction
from hullmark.store.members import Members
from hullmark.store.protocol import (
    Changes,
    Committed,
    Compacted,
    Compare,
    Entry,
    Listing,
    Write,
)
from hullmark.store.watch import Watch

PAGE_ENTRIES = 200
PAGE_S = 5.0
LISTING_TRIES = 5
"""A listing whose revision was compacted away meanwhile is begun again."""


class EtcdStore:
    """Connects when it is first used: making one never fails."""

    def __init__(self, access: Access, scope: str = ROOT) -> None:
        self._gateway = Gateway(access)
        self._scope = scope
        self._watch = Watch(self._gateway, scope, self._revision)
        self._members = Members(self._gateway, self._revision)

    def get(self, key: str) -> Optional[Entry]:
        check_key(key)
        body = {"key": dialect.encoded(key.encode())}
        pairs = self._read("/v3/kv/range", body).get("kvs", ())
        return dialect.entry_of(pairs[0]) if pairs else None

    def list(self, prefix: str) -> Listing:
        check_prefix(prefix)
        for _ in range(LISTING_TRIES):
            try:
                return self._pages(prefix)
            except Compacted:
                continue
        raise StoreUnavailable("etcd was compacted again and again while it was listed")

    def _pages(self, prefix: str) -> Listing:
        """All pages as of the first one's revision."""
        entries: list[Entry] = []
        revision, start = 0, None
        while True:
            body = {**dialect.prefix_range(prefix, start), "limit": str(PAGE_ENTRIES)}
            if revision:
                body["revision"] = str(revision)
            answer = self._read("/v3/kv/range", body, PAGE_S)
            entries += map(dialect.entry_of, answer.get("kvs", ()))
            revision = revision or dialect.revision_of(answer)
            if not answer.get("more"):
                return Listing(tuple(entries), revision)
            start = entries[-1].key.encode() + b"\0"

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        check_transaction(compares, writes)
        body = {
            "compare": [dialect.compare_request(compare) for compare in compares],
            "success": [dialect.write_request(write) for write in writes],
        }
        send = self._gateway.write if writes else self._gateway.read
        try:
            answer = send("/v3/kv/txn", body)
        except Rejected as error:
            raise Refused(f"etcd refuses a transaction: {error.message}") from error
        return Committed(bool(answer.get("succeeded")), dialect.revision_of(answer))

    def changes(self, prefix: str, after: int, wait_s: float) -> Changes:
        check_prefix(prefix)
        if not prefix.startswith(self._scope):
            raise Refused(f"changes can be followed below {self._scope} only, not of {prefix!r}")
        return self._watch.changes(prefix, after, wait_s)

    def compact(self, revision: int) -> None:
        upto = min(revision, self._revision())
        if upto <= 0:
            return
        try:
            self._gateway.read("/v3/kv/compaction", {"revision": str(upto)})
        except Rejected as error:
            if error.verdict is not Verdict.COMPACTED:
                raise Refused(f"etcd refuses to compact: {error.message}") from error
        self._watch.forget(upto)

    def condition(self) -> StoreCondition:
        return self._members.condition()

    def close(self) -> None:
        """Whoever waits in `changes` gets StoreUnavailable, and so does every later call."""
        self._watch.close()
        self._gateway.close()

    def _revision(self) -> int:
        """The store's, confirmed by a quorum."""
        key = dialect.encoded((self._scope or "/").encode())
        return dialect.revision_of(self._read("/v3/kv/range", {"key": key, "count_only": True}))

    def _read(self, path: str, body: Mapping[str, Any], within_s: Optional[float] = None) -> Any:
        try:
            more = () if within_s is None else (within_s,)
            return self._gateway.read(path, body, *more)
        except Rejected as error:
            if error.verdict is Verdict.COMPACTED:
                raise Compacted(error.message) from error
            raise Refused(f"etcd refuses: {error.message}") from error
