"""Questions of the leader, each answered once in a thread of its own: logs, what an image reference means, what this host's policy
says of a bundle, what its proxy carries, and commands to be run in containers."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from typing import Callable, Optional, Protocol

from hullmark import log
from hullmark.agentd import foretelling
from hullmark.agentd.link import Link
from hullmark.agentd.logs import LogQuestion, Logs
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError, InvalidInput, Problem
from hullmark.model.execution import CLAIM, ExecRecord
from hullmark.model.foresight import PolicyAnswer
from hullmark.model.orders import Task
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.proxy import Traffic
from hullmark.model.wire import canonical, to_wire

_log = log.get("tasks")

AT_ONCE = 16
"""Tasks that may be answered at the same time; one more is told to come again."""
REMEMBERED = 1000


Counts = Callable[[], Traffic]
"""What this host's proxy carries. Raises HullmarkErrors where that can't be told."""


class Executes(Protocol):
    """Who runs commands in containers, or refuses to."""

    def lines(self, given: Mapping[str, str]) -> Iterator[bytes]: ...


class Tasks:
    """`take` may be called from any thread and returns at once."""

    def __init__(
        self,
        link: Link,
        engine: Engine,
        logs: Logs,
        *,
        executing: Optional[Executes] = None,
        foretell: Optional[foretelling.Ask] = None,
        counts: Optional[Counts] = None,
        start: Optional[Callable[[Callable[[], None]], None]] = None,
    ) -> None:
        self._link = link
        self._engine = engine
        self._logs = logs
        self._executing = executing
        self._foretell = foretell
        self._counts = counts
        self._start = start or _in_a_thread
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._running = 0

    def take(self, task: Task) -> None:
        with self._lock:
            if task.task_id in self._known:
                return
            self._known[task.task_id] = None
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            room = self._running < AT_ONCE
            self._running += 1
        self._start(lambda: self._answer(task, room))

    def _answer(self, task: Task, room: bool) -> None:
        lines = self._lines(task, room)
        try:
            if task.kind == "exec":
                # Nothing is run for somebody who has stopped waiting.
                self._link.send_task(task.task_id, iter([CLAIM + b"\n"]))
            self._link.send_task(task.task_id, lines)
        except HullmarkError as error:
            # Nobody listens any more, or the leader is gone: with it, so is the one who asked.
            _log.debug("not answered", task=task.task_id, why=error.message)
        finally:
            lines.close()
            with self._lock:
                self._running -= 1

    def _lines(self, task: Task, room: bool) -> Generator[bytes, None, None]:
        if task.kind == "resolve":
            yield self._resolved(task, room)
        elif task.kind == "logs" and room:
            yield from self._log_lines(task)
        elif task.kind == "logs":
            yield self._logs.remark(f"this host answers {AT_ONCE} questions already; ask again")
        elif task.kind == "judge" and self._foretell is not None:
            yield self._judged(task, room, self._foretell)
        elif task.kind == "traffic":
            yield (
                canonical(to_wire(_traffic(task.arguments, self._counts if room else None))) + b"\n"
            )
        elif task.kind == "exec":
            yield from self._executed(task, room)
        else:
            yield self._logs.remark(f"this agent does not know tasks of kind {task.kind!r}")

    def _judged(self, task: Task, room: bool, ask: foretelling.Ask) -> bytes:
        busy = PolicyAnswer(error=f"this host answers {AT_ONCE} questions already")
        answer = foretelling.answer(task.arguments, ask) if room else busy
        return canonical(to_wire(answer)) + b"\n"

    def _executed(self, task: Task, room: bool) -> Iterator[bytes]:
        if self._executing is None or not room:
            why = "this host answers too many questions already; ask again"
            yield canonical(to_wire(ExecRecord(kind="Conflict", error=why))) + b"\n"
        else:
            yield from self._executing.lines(task.arguments)

    def _log_lines(self, task: Task) -> Iterator[bytes]:
        try:
            yield from self._logs.lines(LogQuestion.parse(task.arguments))
        except HullmarkError as error:
            yield self._logs.remark(error.message)

    def _resolved(self, task: Task, room: bool) -> bytes:
        given = task.arguments
        try:
            if not room:
                raise InvalidInput([Problem(f"this host answers {AT_ONCE} questions already")])
            found = self._engine.resolve(
                given.get("image", ""),
                given.get("platform", ""),
                given.get("pull_policy") or "missing",
            )
            answer = ResolveAnswer(found.digest, found.local_id, found.note, exposed=found.exposed)
        except HullmarkError as error:
            answer = ResolveAnswer(error=error.message, remedy=error.remedy)
        return canonical(to_wire(answer)) + b"\n"


def _traffic(given: Mapping[str, str], counts: Optional[Counts]) -> Traffic:
    """Of one service, of one app's, or of all. None: it can't be asked now."""
    if counts is None:
        return Traffic(why="this host can't ask its proxy now")
    try:
        found = counts()
    except HullmarkError as error:
        return Traffic(why=error.message)
    app, service = given.get("app", ""), given.get("service", "")
    ports = tuple(
        one
        for one in found.ports
        if app in ("", one.name.app) and service in ("", one.name.service)
    )
    return dataclasses.replace(found, ports=ports)


def _in_a_thread(answer: Callable[[], None]) -> None:
    threading.Thread(target=answer, name="task", daemon=True).start()
