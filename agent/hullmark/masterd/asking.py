"""One question put to several hosts' agents at once, each answered by one line; who does not answer soon is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from hullmark.errors import StaleEpoch
from hullmark.masterd.desk import Desk
from hullmark.masterd.tasks import Mark

Questions = Mapping[str, Mapping[str, str]]
"""The task's arguments, by host id."""


def _never(_line: bytes) -> bool:
    return False


async def ask(
    desk: Desk,
    kind: str,
    questions: Questions,
    within_s: float,
    enough: Callable[[bytes], bool] = _never,
) -> Mapping[str, bytes]:
    """The first line of each host's answer, by host id; no more once one is `enough`. Raises StaleEpoch where this master stops meanwhile."""
    lines = desk.hub.reader(2 * len(questions))
    asked = {
        host_id: desk.hub.ask(host_id, kind, arguments, lines)
        for host_id, arguments in questions.items()
    }
    until, found = desk.clock() + within_s, dict[str, bytes]()
    open_ = set(asked)
    try:
        while open_ and desk.clock() < until:
            piece = await lines.take(until - desk.clock())
            if desk.hub.stopped:
                raise StaleEpoch("this master is stopping", remedy="ask again in a moment")
            if piece is None or piece.mark is Mark.BEGUN:
                continue
            if piece.mark is None:
                found[piece.host_id] = piece.line
                if enough(piece.line):
                    break
            open_.discard(piece.host_id)
        return found
    finally:
        for question in asked.values():
            question.close()
        desk.hub.leave(lines)
