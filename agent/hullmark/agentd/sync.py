"""The agent's side of the sync: a held poll that wakes, a short request that brings orders."""

from __future__ import annotations

import random
import threading
import time
from typing import Callable

from hullmark import log
from hullmark.agentd import enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Link
from hullmark.agentd.problems import Problems
from hullmark.errors import BrokenState, Forbidden, HullmarkError, MasterUnavailable
from hullmark.model.orders import Task
from hullmark.model.protocol import (
    ORDERS_PATH,
    POLL_PATH,
    OrdersAnswer,
    PollAnswer,
    PollRequest,
)

RETRY_S = (0.5, 15.0)
ORDERS_TIMEOUT_S = 10.0
CLOCK_TOLERANCE_S = 60.0
"""A clock that is further from the leader's makes logs and certificates unreliable."""


class Sync:
    """`accepted` is called when orders were; `resend` when a full report is wanted; `task` for each."""

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        problems: Problems,
        enrolled: Enrolment,
        *,
        run: str,
        hold_s: float,
        accepted: Callable[[], None],
        resend: Callable[[], None],
        task: Callable[[Task], None],
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._problems = problems
        self._enrolled = enrolled
        self._run_id = run
        self._hold_s = hold_s
        self._accepted = accepted
        self._resend = resend
        self._task = task
        self._tasks_seen = 0
        self._refused = ""
        self._log = log.get("sync")

    def run(self, stopping: threading.Event) -> None:
        wait_s = RETRY_S[0]
        while not stopping.is_set():
            try:
                enrolment.check_validity(self._enrolled, time.time())
                self._problems.clear("certificate.invalid")
                healthy = self.once()
                wait_s = RETRY_S[0] if healthy else min(wait_s * 2, RETRY_S[1])
                if healthy:
                    continue
            except BrokenState as error:
                self._problems.set_error("certificate.invalid", error)
                raise  # the supervisor reads the enrolment anew
            except Forbidden as error:
                self._problems.set(
                    "host.refused", error.message, enrolment.AGAIN.format(host=self._enrolled.host)
                )
                wait_s = RETRY_S[1]
            except MasterUnavailable as error:
                self._problems.set_error("master.unavailable", error)
                wait_s = min(wait_s * 2, RETRY_S[1])
            except HullmarkError as error:
                self._problems.set_error("master.unavailable", error)
                wait_s = RETRY_S[1]
            # Spread out, so that a thousand agents do not come back at once.
            stopping.wait(wait_s * random.uniform(0.5, 1.0))

    def once(self) -> bool:
        """One poll and what it leads to. False where the leader was not believed, or its orders
        could not be accepted, so that asking again at once would lead to the same."""
        held = self._ledger.held
        known = self._ledger.orders
        revision = held.revision if known is not None and known.epoch == held.epoch else 0
        request = PollRequest(self._run_id, held.epoch, revision, self._tasks_seen, self._hold_s)
        answer, _ = self._link.call(POLL_PATH, request, PollAnswer, self._hold_s + 10.0)
        self._problems.clear("master.unavailable", "host.refused")
        self._check_clock(answer.now)
        why = self._ledger.seen(answer.epoch, answer.leader)
        if why:
            if why != self._refused:
                self._ledger.refuse(answer.epoch, answer.leader, why)
                self._refused = why
            self._link.next_master()
            return False
        self._refused = ""
        if answer.resend:
            self._resend()
        for task in answer.tasks:
            self._task(task)
        self._tasks_seen = answer.tasks_last
        return self.fetch() if answer.changed else True

    def fetch(self) -> bool:
        """Ask for orders; drop an answer that took longer than its lease."""
        answer, begin = self._link.call(ORDERS_PATH, {}, OrdersAnswer, ORDERS_TIMEOUT_S)
        if time.monotonic() - begin > answer.lease_s:
            self._log.warning(
                "orders dropped: they came later than their lease", lease_s=answer.lease_s
            )
            return False
        held = self._ledger.accept(answer.orders)
        if held:
            self._accepted()
        return held

    def _check_clock(self, leader_now: float) -> None:
        off_s = time.time() - leader_now
        if abs(off_s) > CLOCK_TOLERANCE_S:
            self._problems.set(
                "clock.wrong",
                f"this host's clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} "
                "the leader's",
                "set it: check chronyc tracking or timedatectl",
            )
        elif abs(off_s) < CLOCK_TOLERANCE_S / 2:
            self._problems.clear("clock.wrong")
