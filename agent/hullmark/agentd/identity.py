"""The host's identity as its files have it now: read anew whenever one of them changed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from hullmark.agentd import enrolment, statefile
from hullmark.agentd.ejected import is_ejected
from hullmark.agentd.enrolment import Enrolment
from hullmark.errors import BrokenState, HullmarkError

Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Who:
    """Whose orders this host obeys, and as whom."""

    cluster_id: str
    host_id: str


def who(folder: Path) -> Who:
    """From the enrolment; where that can't be read, from the orders that were accepted before, so that what runs
    is kept running. Raises NotFound or BrokenState where neither tells, and for a host that was ejected."""
    try:
        enrolled = enrolment.read(folder)
        return Who(enrolled.cluster_id, enrolled.host_id)
    except HullmarkError as error:
        if is_ejected(folder):
            raise
        try:
            orders = statefile.load(folder).orders
        except BrokenState:
            orders = None
        if orders is None:
            raise error from None
        return Who(orders.cluster_id, orders.host_id)


class Identity:
    """May be used from any thread. `wall` is the clock that certificates are judged by."""

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._wall = wall
        self._lock = threading.Lock()
        self._read: tuple[Signature, Optional[Enrolment]] = ((), None)

    def usable(self) -> tuple[Enrolment, Signature]:
        """The enrolment, and what tells one state of its files from the next. Raises BrokenState, with what to
        do, while a leader can't be called with them."""
        with self._lock:
            signature, enrolled = self._read
            if enrolled is None or self._signature(enrolled) != signature:
                enrolled = self._load()
                signature = self._signature(enrolled)
                self._read = signature, enrolled
        enrolment.check_validity(enrolled, self._wall())
        return enrolled, signature

    def _load(self) -> Enrolment:
        try:
            return enrolment.load(self.folder)
        except HullmarkError as error:
            self._read = (), None
            raise BrokenState(error.message, remedy=error.remedy) from error

    def _signature(self, enrolled: Enrolment) -> Signature:
        """The change time also tells a changed mode."""
        found = []
        names = (
            enrolment.RECORD,
            enrolment.ROOT,
            enrolled.key_name,
            enrolled.certificate_name,
        )
        for name in names:
            try:
                status = (self.folder / name).stat()
                found.append((status.st_ino, status.st_ctime_ns))
            except OSError:
                found.append((0, 0))
        return tuple(found)
