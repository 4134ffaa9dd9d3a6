"""Whether the host's proxy is still the one that the agent told what to do: started anew by somebody else, its files changed, its program replaced on the
disk. What is found is mended, recorded in the audit log, and told the leader."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable

from hullmark import log
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.outbox import Outbox
from hullmark.engine.haproxy import Haproxy
from hullmark.errors import HullmarkError
from hullmark.model.audit import Entry, Outcome
from hullmark.model.proxy import ProxyLook

RESTARTED, TAMPERED, RELOADED = "proxy.restarted", "proxy.tampered", "proxy.reloaded"
SUBJECT = "proxy"
TROUBLES_MOST = 20
"""That are kept until somebody asks."""

_log = log.get("proxy")


@dataclass(frozen=True)
class Process:
    """One life of the proxy's main process."""

    pid: int
    started_at: float


class ProxyWatch:
    """One thread's. `look` gives what the proxy is now; `stale` says whether it has to be told everything again."""

    def __init__(self, haproxy: Haproxy, note: Callable[[Entry], None], outbox: Outbox) -> None:
        self._haproxy = haproxy
        self._note = note
        self._outbox = outbox
        self._process = Process(0, 0.0)
        self._reloaded_for: tuple[str, ...] = ()
        self._changed: tuple[str, ...] = ()
        self._troubles: deque[str] = deque(maxlen=TROUBLES_MOST)

    def troubles(self) -> tuple[str, ...]:
        """What was wrong, and is mended, since this was asked last. From any thread."""
        found: list[str] = []
        with suppress(IndexError):
            while True:
                found.append(self._troubles.popleft())
        return tuple(found)

    def look(self) -> tuple[ProxyLook, bool]:
        """Raises HullmarkError where something is to be mended and can't be."""
        seen = self._haproxy.look()
        if not seen.up:
            return seen, True
        stale = self._is_another(seen)
        wanted = self._haproxy.wanted()
        if wanted:
            self.mend_files()
            self._follow_program(seen)
        return seen, stale or seen.loaded != wanted

    def _is_another(self, seen: ProxyLook) -> bool:
        process = Process(seen.pid, seen.started_at)
        former, self._process = self._process, process
        if former == process or not former.pid:
            return former != process
        self._tell(
            RESTARTED,
            f"process {former.pid} ended, and process {process.pid} was started in its place",
            Outcome.FAILURE,
        )
        return True

    def mend_files(self) -> None:
        """Also before each of the agent's own changes, which would write over what was changed. What can't be put back is recorded once, and tried
        again. Raises HullmarkError."""
        changed = tuple(sorted(self._haproxy.tampered()))
        if changed and changed != self._changed:
            names = ", ".join(changed)
            words = f"changed by somebody else, and put back: {names}"
            self._tell(TAMPERED, words, Outcome.FAILURE)
        self._changed = changed
        if changed:
            self._haproxy.restore()
            self._changed = ()

    def _follow_program(self, seen: ProxyLook) -> None:
        """A file that is still replaced after a reload is left alone: a second one would change nothing."""
        if not seen.replaced or seen.replaced == self._reloaded_for:
            self._reloaded_for = seen.replaced
            return
        self._reloaded_for = seen.replaced
        names = ", ".join(seen.replaced)
        try:
            self._haproxy.load_again()
        except HullmarkError as error:
            self._tell(RELOADED, f"{names} replaced on the disk: {error}", Outcome.FAILURE)
            raise
        self._tell(RELOADED, f"replaced on the disk since it began: {names}", Outcome.SUCCESS)

    def _tell(self, kind: str, words: str, outcome: Outcome) -> None:
        _log.warning("proxy", kind=kind, what=words)
        if outcome is Outcome.FAILURE:
            self._troubles.append(words)
        self._note(Entry(kind, SUBJECT, outcome=outcome, origin=LOCAL, reason=words))
        self._outbox.add(kind, SUBJECT, words)
