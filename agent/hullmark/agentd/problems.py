"""What keeps the agent from its work right now, for the leader and for people."""

from __future__ import annotations

import threading
from typing import Callable

from hullmark import log
from hullmark.errors import HullmarkError
from hullmark.model.observed import HostProblem

_log = log.get("problems")

MASTER_UNAVAILABLE = "master.unavailable"


class Problems:
    """One problem for each code, set and cleared by whoever meets it. May be used from any thread. The log has what is said of one in the same words
    once an hour, until it is over: of two masters that are away each is said by turns."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, HostProblem] = {}
        self._logged: dict[str, log.Seldom] = {}
        self.changed = changed

    def set(self, code: str, message: str, remedy: str = "") -> None:
        problem = HostProblem(code, message, remedy)
        with self._lock:
            if self._found.get(code) == problem:
                return
            self._found[code] = problem
            is_due = self._logged.setdefault(code, log.Seldom()).is_due(message)
        if is_due:
            _log.error("problem", code=code, what=message, remedy=remedy)
        self.changed()

    def set_error(self, code: str, error: HullmarkError) -> None:
        self.set(code, error.message, error.remedy)

    def clear(self, *codes: str) -> None:
        with self._lock:
            gone = [code for code in codes if self._found.pop(code, None)]
            for code in gone:
                self._logged.pop(code)
        for code in gone:
            _log.info("problem is over", code=code)
        if gone:
            self.changed()

    def for_leader(self) -> tuple[HostProblem, ...]:
        """All but that no master answers: one that hears of it is the proof that one does."""
        return tuple(one for one in self.all() if one.code != MASTER_UNAVAILABLE)

    def all(self) -> tuple[HostProblem, ...]:
        with self._lock:
            return tuple(self._found[code] for code in sorted(self._found))
