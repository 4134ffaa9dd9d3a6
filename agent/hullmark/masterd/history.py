"""History: the generations of each app, written with the change that made them.

The newest ten are kept, those that a rollout may have to go back to, and those of instances that were not replaced
yet. They are read from the store when they are asked for; the view knows only that they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from hullmark.core import difference
from hullmark.masterd.leadership import Leadership, size_bytes
from hullmark.masterd.view import View, decode, encode
from hullmark.model.names import HISTORY
from hullmark.model.records import AppRecord, GenerationRecord
from hullmark.store.protocol import MAX_TRANSACTION_BYTES, Compare, Delete, Put, Write

KEPT = 10
_RESERVED_BYTES = 4096


def key_of(app: str, generation: int) -> str:
    return f"{HISTORY}{app}/{generation:010d}"


class History:
    def __init__(self, leadership: Leadership, view: View) -> None:
        self._leadership = leadership
        self._view = view

    def generations(self, app: str) -> list[int]:
        """Those that are kept, the oldest first."""
        return [int(key.rpartition("/")[2]) for key in self.keys(app)]

    def keys(self, app: str) -> list[str]:
        """They go with the app's record."""
        return self._view.keys(f"{HISTORY}{app}/")

    def writes(self, old: Optional[AppRecord], record: AppRecord) -> list[Write]:
        """What belongs into the transaction that makes this generation."""
        name = record.app.name
        found = difference.told(difference.compare(old, record).differences)
        put = Put(key_of(name, record.generation), encode(GenerationRecord(record, found)))
        return [put, *(Delete(key) for key in self._dropped(old, record) if key != put.key)]

    def _dropped(self, old: Optional[AppRecord], record: AppRecord) -> Iterator[str]:
        name = record.app.name
        found = self.generations(name)
        kept = set(found[-(KEPT - 1) :]) if old is not None else set()
        rollout = self._view.rollouts.get(name)
        if rollout is not None:
            kept |= {rollout.good, rollout.former}
        # An instance that was not replaced yet is as its own generation says, or the next one that is known.
        for generation in self._in_use(name):
            kept.add(next((item for item in found if item >= generation), 0))
        for generation in found:
            if generation not in kept:
                yield key_of(name, generation)

    def _in_use(self, app: str) -> set[int]:
        return {
            item.instance.generation
            for orders in self._view.assignments.values()
            for item in orders.assignments
            if item.instance.app == app
        }

    async def fill(self, old: Optional[AppRecord]) -> None:
        """Before another generation follows one that was made without history, which was so before there was any.
        Doing it twice is fine."""
        if old is None or old.removing or self._view.modified(key_of(old.app.name, old.generation)):
            return
        put = Put(key_of(old.app.name, old.generation), encode(GenerationRecord(old)))
        if size_bytes([put]) <= MAX_TRANSACTION_BYTES - _RESERVED_BYTES:
            await self._leadership.commit([Compare(put.key, 0)], [put])

    async def find(self, app: str, generation: int) -> Optional[GenerationRecord]:
        key = key_of(app, generation)
        entry = await self._leadership.read(key)
        return None if entry is None else decode(GenerationRecord, key, entry.value)

    async def all(self, app: str) -> Sequence[GenerationRecord]:
        """The newest first."""
        found = [await self.find(app, generation) for generation in self.generations(app)]
        return [item for item in reversed(found) if item is not None]
