"""The Store protocol in memory: for tests, and as the reference that the others are compared with."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Optional

from hullmark.model.redundancy import StoreCondition
from hullmark.store.limits import check_key, check_prefix, check_transaction
from hullmark.store.protocol import (
    Change,
    Changes,
    Committed,
    Compacted,
    Compare,
    Entry,
    Listing,
    Put,
    Write,
)


class MemoryStore:
    """Forgets everything when the process ends."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._entries: dict[str, Entry] = {}
        self._log: list[Change] = []
        self._revision = 0
        self._compacted = 0

    def get(self, key: str) -> Optional[Entry]:
        check_key(key)
        with self._condition:
            return self._entries.get(key)

    def list(self, prefix: str) -> Listing:
        check_prefix(prefix)
        with self._condition:
            found = (
                entry for key, entry in sorted(self._entries.items()) if key.startswith(prefix)
            )
            return Listing(tuple(found), self._revision)

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        check_transaction(compares, writes)
        with self._condition:
            for compare in compares:
                entry = self._entries.get(compare.key)
                if (entry.modified if entry else 0) != compare.modified:
                    return Committed(False, self._revision)
            changed = [
                write for write in writes if isinstance(write, Put) or write.key in self._entries
            ]
            if changed:
                self._revision += 1
                for write in sorted(changed, key=lambda write: write.key):
                    self._apply(write)
                self._condition.notify_all()
            return Committed(True, self._revision)

    def _apply(self, write: Write) -> None:
        if isinstance(write, Put):
            old = self._entries.get(write.key)
            created = old.created if old else self._revision
            self._entries[write.key] = Entry(write.key, write.value, created, self._revision)
            self._log.append(Change(write.key, write.value, self._revision))
        else:
            del self._entries[write.key]
            self._log.append(Change(write.key, None, self._revision))

    def changes(self, prefix: str, after: int, wait_s: float) -> Changes:
        check_prefix(prefix)
        deadline = time.monotonic() + wait_s
        with self._condition:
            while True:
                if after < self._compacted:
                    raise Compacted(f"changes up to {self._compacted} are gone")
                found = tuple(
                    change
                    for change in self._log
                    if change.revision > after and change.key.startswith(prefix)
                )
                left_s = deadline - time.monotonic()
                if found or left_s <= 0:
                    return Changes(found, max(after, self._revision))
                self._condition.wait(left_s)

    def compact(self, revision: int) -> None:
        with self._condition:
            self._compacted = max(self._compacted, min(revision, self._revision))
            self._log = [change for change in self._log if change.revision > self._compacted]

    def condition(self) -> StoreCondition:
        return StoreCondition("memory")

    def close(self) -> None:
        """Nothing to release."""
