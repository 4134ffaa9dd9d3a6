"""How long ago a leader was last heard, for what must not run without one (`on_host_lost: stop`).

Counted from before the last successful sync was sent, on the clock that also runs while the machine is suspended
(CLOCK_BOOTTIME, clock_gettime(2)), so that neither a suspended host nor a clock that is set makes it shorter. It is kept in a
file, with the boot in which it was, so that an agent that is started again goes on counting. The file needs no `fsync`: it
says nothing in another boot. Where it can't be written the last sync is not known after a restart, and nothing of that kind
runs before another.
"""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import Callable, Optional, Union

from hullmark import log
from hullmark.host.facts import boot_id
from hullmark.model import jsontext
from hullmark.model.orders import Assignment, Orders, Tombstone
from hullmark.pki.files import write_file

_log = log.get("hearing")

FILE = "heard.json"


def boot_clock() -> float:
    """Seconds since the boot, those in suspension too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Hearing:
    """May be used from any thread."""

    def __init__(
        self,
        folder: Path,
        boot: Callable[[], str] = boot_id,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self.now = clock
        self._file = folder / FILE
        self._boot = boot()
        self._lock = threading.Lock()
        self._heard_at = self._load()
        self._writable = True

    def unheard_s(self) -> float:
        """Infinite where no sync succeeded since the boot, as far as is known."""
        with self._lock:
            return max(0.0, self.now() - self._heard_at)

    def heard(self, sent_at: float, orders: Orders) -> None:
        """A sync has succeeded whose first request was sent then (by `now`), and these are the orders."""
        with self._lock:
            self._heard_at = max(self._heard_at, sent_at)
            heard_at = self._heard_at
        if limit_s(orders) is None or not self._boot:
            return
        content = json.dumps({"boot": self._boot, "heard_at": heard_at}).encode()
        try:
            write_file(self._file, content, 0o600, durable=False)
            self._writable = True
        except OSError as error:
            if self._writable:
                _log.warning("the last sync can't be remembered", why=error.strerror)
            self._writable = False

    def _load(self) -> float:
        try:
            stored = jsontext.loads(self._file.read_bytes())
            heard_at = float(stored["heard_at"])
            of_this_boot = bool(self._boot) and stored["boot"] == self._boot
        except (OSError, ValueError, TypeError, LookupError):
            return -math.inf
        # What is ahead of this boot's clock was not written in it.
        return heard_at if of_this_boot and heard_at <= self.now() else -math.inf


def limit_s(orders: Orders) -> Optional[float]:
    """The shortest silence after which something of these orders is to be stopped. None: nothing ever is."""
    limited: list[Union[Assignment, Tombstone]] = [*orders.assignments, *orders.tombstones]
    return min((one.stop_unheard_s for one in limited if one.stop_unheard_s > 0), default=None)
