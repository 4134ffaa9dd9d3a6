"""Commands that people run in containers: who asked is made known to the gate, and what is written is handed on as it comes.

    task -> is it ours to do? -> a thread runs it through the gate -> records for the leader

A command ends by itself, at its time limit, or when nobody listens any more; then its processes are killed. What it wrote is
kept nowhere.
"""

from __future__ import annotations

import base64
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from hullmark import log
from hullmark.agentd.asked import Asked, asking
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.observer import Observer
from hullmark.engine.protocol import Command, Container, ContainerState, Engine, Execution
from hullmark.errors import Conflict, HullmarkError, InvalidInput, NotFound, Problem
from hullmark.host.processes import kill_with_children
from hullmark.model import jsontext
from hullmark.model.audit import Actor
from hullmark.model.epoch import Epoch
from hullmark.model.execution import LIMIT_MOST_S, ExecRecord
from hullmark.model.orders import InstanceId
from hullmark.model.wire import canonical, to_wire

_log = log.get("exec")

HELD = 16
"""Parts of output between the command and who reads it: a slow reader holds the command up."""
LOOK_S = 1.0
REMEMBERED = 1000
NOBODY_LISTENS = "whoever asked went away"

Kill = Callable[[int, float], bool]


@dataclass(frozen=True)
class Wish:
    """What a task asks for."""

    instance: InstanceId
    command: Command
    limit_s: float
    epoch: Epoch
    asked: Asked

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Wish:
        """Raises InvalidInput."""
        try:
            words = jsontext.loads(given["command"])
            if not words or not all(isinstance(word, str) for word in words):
                raise ValueError("no words")
            instance = InstanceId(
                given["app"], given["service"], int(given["slot"]), int(given["generation"])
            )
            limit_s = min(float(given["limit_s"]), LIMIT_MOST_S)
            epoch = Epoch.parse(given["epoch"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput([Problem(f"not a command's task: {error}")]) from error
        command = Command(tuple(words), given.get("user", ""), given.get("working_dir", ""))
        asked = Asked(
            given.get("by", ""),
            Actor.HUMAN,
            given.get("origin", ""),
            given.get("reason", ""),
            given.get("ticket", ""),
            given.get("request_id", ""),
            str(epoch),
            instance.app,
        )
        return cls(instance, command, limit_s, epoch, asked)


class Executing:
    """`lines` may be called from any thread, once for each task."""

    def __init__(
        self, engine: Engine, observer: Observer, ledger: Ledger, kill: Kill = kill_with_children
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._ledger = ledger
        self._kill = kill
        self._lock = threading.Lock()
        self._done: OrderedDict[str, None] = OrderedDict()

    def lines(self, given: Mapping[str, str]) -> Iterator[bytes]:
        """JSON lines, empty ones while there is nothing to say: writing them shows whether somebody still listens."""
        try:
            wish = Wish.parse(given)
            container = self._container(wish)
            self._once(wish.asked.request_id)
        except HullmarkError as error:
            yield _encoded(_failed(error))
            return
        running = Running(wish.limit_s, self._kill)
        work = threading.Thread(
            target=self._run, args=(wish, container, running), name="exec", daemon=True
        )
        work.start()
        try:
            yield from running.lines()
        finally:
            running.end(NOBODY_LISTENS)

    def _container(self, wish: Wish) -> Container:
        """Raises StaleEpoch, NotFound, Conflict."""
        self._ledger.check(wish.epoch, wish.instance)
        for one in self._observer.seen():
            if one.instance == wish.instance:
                if one.state is not ContainerState.RUNNING:
                    raise Conflict(f"{wish.instance} does not run", remedy="hullmark ps")
                return one
        raise NotFound(f"{wish.instance} is not on this host", remedy="hullmark ps")

    def _once(self, request_id: str) -> None:
        """Raises Conflict for a request that came before: its answer was lost, and it may have been carried out."""
        with self._lock:
            if not request_id or request_id in self._done:
                raise Conflict(
                    "this command was run already; its outcome is in the audit log",
                    remedy="look there, then ask again if it is to be run once more",
                )
            self._done[request_id] = None
            while len(self._done) > REMEMBERED:
                self._done.popitem(last=False)

    def _run(self, wish: Wish, container: Container, running: Running) -> None:
        try:
            with asking(wish.asked):
                self._ledger.check(wish.epoch, wish.instance)
                code = self._engine.execute(container.container_id, wish.command, running)
            last = ExecRecord(exit_code=code)
        except HullmarkError as error:
            last = _failed(error)
        except Exception as error:  # said to whoever waits, and then it is the thread's end
            running.close(ExecRecord(kind="HullmarkError", error="the agent failed; see its log"))
            _log.error("a command failed", instance=wish.instance, why=repr(error))
            raise
        _log.info("command ended", instance=wish.instance, by=wish.asked.by, why=running.ended)
        running.close(last)


class Running:
    """One command: what it writes, and how it is ended. An Attendant of the thread that runs it."""

    def __init__(self, limit_s: float, kill: Kill, wall: Callable[[], float] = time.time) -> None:
        self._pieces: queue.Queue[Optional[bytes]] = queue.Queue(HELD)
        self._kill = kill
        self._began_at = wall()
        self._lock = threading.Lock()
        self._execution: Optional[Execution] = None
        self._why = ""
        self._over = False
        self._unheard = False
        self._alarm = threading.Timer(limit_s, self.end, [f"its time limit of {limit_s:g} s"])
        self._alarm.daemon = True
        self._alarm.start()

    @property
    def ended(self) -> str:
        return self._why

    def begun(self, execution: Execution) -> None:
        with self._lock:
            self._execution = execution
            late = bool(self._why)
        if late:
            self._stop(execution)

    def take(self, stream: str, data: bytes) -> None:
        text = base64.b64encode(data).decode("ascii")
        self._put(_encoded(ExecRecord(stream, text)))

    def _put(self, piece: Optional[bytes]) -> None:
        """Waits while whoever reads is slow; drops it once nobody reads."""
        while not self._unheard:
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=LOOK_S / 4)
                return

    def close(self, last: ExecRecord) -> None:
        """It has ended."""
        self._over = True
        self._alarm.cancel()
        self._put(_encoded(last))
        self._put(None)

    def lines(self) -> Iterator[bytes]:
        while True:
            try:
                piece = self._pieces.get(timeout=LOOK_S)
            except queue.Empty:
                yield b"\n"
                continue
            if piece is None:
                return
            yield piece

    def end(self, why: str) -> None:
        """Before its own time. The first reason stands; one that has ended is left alone."""
        self._unheard = self._unheard or why == NOBODY_LISTENS
        with self._lock:
            if self._over:
                return
            self._why = self._why or why
            execution = self._execution
        if execution is not None:
            self._stop(execution)

    def _stop(self, execution: Execution) -> None:
        """Where its processes can't be killed, nothing more of it is read, and the record says that it goes on."""
        doubt = ""
        try:
            pid = execution.pid()
            if pid and self._kill(pid, self._began_at):
                return
            doubt = ", and its process could not be killed" if pid else ""
        except HullmarkError:
            doubt = ", and whether its process ended is not known"
        if doubt not in self._why:
            self._why += doubt
        execution.cut()


def _failed(error: HullmarkError) -> ExecRecord:
    return ExecRecord(kind=type(error).__name__, error=error.message, remedy=error.remedy)


def _encoded(record: ExecRecord) -> bytes:
    return canonical(to_wire(record)) + b"\n"
