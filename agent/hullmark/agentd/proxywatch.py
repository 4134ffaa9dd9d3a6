"""Whether the host's proxy is still the one that the agent told what to do: started anew or reloaded by somebody else, its files changed, also while no
agent ran, its program replaced on the disk. What is found is mended, recorded in the audit log, and told the leader.

A worker that the agent did not load itself may have loaded anything, whatever the files are now: it is replaced. That alone is no trouble, as the
proxy's service may be reloaded by packages and by people."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Callable

from hullmark import log
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.outbox import Outbox
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyrecord import Life
from hullmark.errors import HullmarkError
from hullmark.model.audit import Entry, Outcome
from hullmark.model.proxy import ProxyLook

RESTARTED, TAMPERED, RELOADED = "proxy.restarted", "proxy.tampered", "proxy.reloaded"
SUBJECT = "proxy"
TROUBLES_MOST = 20
"""That are kept until somebody asks."""
SELDOM = 16
"""A worker that can't be replaced is tried at every look at first, and at last at every one of so many: a reload is not for nothing."""

_log = log.get("proxy")


class ProxyWatch:
    """One thread's. `look` gives what the proxy is now; `stale` says whether it has to be told everything again."""

    def __init__(self, haproxy: Haproxy, note: Callable[[Entry], None], outbox: Outbox) -> None:
        self._haproxy = haproxy
        self._note = note
        self._outbox = outbox
        self._process = Life()
        self._reloaded_for: tuple[str, ...] = ()
        self._changed: tuple[str, ...] = ()
        self._in_vain = 0
        self._told_of = 0
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
        if self.mend_files() or self._follow_worker(seen):
            return seen, True
        if wanted:
            # What another version is told may be another configuration.
            stale = self._follow_program(seen) or stale
        return seen, stale or seen.loaded != wanted

    def _is_another(self, seen: ProxyLook) -> bool:
        process = Life(seen.pid, seen.started_at)
        former, self._process = self._process, process
        if former == process or not former.pid:
            return former != process
        self._tell(
            RESTARTED,
            f"process {former.pid} ended, and process {process.pid} was started in its place",
            Outcome.FAILURE,
        )
        return True

    def mend_files(self) -> bool:
        """Whether there was something to mend. Also before each of the agent's own changes, which would write over what was changed. What can't be
        put back is recorded once, and tried again. Raises HullmarkError."""
        changed = tuple(sorted(self._haproxy.tampered()))
        if changed and changed != self._changed:
            names = ", ".join(changed)
            words = f"changed by somebody else, and put back: {names}"
            self._tell(TAMPERED, words, Outcome.FAILURE)
        self._changed = changed
        if changed:
            self._haproxy.restore()
            self._changed = ()
        elif self._haproxy.touched():
            # Before an own reload has nobody find out any more.
            return self._follow_worker(self._haproxy.look())
        return bool(changed)

    def _follow_worker(self, seen: ProxyLook) -> bool:
        """Whether it was loaded by somebody else, and now is by the agent. Each is told of once; its service may start it, which is told by itself."""
        if not self._haproxy.is_foreign(seen):
            self._in_vain = 0
            return False
        self._in_vain += 1
        if not _is_due(self._in_vain):
            return False
        is_told, self._told_of = self._told_of == seen.worker, seen.worker
        is_started, touched = self._haproxy.is_started(seen), self._haproxy.touched()
        if touched and not is_told:
            names = ", ".join(touched)
            words = (
                f"written by somebody else, who had them loaded: {names}; loaded anew as they were"
            )
            self._tell(TAMPERED, words, Outcome.FAILURE)
        self._haproxy.load_again()
        if not self._haproxy.is_foreign(self._haproxy.look()):
            self._in_vain = 0
        if not touched and not is_told and not is_started:
            words = (
                "loaded by somebody else, and loaded anew from files that are as they were written"
            )
            self._tell(RELOADED, words, Outcome.SUCCESS)
        return True

    def _follow_program(self, seen: ProxyLook) -> bool:
        """A file that is still replaced after a reload is left alone: a second one would change nothing. Whether there was one."""
        if not seen.replaced or seen.replaced == self._reloaded_for:
            self._reloaded_for = seen.replaced
            return False
        self._reloaded_for = seen.replaced
        names = ", ".join(seen.replaced)
        try:
            self._haproxy.load_again()
        except HullmarkError as error:
            self._tell(RELOADED, f"{names} replaced on the disk: {error}", Outcome.FAILURE)
            raise
        self._tell(RELOADED, f"replaced on the disk since it began: {names}", Outcome.SUCCESS)
        return True

    def _tell(self, kind: str, words: str, outcome: Outcome) -> None:
        _log.warning("proxy", kind=kind, what=words)
        if outcome is Outcome.FAILURE:
            self._troubles.append(words)
        self._note(Entry(kind, SUBJECT, outcome=outcome, origin=LOCAL, reason=words))
        self._outbox.add(kind, SUBJECT, words)


def _is_due(tries: int) -> bool:
    """The first, second, fourth and eighth, and then every 16th."""
    return tries % SELDOM == 0 or (tries < SELDOM and tries & (tries - 1) == 0)
