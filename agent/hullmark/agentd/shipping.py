"""The host's audit log on its way to the leader: the log is the outbox, and the leader says how far it has it on its disk.

A leader that is new has a cursor of its own, and is sent what it lacks. One of an older version knows nothing of this, and is left alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.heads import Sources
from hullmark.agentd.link import Link
from hullmark.agentd.problems import Problems
from hullmark.agentd.waits import Waits
from hullmark.core.shipping import LINES_MOST, shipment_of
from hullmark.errors import AuditUnavailable, HullmarkError, NotFound
from hullmark.host.auditfile import AuditFile
from hullmark.model.protocol import AUDIT_PATH, Received, Shipment

LOOK_S = 1.0
TIMEOUT_S = 20.0
RETRY_S = (1.0, 15.0)
OLD_S = 600.0
"""How soon a leader of an older version is asked again."""
NOT_TAKEN = "audit.not_taken"
LOOK_INTO_IT = "docs/operations/audit.md says how to find out what was done, and how to go on"

_log = log.get("shipping")


class Shipping:
    """`run` and `turn` are one thread's."""

    def __init__(
        self,
        link: Link,
        problems: Problems,
        sources: Sources,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._problems = problems
        self._sources = sources
        self._clock = clock
        self._cursor = -1
        self._led_by = ""
        self._not_before = 0.0
        self._waits = Waits(*RETRY_S)
        self._told = log.Seldom()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            more = self.turn()
            pulse.within(LOOK_S)
            if not more:
                stopping.wait(LOOK_S)

    def turn(self) -> bool:
        """One shipment, where there is something that the leader lacks. Whether there may be more."""
        leader = self._sources.leader()
        if leader != self._led_by:
            self._led_by, self._cursor, self._not_before = leader, -1, 0.0
        try:
            file = self._sources.file()
        except AuditUnavailable:
            return False  # others say what is wrong
        behind = self._cursor < file.head.seq
        if not leader or not behind or self._clock() < self._not_before:
            return False
        try:
            return self._ship(file)
        except NotFound:
            self._not_before = self._clock() + OLD_S
        except HullmarkError as error:
            if self._told.is_due(error.kind):
                _log.info("records not sent", why=error.message)
            self._not_before = self._clock() + self._waits.next()
        return False

    def _ship(self, file: AuditFile) -> bool:
        name = file.head.log
        lines = [] if self._cursor < 0 else file.read(self._cursor + 1, LINES_MOST)
        if self._cursor >= 0 and not lines:
            return False
        shipment = shipment_of(name, lines) if lines else Shipment(name)
        answer, _ = self._link.call(AUDIT_PATH, shipment, Received, TIMEOUT_S)
        stuck = bool(answer.why) and answer.cursor <= self._cursor
        self._cursor = answer.cursor
        if answer.cursor > file.head.seq:
            ends = f"the log ends at {file.head.seq}"
            self._stuck(f"the leader has records up to number {answer.cursor}, and {ends}")
            return False
        if stuck:
            self._stuck(f"the leader takes no records: {answer.why}")
            return False
        self._told.clear()
        if lines or answer.cursor == file.head.seq:  # else it was only asked how far it is
            self._waits.reset()
            self._problems.clear(NOT_TAKEN)
        return True

    def _stuck(self, why: str) -> None:
        """It is asked again how far the leader is: somebody may have told it to take the log as it is."""
        self._problems.set(NOT_TAKEN, why, LOOK_INTO_IT)
        self._cursor = -1
        self._not_before = self._clock() + self._waits.next()
