"""Which masters there are, and which of them is called: that is the one that leads, as far as this host knows.

What `masters` in agent.yaml names comes before all else. Otherwise it is what the leader told last, kept in a file, and
after that what the enrolment says: a host that was away while both masters were replaced finds nobody by the one, and
somebody by the other, or is enrolled anew.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd.enrolment import Enrolment
from hullmark.pki.files import write_file

_log = log.get("masters")

FILE = "masters.json"
MOST = 32
"""More than a pair has, with all its names and addresses."""
SILENT_S = 3.0
"""How long one that did not answer is passed over. About as long as another takes to lead in its place."""


class Masters:
    """May be used from any thread. `enrolled` gives what the host was enrolled with, or raises BrokenState; so do all
    methods then, but where masters are configured."""

    def __init__(
        self,
        folder: Path,
        configured: Sequence[str],
        enrolled: Callable[[], Enrolment],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = folder / FILE
        self._configured = tuple(configured)
        self._enrolled = enrolled
        self._clock = clock
        self._lock = threading.Lock()
        self._told: Optional[tuple[str, ...]] = None
        self._called = ""
        self._silent: dict[str, float] = {}

    def all(self) -> tuple[str, ...]:
        """URLs, the preferred ones first."""
        if self._configured:
            return self._configured
        if self._told is None:
            self._told = self._load()
        return tuple(dict.fromkeys((*self._told, *self._enrolled().masters)))

    def current(self) -> str:
        """The one to call now. One that another master named may be on no list."""
        known = self.all()
        with self._lock:
            self._called = self._called or known[0]
            return self._called

    def leave(self, master: str, *, silent: bool = False) -> None:
        """Call the next one, unless another thread has left this one already. `silent`: it did not answer, and for a
        while is not called again where there are others, or only because another one names it."""
        known = self.all()
        with self._lock:
            if silent:
                self._silent[master] = self._clock() + SILENT_S
            if self._called in ("", master):
                self._called = self._next(master, known)

    def follow(self, master: str, leader: str) -> bool:
        """`master` says that the one at this URL leads; empty: it doesn't know who does. True where the leader is
        called next. It is not where it was just found silent: the one that said so may be the next to lead, and stays the
        one that is called. Of configured masters only those are gone to."""
        known = self.all()
        with self._lock:
            if self._called not in ("", master):
                return True  # another thread has gone on
            if leader == master or (leader and self._configured and leader not in known):
                leader = ""
            if not leader:
                self._called = self._next(master, known)
                return False
            if self._is_silent(leader):
                return False
            self._called = leader
            return True

    def answered(self, master: str) -> None:
        with self._lock:
            self._silent.pop(master, None)

    def learn(self, urls: Sequence[str]) -> None:
        """What the leader says of all masters. Of no use to a host on which they are configured. Where the file can't be
        written, the host knows them as long as its agent runs."""
        told = tuple(dict.fromkeys(url for url in urls if url.startswith("https://")))[:MOST]
        if not told or self._configured or told == self._told:
            return
        self._told = told
        content = {"cluster_id": self._enrolled().cluster_id, "masters": told}
        try:
            write_file(self._file, json.dumps(content).encode())
        except OSError as error:
            _log.warning("the masters can't be remembered", why=error.strerror)

    def _next(self, master: str, known: tuple[str, ...]) -> str:
        """The first after this one that was not just found silent; the very next where all were."""
        place = known.index(master) + 1 if master in known else 0
        others = [one for one in (*known[place:], *known[:place]) if one != master] or [master]
        return next((one for one in others if not self._is_silent(one)), others[0])

    def _is_silent(self, master: str) -> bool:
        return self._silent.get(master, -math.inf) > self._clock()

    def _load(self) -> tuple[str, ...]:
        """A file that is damaged, or of another cluster, says nothing: there is the enrolment."""
        try:
            stored = json.loads(self._file.read_bytes())
            urls = stored["masters"]
            if stored["cluster_id"] != self._enrolled().cluster_id or not isinstance(urls, list):
                return ()
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return ()
        return tuple(url for url in urls if isinstance(url, str))[:MOST]
