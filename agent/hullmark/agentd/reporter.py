"""Reports to the leader: changes, not repeats, with a digest of the whole."""

from __future__ import annotations

import threading
import time
from typing import Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.board import Board
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Link
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.waits import Waits
from hullmark.core.changes import changes
from hullmark.errors import HullmarkError, Refused, StaleEpoch
from hullmark.model.observed import HostState
from hullmark.model.protocol import REPORT_PATH, ReportAnswer

_log = log.get("report")

RETRY_S = (0.2, 3.0)
REPORT_TIMEOUT_S = 20.0
LOOK_S = 30.0
"""How long at most a state or an event waits that nobody announced."""
GAP_S = 0.02
"""Least time between two reports: a burst of changes goes out in a few, a single one at once."""


class Reporter:
    """`resend` may be called from any thread; `run` and `once` are one thread's."""

    def __init__(
        self, link: Link, ledger: Ledger, board: Board, outbox: Outbox, *, run: str
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._board = board
        self._outbox = outbox
        self._run_id = run
        self._sequence = 0
        self._sent: Optional[HostState] = None
        self._whole = threading.Event()
        self._told = log.Seldom()

    def resend(self) -> None:
        """The leader wants everything. Asked for during a report, it is the next one that is whole."""
        self._whole.set()
        self._board.nudge()

    def run(self, stopping: threading.Event) -> None:
        version, waits = -1, Waits(*RETRY_S)
        while not stopping.is_set():
            pulse.within(LOOK_S)
            version = self._board.wait(version, LOOK_S)
            try:
                if self.once():
                    stopping.wait(GAP_S)
                waits.reset()
                self._told.clear()
            except HullmarkError as error:
                version = -1
                if self._told.is_due(error.kind):
                    _log.info("not reported", why=error.message)
                stopping.wait(waits.next())

    def once(self) -> bool:
        """Send what changed, if something did. What it raises leaves open whether the report
        arrived, so that the next one is whole."""
        if self._whole.is_set():
            self._whole.clear()
            self._sent = None
        before, state, events = self._sent, self._board.state, self._outbox.peek()
        if state is None or (state == before and not events):
            return False
        self._sent = None
        self._sequence += 1
        held = self._ledger.held
        report = changes(
            before,
            state,
            host_id=held.host_id,
            run=self._run_id,
            sequence=self._sequence,
            epoch=held.epoch,
            events=events,
        )
        begin = time.monotonic()
        answer, _ = self._link.call(REPORT_PATH, report, ReportAnswer, REPORT_TIMEOUT_S)
        why = self._ledger.doubts(answer.epoch, answer.leader)
        if why:
            raise StaleEpoch(f"the report went to another leader: {why}")
        self._outbox.drop(events)
        _log.debug("reported", full=report.full, took_s=round(time.monotonic() - begin, 3))
        if answer.resend:
            if report.full:
                raise Refused("the leader's picture differs from a whole report")
            self._board.nudge()
            return True
        self._sent = state
        return True
