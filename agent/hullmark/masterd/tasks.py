"""The hub of tasks: questions to agents, and the answers that they stream back.

    person's request            hub                              agent
      ask(host, "logs") ->  task, numbered  ->  in the answer to its poll
      take(...)         <-  channel, bounded <-  POST /agent/v1/tasks/ID, lines as they come
      close()           ->  the agent's connection is closed, so that it stops

Tasks live in memory only: whoever asked is gone when the master is. They are numbered from above every number
of an earlier term, so that an agent's `tasks_seen` can't hide one. A new life of an agent (its `tasks_seen` is 0)
gets all open tasks again, for it has forgotten them.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark.errors import NotFound, StaleEpoch
from hullmark.masterd.channel import Channel
from hullmark.masterd.counter import Counter
from hullmark.model.orders import Task


class Mark(enum.Enum):
    """What a question's channel holds beside lines."""

    BEGUN = "begun"
    ENDED = "ended"
    BROKEN = "broken"


@dataclass(frozen=True)
class Piece:
    """One line of an answer, or a mark."""

    host_id: str
    line: bytes = b""
    mark: Optional[Mark] = None


class Question:
    """A task that is open. `lines` may be shared by the questions of one reader."""

    def __init__(self, hub: Hub, host_id: str, number: int, task: Task, lines: Channel[Piece]):
        self._hub = hub
        self._hang_up: Optional[Callable[[], None]] = None
        self.host_id = host_id
        self.number = number
        self.task = task
        self.lines = lines

    def begin(self, hang_up: Callable[[], None]) -> None:
        """An agent starts to answer; `hang_up` ends its connection. A second one replaces the first."""
        self._end_connection()
        self._hang_up = hang_up
        self.lines.mark(Piece(self.host_id, mark=Mark.BEGUN))

    async def line(self, line: bytes) -> bool:
        """False: nobody listens any more."""
        return await self.lines.put(Piece(self.host_id, line))

    def end(self, mark: Mark) -> None:
        """The agent is done, or its connection broke."""
        self._hang_up = None
        self.lines.mark(Piece(self.host_id, mark=mark))

    def close(self) -> None:
        """Nobody wants the rest."""
        self._hub.forget(self)
        self._end_connection()

    def _end_connection(self) -> None:
        hang_up, self._hang_up = self._hang_up, None
        if hang_up is not None:
            hang_up()


class Hub:
    """`first` is the number before the first task's."""

    def __init__(self, first: int = 0) -> None:
        self._last = first
        self._open: dict[str, Question] = {}
        self._added: dict[str, Counter] = {}
        self._readers: set[Channel[Piece]] = set()
        self._stopped = False

    def reader(self, limit: int) -> Channel[Piece]:
        """A channel for the answers to one reader's questions. It ends with the master, or by `leave`."""
        lines: Channel[Piece] = Channel(limit)
        self._readers.add(lines)
        return lines

    def leave(self, lines: Channel[Piece]) -> None:
        self._readers.discard(lines)
        lines.close()

    def ask(
        self, host_id: str, kind: str, arguments: Mapping[str, str], lines: Channel[Piece]
    ) -> Question:
        """Open a task for a host. Raises StaleEpoch where the master is stopping."""
        if self._stopped:
            raise StaleEpoch("this master is stopping", remedy="ask again in a moment")
        self._last += 1
        task = Task(uuid.uuid4().hex, kind, arguments)
        question = Question(self, host_id, self._last, task, lines)
        self._open[task.task_id] = question
        self._counter(host_id).bump()
        return question

    def since(self, host_id: str, seen: int) -> tuple[tuple[Task, ...], int]:
        """The host's open tasks above a number, and the number to pass next time."""
        after = 0 if seen > self._last else seen
        fresh = [
            item for item in self._open.values() if item.host_id == host_id and item.number > after
        ]
        return tuple(item.task for item in fresh), self._last

    async def wait(self, host_id: str, seen: int, hold_s: float) -> None:
        """Until the host has a task above this number."""
        counter = self._counter(host_id)
        value = counter.value
        if not self.since(host_id, seen)[0]:
            await counter.passed(value, hold_s)

    def question(self, host_id: str, task_id: str) -> Question:
        """Raises NotFound for a task that is not (or no longer) asked of this host."""
        found = self._open.get(task_id)
        if found is None or found.host_id != host_id:
            raise NotFound(f"nobody waits for task {task_id[:64]}")
        return found

    def forget(self, question: Question) -> None:
        self._open.pop(question.task.task_id, None)

    def rise(self, first: int) -> None:
        """A term begins: its tasks are numbered from above this."""
        self._last = max(self._last, first)

    def stop(self) -> None:
        """The master ends: so does every answer."""
        self._stopped = True
        self.drop()

    def drop(self) -> None:
        """This master leads no more: every answer ends."""
        for lines in list(self._readers):
            self.leave(lines)
        for question in list(self._open.values()):
            question.close()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _counter(self, host_id: str) -> Counter:
        return self._added.setdefault(host_id, Counter())
