"""What a service manager is told, and how often it wants a sign of life: sd_notify(3) and sd_watchdog_enabled(3), without their library."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Callable, Optional

from hullmark import log

_log = log.get("notify")

USEC = 1_000_000
EARLY = 0.9


class ServiceManager:
    """Where none asked to be told anything (`address` empty), nothing is sent. May be used from any thread; `beat` by one.

    `beat_s`: a sign of life is wanted so often, half of the time after which the manager would kill this process. None: not at
    all."""

    def __init__(
        self,
        address: str = "",
        beat_s: Optional[float] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._beaten_at: Optional[float] = None
        self._status = ""
        self._heard = False
        self.beat_s = beat_s

    def ready(self) -> None:
        self._tell("READY=1")

    def reloading(self) -> None:
        """`ready` has to follow."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, sentence: str) -> None:
        """For `systemctl status`. Sent when it is another one than before."""
        if sentence != self._status:
            self._status = sentence
            self._tell(f"STATUS={sentence}".replace("\n", " "))

    def beat(self) -> None:
        """A sign of life, if it is time for the next one."""
        if self.beat_s is None:
            return
        now = self._clock()
        # One that comes a little early counts: to put it off would make the next one late.
        if self._beaten_at is None or now - self._beaten_at >= self.beat_s * EARLY:
            self._beaten_at = now
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(state.encode(), self._address)
            self._heard = True
        except OSError as error:
            what = state.partition("=")[0]
            # start-stop-daemon listens until it has heard that we are ready, and no longer.
            tell = _log.debug if self._heard else _log.warning
            tell("the service manager was not told", what=what, why=str(error))


def service_manager(environment: MutableMapping[str, str] = os.environ) -> ServiceManager:
    """The one that started this process. Its variables are taken out of the environment: processes that we start are not to
    speak in our name."""
    address = environment.pop("NOTIFY_SOCKET", "")
    usec, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    wanted = usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
    if not address.startswith(("/", "@")):
        return ServiceManager()
    return ServiceManager(address, int(usec) / USEC / 2 if wanted else None)
