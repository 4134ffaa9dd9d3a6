"""Reports to the leader: changes, not repeats, with a digest of the whole."""

from __future__ import annotations

import random
import threading
import time
from typing import Optional

from hullmark import log
from hullmark.agentd.board import Board
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Link
from hullmark.agentd.outbox import Outbox
from hullmark.core.changes import changes
from hullmark.errors import HullmarkError
from hullmark.model.observed import HostState
from hullmark.model.protocol import REPORT_PATH, ReportAnswer

RETRY_S = (0.5, 15.0)
REPORT_TIMEOUT_S = 20.0
GAP_S = 0.02
"""Least time between two reports: a burst of changes goes out in a few, a single one at once."""


class Reporter:
    """`resend` may be called from any thread; `run` is one thread's."""

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
        self._log = log.get("report")

    def resend(self) -> None:
        """The leader wants everything."""
        self._sent = None
        self._board.nudge()

    def run(self, stopping: threading.Event) -> None:
        version, wait_s = -1, RETRY_S[0]
        while not stopping.is_set():
            version = self._board.wait(version, 1.0)
            try:
                sent = self.once()
                wait_s = RETRY_S[0]
                stopping.wait(GAP_S if sent else 0)
            except HullmarkError as error:
                # Whether it arrived is unknown, so the next one is complete.
                self._sent = None
                self._log.info("not reported", why=error.message)
                stopping.wait(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, RETRY_S[1])

    def once(self) -> bool:
        """Send what changed, if something did."""
        state, events = self._board.state, self._outbox.peek()
        before = self._sent
        if state is None or (state == before and not events):
            return False
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
        self._outbox.drop(events)
        self._log.debug("reported", full=report.full, took_s=round(time.monotonic() - begin, 3))
        if answer.resend and report.full:
            raise HullmarkError("the leader's picture differs from a full report")
        self._sent = None if answer.resend else state
        if answer.resend:
            self._board.nudge()
        return True
