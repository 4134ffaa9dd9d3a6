"""Marks: writes that change nothing but a key of their own, by which somebody sees that this leader's writes are accepted."""

from __future__ import annotations

from hullmark.errors import InvalidInput
from hullmark.masterd.repeats import id_problems
from hullmark.masterd.term import Term
from hullmark.masterd.view import decode, encode
from hullmark.model.drill import MarkAnswer, MarkRecord, MarkRequest
from hullmark.model.names import MARK_KEY
from hullmark.model.records import Change
from hullmark.store.protocol import Put


class Marking:
    def __init__(self, term: Term) -> None:
        self._term = term

    async def mark(self, request: MarkRequest, change: Change) -> MarkAnswer:
        """One fenced transaction. Raises InvalidInput for what is no mark, and what `Leadership.commit` does."""
        problems = list(id_problems(request.mark, "mark"))
        if problems:
            raise InvalidInput(problems)
        return await self._term.whole(self._mark(request.mark, change))

    async def _mark(self, mark: str, change: Change) -> MarkAnswer:
        leadership = self._term.leadership
        entry = await leadership.read(MARK_KEY)
        before = "" if entry is None else decode(MarkRecord, MARK_KEY, entry.value).mark
        record = MarkRecord(mark, change.by, change.at)
        done = await leadership.commit([], [Put(MARK_KEY, encode(record))])
        leader = leadership.record
        return MarkAnswer(leader.master, str(leader.epoch), done.revision, before)

    async def flush(self) -> None:
        """Write the events that are pending, before this process ends without warning."""
        await self._term.journal.flush(self._term.leadership)
