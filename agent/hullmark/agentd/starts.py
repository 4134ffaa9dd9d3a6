"""Containers that are being started, and which of them must not be at the same time.

A container that runs as root may put a link in place of any folder that it may write in, whoever owns that. So no other is led
through such a folder: while one writes there, the way is loose (`sights`); and as long as the engine makes the mounts of one, none
is started that could change their ways meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from hullmark.errors import Conflict
from hullmark.host.mounts import Place

WAIT_S = 20.0
"""How long a start waits for others. Engines mostly need less than a second for one."""


@dataclass(frozen=True)
class Flight:
    """`through`: the folders by which the container's mounts are reached; `writes`: what it may write to."""

    through: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()

    def meets(self, other: Flight) -> bool:
        return self.changes(other) or other.changes(self)

    def changes(self, other: Flight) -> bool:
        return is_written(other.through, self.writes)


def is_written(folders: Iterable[Place], writes: Iterable[Place]) -> bool:
    written = tuple(writes)
    return any(one.has(folder) for folder in folders for one in written)


class Starts:
    """May be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: dict[str, Flight] = {}

    def begin(self, container_id: str, flight: Flight) -> None:
        """To be called before it is judged, and `end` in any case. Waits for those that could change its ways, and whose ways it could
        change. Raises Conflict where that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(container_id, flight), WAIT_S):
                raise Conflict(
                    f"container {container_id[:12]} waits for another that is being started, and is mounted where this one writes, "
                    "or writes where this one is mounted"
                )
            self._under_way[container_id] = flight

    def end(self, container_id: str) -> None:
        with self._changed:
            self._under_way.pop(container_id, None)
            self._changed.notify_all()

    def _is_free(self, container_id: str, flight: Flight) -> bool:
        return container_id not in self._under_way and not any(
            flight.meets(other) for other in self._under_way.values()
        )
