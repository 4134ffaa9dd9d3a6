"""The agent's side of the sync: a held poll that wakes, a short request that brings orders."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import enrolment, pulse
from hullmark.agentd.directorykeeper import DirectoryKeeper
from hullmark.agentd.hearing import Hearing, limit_s
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Elsewhere, Link
from hullmark.agentd.problems import MASTER_UNAVAILABLE, Problems
from hullmark.agentd.waits import Comeback, Waits
from hullmark.errors import BrokenState, Forbidden, HullmarkError, NotFound
from hullmark.model.directory import DirectoryAnswer
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.orders import Task
from hullmark.model.protocol import (
    DIRECTORY_PATH,
    ORDERS_PATH,
    POLL_PATH,
    OrdersAnswer,
    PollAnswer,
    PollRequest,
)

_log = log.get("sync")

REFUSED_RETRY_S = (2.0, 15.0)
"""First and longest wait where a person has to mend it. The first are short: an agent that was restarted while the network
was cut is taken for a copy until the connection of its former life counts as dead, and must be back before `lost_after`."""
FILES_RETRY_S = 2.0
"""How soon the host's own files are looked at again after they could not be used."""
ENROLL_AGAIN = enrolment.AGAIN.format(host="HOST")
HOLD_SPREAD = 0.25
"""The random part of a poll's hold."""
HOLD_SHARE, AMONG_HOLD_SHARE = 4, 8
"""What part of the silence that is left a poll is held at most, where something stops after it; with several masters, so that
another one can follow the leader in what is left then."""
LEAST_WAIT_S = 0.1
LATE_S, AMONG_LATE_S = 10.0, 4.0
"""How late a poll may be answered after its hold, with one master and with several."""
ORDERS_TIMEOUT_S = 10.0
CLOCK_TOLERANCE_S = 60.0
"""A clock that is further from the leader's makes logs and certificates unreliable."""

NONE_OF_THIS_EPOCH = -1
"""The revision that an agent names which has no orders of the leader's epoch: no leader's is so low."""


@dataclass(frozen=True)
class Listeners:
    """`accepted` is called when orders were, and when a leader is heard again; `resend` when a full report is wanted;
    `task` for each. `directory` is who takes directories; None: this host is to be told none."""

    accepted: Callable[[], None]
    resend: Callable[[], None]
    task: Callable[[Task], None]
    directory: Optional[DirectoryKeeper] = None


@dataclass(frozen=True)
class Clocks:
    """`steady` is the one that `Link.call` tells; `wall` is held against the leader's. `chance`, from 0 to 1, keeps
    hosts out of step."""

    steady: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float] = random.random


class Sync:
    """`run`, `turn` and `once` are one thread's."""

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        problems: Problems,
        hearing: Hearing,
        *,
        run: str,
        hold_s: float,
        tell: Listeners,
        clocks: Clocks = Clocks(time.monotonic, time.time),
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._problems = problems
        self._hearing = hearing
        self._directory = tell.directory
        self._run_id = run
        self._hold_s = hold_s
        self._tell = tell
        self._clock = clocks.steady
        self._wall = clocks.wall
        self._chance = clocks.chance
        self._tasks_seen = 0
        self._tasks_of: tuple[Epoch, str] = (NO_EPOCH, "")
        self._refused = ""
        self._comeback = Comeback(clocks.chance)
        self._refusals = Waits(*REFUSED_RETRY_S)

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            wait_s = self.turn()
            pulse.rest(stopping, wait_s)

    def turn(self) -> float:
        """One poll, and what went wrong as a problem. Returns how long to wait before the next: nothing after a
        good one, growing waits while it may soon go well, longer ones where only a person can mend it."""
        try:
            if self.once():
                self._refusals.reset()
                return 0.0
            return self._lost()
        except BrokenState as error:
            self._problems.set_error("certificate.invalid", error)
            return FILES_RETRY_S
        except (Forbidden, NotFound) as error:
            self._problems.clear("certificate.invalid", MASTER_UNAVAILABLE)
            self._problems.set("host.refused", error.message, error.remedy or ENROLL_AGAIN)
            return self._refusals.next()
        except HullmarkError as error:
            self._problems.clear("certificate.invalid")
            self._problems.set_error(MASTER_UNAVAILABLE, error)
            return self._lost(named=isinstance(error, Elsewhere))

    def _lost(self, *, named: bool = False) -> float:
        """Seconds until the next poll. Where something stops soon without a leader, others have to wait for this host."""
        wait_s = self._comeback.lost(several=self._several(), named=named)
        left_s = self._left_s()
        return min(wait_s, max(left_s / HOLD_SHARE, LEAST_WAIT_S)) if left_s else wait_s

    def _several(self) -> bool:
        return self._link.number > 1

    def once(self) -> bool:
        """One poll and what it leads to. False where the leader was not believed, or its orders
        could not be accepted, so that asking again at once would lead to the same."""
        request = self._request()
        sent_at = self._hearing.now()
        timeout_s = request.hold_s + self._late_s()
        answer, _ = self._link.call(POLL_PATH, request, PollAnswer, timeout_s)
        if self._ledger.closed:
            return False
        self._problems.clear(MASTER_UNAVAILABLE, "host.refused", "certificate.invalid")
        self._check_clock(answer.now)
        why = self._ledger.seen(answer.epoch, answer.leader, answer.former, answer.proof)
        if why:
            self._record_refusal(answer, why)
            self._link.next_master()
            return False
        self._refused = ""
        self._link.learn(answer.masters)
        if answer.resend:
            self._tell.resend()
        for task in answer.tasks:
            self._tell.task(task)
        self._tasks_seen, self._tasks_of = answer.tasks_last, (answer.epoch, answer.leader)
        if answer.changed:
            if not self.fetch():
                return False
        else:
            self._problems.clear("order.refused")
        self._heard(sent_at)
        self._comeback.found(answer.spread_s)
        return not answer.directory_changed or self.fetch_directory()

    def _heard(self, sent_at: float) -> None:
        orders = self._ledger.standing.orders
        limit = limit_s(orders)
        was_cut_off = limit is not None and self._hearing.unheard_s() >= limit
        self._hearing.heard(sent_at, orders)
        if was_cut_off:
            self._tell.accepted()  # what was stopped is looked at again

    def fetch(self) -> bool:
        """Ask for orders; drop an answer that took longer than its lease."""
        if not self._ledger.standing.readable:
            return False
        answer, begin = self._link.call(ORDERS_PATH, {}, OrdersAnswer, ORDERS_TIMEOUT_S)
        if self._clock() - begin > answer.lease_s:
            _log.warning("orders dropped: they came later than their lease", lease_s=answer.lease_s)
            return False
        if answer.orders.epoch > self._ledger.held.epoch:
            return False  # another leader since: it has to show itself in a poll first
        held = self._ledger.accept(answer.orders)
        if held:
            self._tell.accepted()
        return held

    def fetch_directory(self) -> bool:
        """Ask which services there are; an answer that took longer than its lease is dropped: another may have followed it."""
        if self._directory is None:
            return True
        answer, begin = self._link.call(DIRECTORY_PATH, {}, DirectoryAnswer, ORDERS_TIMEOUT_S)
        if self._clock() - begin > answer.lease_s:
            _log.warning("directory dropped: it came later than its lease", lease_s=answer.lease_s)
            return False
        return self._directory.accept(answer.directory)

    def _request(self) -> PollRequest:
        held, standing = self._ledger.held, self._ledger.standing
        # A leader counts its tasks anew with each term.
        same_leader = self._tasks_of == (held.epoch, held.leader)
        return PollRequest(
            self._run_id,
            held.epoch,
            held.revision if standing.current else NONE_OF_THIS_EPOCH,
            self._tasks_seen if same_leader else 0,
            self._held_for_s(),
            None if self._directory is None else self._directory.current.digest,
        )

    def _held_for_s(self) -> float:
        """So short that several polls in a row fit into what is left of the shortest silence that stops something: an
        answer that was long in coming is of an old request, and says little of the time since."""
        # A change for all hosts answers all their polls at once: they should not stay in step after it.
        hold_s = self._hold_s * (1 - HOLD_SPREAD * self._chance())
        left_s = self._left_s()
        share = AMONG_HOLD_SHARE if self._several() else HOLD_SHARE
        return hold_s if left_s is None else min(hold_s, left_s / share)

    def _late_s(self) -> float:
        """A master that takes connections and says nothing is left while there is time to find another."""
        if not self._several():
            return LATE_S
        left_s = self._left_s()
        return AMONG_LATE_S if left_s is None else min(AMONG_LATE_S, max(1.0, left_s / HOLD_SHARE))

    def _left_s(self) -> Optional[float]:
        """Of the shortest silence that stops something; None where nothing would."""
        limit = limit_s(self._ledger.standing.orders)
        return None if limit is None else max(0.0, limit - self._hearing.unheard_s())

    def _record_refusal(self, answer: PollAnswer, why: str) -> None:
        if why != self._refused:
            self._ledger.refuse(answer.epoch, answer.leader, why)
            self._refused = why

    def _check_clock(self, leader_now: float) -> None:
        off_s = self._wall() - leader_now
        if abs(off_s) > CLOCK_TOLERANCE_S:
            self._problems.set(
                "clock.wrong",
                f"this host's clock is {_roughly(abs(off_s))} {'ahead of' if off_s > 0 else 'behind'} "
                "the leader's",
                "set it: check chronyc tracking or timedatectl",
            )
        elif abs(off_s) < CLOCK_TOLERANCE_S / 2:
            self._problems.clear("clock.wrong")


def _roughly(seconds: float) -> str:
    """Coarse, so that one wrong clock is one problem and not a new one with each poll."""
    for unit_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s:
            return f"about {seconds / unit_s:.0f} {unit}"
    return "more than a minute"
