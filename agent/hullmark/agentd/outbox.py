"""Events on their way to the leader: kept until a report with them was answered."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from typing import Callable

from hullmark.model.event import Event

CAPACITY = 1000
"""Without a leader for long the oldest are dropped: events are news, not the record."""


class Outbox:
    """May be used from any thread."""

    def __init__(self, origin: str, added: Callable[[], None] = lambda: None) -> None:
        self._origin = origin
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=CAPACITY)
        self.added = added

    def add(self, kind: str, subject: str, message: str = "", **fields: str) -> None:
        event = Event(
            event_id=uuid.uuid4().hex,
            at=time.time(),
            kind=kind,
            subject=subject,
            origin=self._origin,
            message=message,
            fields=fields,
        )
        with self._lock:
            self._events.append(event)
        self.added()

    def peek(self, most: int = 200) -> tuple[Event, ...]:
        with self._lock:
            return tuple(event for event, _ in zip(self._events, range(most)))

    def drop(self, sent: tuple[Event, ...]) -> None:
        """They arrived."""
        gone = {event.event_id for event in sent}
        with self._lock:
            kept = [event for event in self._events if event.event_id not in gone]
            self._events = deque(kept, maxlen=CAPACITY)
