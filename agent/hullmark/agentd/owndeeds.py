"""What this agent does to its engine itself, remembered for as long as an engine may tell of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hullmark.core.byhand import Sign
from hullmark.core.owndeeds import Own, covers
from hullmark.engine.protocol import Deed, Passage
from hullmark.errors import Unavailable
from hullmark.model.audit import Record
from hullmark.model.moments import NS_PER_S, nanoseconds

KEPT_S = 60.0
"""How long one that has ended is remembered: an event is looked at within half of it."""
NO_ANSWER_S = 300.0
"""How long an engine that gave no answer may still do it."""
MOST = 2000


class _Doing:
    """`used`: an event of it was seen; a command makes one."""

    def __init__(self, own: Own) -> None:
        self.own = own
        self.used = False


class OwnDeeds:
    """May be used from any thread. `wall` is seconds since 1970, as engines tell the time."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._deeds: list[_Doing] = []
        self._inherited: set[int] = set()

    @contextmanager
    def doing(self, deed: Deed, passage: Passage) -> Iterator[None]:
        made = _Doing(Own(deed.kind.value, deed.name, deed.container_id, self._wall()))
        self._add(made)
        grace_s = 0.0
        try:
            yield
        except Unavailable:
            grace_s = NO_ANSWER_S
            raise
        finally:
            with self._lock:
                made.own = replace(
                    made.own,
                    until=self._wall() + grace_s,
                    container_id=passage.container_id or made.own.container_id,
                    exec_id=passage.fields.get("exec_id", ""),
                )

    def inherit(self, intents: Iterable[Record]) -> None:
        """What an earlier process left in the middle: the engine may be at it still."""
        for one in intents:
            if one.seq in self._inherited:
                continue
            self._inherited.add(one.seq)
            entry, began = one.entry, (nanoseconds(one.at) or 0) / NS_PER_S
            name = entry.fields.get("name", entry.subject)
            until = self._wall() + NO_ANSWER_S
            self._add(_Doing(Own(entry.kind, name, entry.container_id, began, until)))

    def _add(self, made: _Doing) -> None:
        oldest = self._wall() - KEPT_S
        with self._lock:
            kept = [one for one in self._deeds if one.own.until > oldest]
            self._deeds = [*kept[-MOST:], made]

    def claim(self, sign: Sign) -> bool:
        """Whether this event comes of one of them. A command of our own accounts for one event of its container."""
        with self._lock:
            for one in self._deeds:
                once = one.own.kind == "container.exec"
                if not (once and one.used) and covers(one.own, sign):
                    one.used = True
                    return True
        return False
