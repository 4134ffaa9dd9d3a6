"""Alerts on their way: for each channel a queue and a thread of its own, so that nobody waits for a mail server.

    send ──▶ queue ──▶ thread: try, wait longer and longer, try again ──▶ delivered, or given up ──▶ `Outcome`

An alert that was taken once is not sent again by the same process. `ended` is told when no channel has it any more.
What waits when the process ends is not lost where its owner remembers what has not ended.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from hullmark import log
from hullmark.host.alertchannels import Channel, Undelivered
from hullmark.model.alert import Alert

_log = log.get("alerts")

QUEUE_MAX = 500
"""Alerts that wait on one channel; more are given up, and that is told."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
GIVEN_UP_S = 3600.0
"""How long an alert is tried, from when it was first tried."""
CLOSE_S = 2.0
KNOWN_MOST = 2000


@dataclass(frozen=True)
class Outcome:
    """`why` is empty where the alert was delivered. `tries`: how often it was sent."""

    alert: Alert
    channel: str
    why: str = ""
    tries: int = 1


@dataclass(frozen=True)
class Times:
    """For tests, which don't wait."""

    wait_s: float = FIRST_WAIT_S
    given_up_s: float = GIVEN_UP_S


class Alerting:
    """May be used from any thread. `told` is called by a channel's thread with what became of an alert there, `ended` with an alert
    that no channel has any more; `trouble` with a channel and what keeps it from delivering, empty once it delivers."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        told: Callable[[Outcome], None],
        ended: Callable[[Alert], None] = lambda _alert: None,
        trouble: Callable[[str, str], None] = lambda _channel, _why: None,
        times: Times = Times(),
    ) -> None:
        self._told, self._ended, self._trouble = told, ended, trouble
        self._times = times
        self._lock = threading.Lock()
        self._left: dict[str, tuple[Alert, set[str]]] = {}
        self._known: dict[str, None] = {}
        self._lines = self._made(channels)

    def send(self, alert: Alert) -> None:
        """Neither waits nor raises."""
        with self._lock:
            new = alert.alert_id not in self._known
            self._known[alert.alert_id] = None
            while len(self._known) > KNOWN_MOST:
                del self._known[next(iter(self._known))]
            lines = self._lines if new else ()
            if lines:
                self._left[alert.alert_id] = (alert, {line.name for line in lines})
            under_way = alert.alert_id in self._left
        if not under_way:
            self._ended(alert)
        for line in lines:
            line.take(alert)

    def configure(self, channels: Mapping[str, Channel]) -> None:
        """By these channels from now on. What waits goes to the channel of the same name, and nowhere where there is none."""
        made = self._made(channels)
        with self._lock:
            former, self._lines = self._lines, made
            waiting = [(alert, set(names)) for alert, names in self._left.values()]
        for line in former:
            line.close()
        for line in made:
            for alert, names in waiting:
                if line.name in names:
                    line.take(alert)
        for alert, names in waiting:
            for name in names - set(channels):
                self._ends(alert, name)

    def close(self) -> None:
        """What waits is sent if that goes quickly."""
        with self._lock:
            lines, self._lines = self._lines, ()
        until = time.monotonic() + CLOSE_S
        for line in lines:
            line.close()
        for line in lines:
            line.join(max(0.0, until - time.monotonic()))

    def _made(self, channels: Mapping[str, Channel]) -> tuple[_Line, ...]:
        return tuple(
            _Line(name, channel, self._came_to, self._trouble, self._times)
            for name, channel in channels.items()
        )

    def _came_to(self, outcome: Outcome) -> None:
        self._told(outcome)
        self._ends(outcome.alert, outcome.channel)

    def _ends(self, alert: Alert, channel: str) -> None:
        with self._lock:
            _, left = self._left.get(alert.alert_id, (alert, set[str]()))
            last = left == {channel}
            left.discard(channel)
            if last:
                del self._left[alert.alert_id]
        if last:
            self._ended(alert)


class _Line:
    """One channel."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        came_to: Callable[[Outcome], None],
        trouble: Callable[[str, str], None],
        times: Times,
    ) -> None:
        self.name, self._channel = name, channel
        self._came_to, self._trouble, self._times = came_to, trouble, times
        self._queue: queue.Queue[Alert] = queue.Queue(QUEUE_MAX)
        self._closing = threading.Event()
        self._bell = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts {name}", daemon=True)
        self._started = False
        self._lock = threading.Lock()

    def take(self, alert: Alert) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                self._thread.start()
        try:
            self._queue.put_nowait(alert)
        except queue.Full:
            why = f"{QUEUE_MAX} alerts wait already"
            self._came_to(Outcome(alert, self.name, why, 0))
        self._bell.set()

    def close(self) -> None:
        self._closing.set()
        self._bell.set()

    def join(self, timeout_s: float) -> None:
        if self._started:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                alert = self._queue.get_nowait()
            except queue.Empty:
                if self._closing.is_set():
                    return
                self._bell.wait()
                self._bell.clear()
                continue
            if not self._deliver(alert):
                return

    def _deliver(self, alert: Alert) -> bool:
        """False where this ends in the middle: what became of the alert is not known, and nothing is told."""
        began, wait_s, tries = time.monotonic(), self._times.wait_s, 0
        while True:
            tries += 1
            try:
                self._channel(alert)
            except Undelivered as error:
                _log.warning("alert not delivered", channel=self.name, why=error.why, tries=tries)
                self._trouble(self.name, error.why)
                if not error.again or time.monotonic() - began >= self._times.given_up_s:
                    self._came_to(Outcome(alert, self.name, error.why, tries))
                    return True
            else:
                self._trouble(self.name, "")
                self._came_to(Outcome(alert, self.name, "", tries))
                return True
            # Half of it by chance, so that hosts whose server was away don't all come back at once.
            if self._closing.wait(wait_s * random.uniform(0.5, 1.0)):  # noqa: S311
                return False
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
