"""What operators ask of a pair of masters: marks, which show that writes are accepted, and forgetting a master."""

from __future__ import annotations

from collections.abc import Sequence

from hullmark.errors import InvalidInput, NotFound, Refused
from hullmark.masterd.events import Tell
from hullmark.masterd.repeats import Repeats, asked, id_problems
from hullmark.masterd.term import Term
from hullmark.masterd.view import decode, encode
from hullmark.model.change import Change
from hullmark.model.drill import ForgetAnswer, ForgetRequest, MarkAnswer, MarkRecord, MarkRequest
from hullmark.model.names import MARK_KEY, MASTERS
from hullmark.model.redundancy import MasterView
from hullmark.store.protocol import Compare, Delete, Put


class Operating:
    def __init__(self, term: Term, tell: Tell) -> None:
        self._term = term
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)

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

    async def forget(
        self, request: ForgetRequest, change: Change, masters: Sequence[MasterView]
    ) -> ForgetAnswer:
        """Raises NotFound, Refused for a master that is there, and what `Repeats.commit` does.

        `masters` is how they stand now: what the store says of them later is compared with now, not with when its turn comes."""
        seen = self._term.view.modified(MASTERS + request.master)
        return await self._term.whole(self._forget(request, change, masters, seen))

    async def _forget(
        self, request: ForgetRequest, change: Change, masters: Sequence[MasterView], seen: int
    ) -> ForgetAnswer:
        asked_for = asked("forget", request.master, request)
        known = self._repeats.answer(ForgetAnswer, asked_for)
        if known is not None:
            return known
        view = next((view for view in masters if view.name == request.master), None)
        if view is None:
            raise NotFound(f"there is no master {request.master[:64]}", remedy="hullmark status")
        if view.role != "absent":
            raise Refused(
                f"master {view.name} is there, and would come back: it is {view.role}",
                remedy="stop it first, and remove the package there",
            )
        # One that wrote of itself meanwhile is not forgotten.
        key = MASTERS + view.name
        answer = await self._repeats.commit(
            asked_for,
            ForgetAnswer(view.name),
            change.at,
            [Compare(key, seen)],
            [Delete(key)],
            subject=f"master {view.name}",
            remedy="ask again",
        )
        self._tell("master.forgotten", f"master {view.name}", change, {})
        return answer

    async def flush(self) -> None:
        """Write the events that are pending, before this process ends without warning."""
        await self._term.journal.flush(self._term.leadership)
