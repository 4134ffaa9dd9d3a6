"""Moves of slots by an operator: each is one transaction, and safe to ask for again (`repeats`)."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.core import moves
from hullmark.masterd.events import Tell
from hullmark.masterd.repeats import Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.move import MoveAnswer, MoveRequest
from hullmark.model.names import APPS, HOMES
from hullmark.store.protocol import Compare, Delete, Put, Write

SLOTS_TOLD = 20
"""In one event: the app's homes have all of them."""


class Moving:
    """Kept apart from the scheduling loop, which writes homes too."""

    def __init__(self, term: Term, tell: Tell) -> None:
        self._term = term
        self._repeats = Repeats(term.leadership, term.view)
        self._tell = tell

    async def move(self, name: str, request: MoveRequest, change: Change) -> MoveAnswer:
        """Raises what `core.moves.move` does, NotFound for an app that there isn't, Conflict for one that goes."""
        return await self._term.whole(self._move(name, request, change))

    async def _move(self, name: str, request: MoveRequest, change: Change) -> MoveAnswer:
        asked_for = asked("move", name, request)
        view = self._term.view
        async with self._term.one_at_a_time:
            known = self._repeats.answer(MoveAnswer, asked_for)
            if known is not None:
                return known
            move = moves.move(self._term.snapshot(), view.living_app(name), request, change)
            app_key, key = APPS + name, HOMES + name
            write: Write = Put(key, encode(move.homes)) if move.homes.slots else Delete(key)
            answer = await self._repeats.commit(
                asked_for,
                MoveAnswer(name, move.slots),
                change.at,
                [Compare(each, view.modified(each)) for each in (app_key, key)],
                [write],
                subject=f"app {name}",
                remedy="move fewer at a time: APP/SERVICE.SLOT",
            )
        self._tell("app.moved", name, change, _told(request, answer))
        return answer


def _told(request: MoveRequest, answer: MoveAnswer) -> Mapping[str, str]:
    names = [moved.name.partition("/")[2] for moved in answer.slots]
    if len(names) > SLOTS_TOLD:
        names[SLOTS_TOLD:] = [f"and {len(names) - SLOTS_TOLD} more"]
    found = {
        "slots": " ".join(names),
        "leaves": " ".join(sorted({moved.leaves for moved in answer.slots})),
        "to": request.to or "any other host",
    }
    if all(moved.withdrawn for moved in answer.slots):
        return {"slots": found["slots"], "stays": request.to}
    data = sorted({data for moved in answer.slots for data in moved.data})
    return {**found, "left behind": ", ".join(data)} if data else found
