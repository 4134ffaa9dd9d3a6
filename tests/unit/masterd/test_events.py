"""How events come into the store when an answer of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from hullmark.errors import OutcomeUnknown
from hullmark.masterd.events import Journal
from hullmark.masterd.leadership import Leadership
from hullmark.model.event import Event
from hullmark.store.protocol import Committed, Compare, Write


class Deaf:
    """Takes each transaction, and is not heard the first time."""

    def __init__(self) -> None:
        self.taken: list[Sequence[Write]] = []

    async def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        self.taken.append(writes)
        if len(self.taken) == 1:
            raise OutcomeUnknown("no answer in time")
        return Committed(True, len(self.taken))


def event(name: str) -> Event:
    return Event(name, 1.0, "app.applied", "app shop", "m1", "")


def test_a_batch_without_an_answer_is_sent_again_unchanged() -> None:
    """Else the first one, written late, would take the place of a later one that holds more."""
    journal = Journal(lambda: 2.0, kept=100, kept_s=100.0, added=lambda: None)
    deaf = Deaf()
    leadership = cast(Leadership, deaf)

    async def run() -> None:
        journal.add(event("a"))
        with pytest.raises(OutcomeUnknown):
            await journal.flush(leadership)
        journal.add(event("b"))
        await journal.flush(leadership)
        await journal.flush(leadership)

    asyncio.run(run())
    first, again, rest = deaf.taken
    assert again == first
    assert rest != first
