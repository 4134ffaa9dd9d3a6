"""A daemon's audit log on its disk: who may append, who waits, and for how long.

    any thread ── append ──▶ queue ──▶ one thread: a group at a time, one sync for all of it (`auditwriting`)
        ▲                                     │
        └──────────── number, or why not ─────┘──▶ copies

Whoever appends waits until the record is on the disk. Where the disk takes longer than the patience, `append` gives up: an intent that
is then written all the same is followed by an outcome that says that it was not begun.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Optional

from hullmark.errors import AuditUnavailable
from hullmark.host import auditreading
from hullmark.host.auditintents import open_intents
from hullmark.host.auditlimits import Limits
from hullmark.host.auditopening import GROUP_MAX
from hullmark.host.auditwriting import Ticket, Writing
from hullmark.model.audit import Entry, Head, Outcome, Record, Stage

__all__ = ["AuditFile", "Copy", "Limits"]

SLOW_S = 2.0
"""A disk that takes longer than this for one group is in trouble, though nobody may have given up yet."""
TEND_S = 3600.0
"""How often files are looked at for their age."""
_PLACE_BYTES = 512
"""What a line has beside its entry, about."""

Copy = Callable[[Sequence[bytes]], None]
"""Is given lines that are on the disk. It must neither wait nor raise."""


_DEFAULT = Limits()


def _no_copy(lines: Sequence[bytes]) -> None:
    """Nobody reads along."""


class AuditFile:
    """One log: `path` is the file that grows; closed ones lie beside it (`audit-FIRST.log`).

    `append` may be called by any thread, and returns when the record is on the disk. `last` is a small file, best in the
    daemon's state folder, that remembers the end of the log, so that one that was removed or shortened is noticed.
    """

    def __init__(
        self,
        path: Path,
        log: str,
        boot: str,
        *,
        limits: Limits = _DEFAULT,
        last: Optional[Path] = None,
        wall: Callable[[], float] = time.time,
        copy: Copy = _no_copy,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises AuditUnavailable where it can't be read and written. A full disk is no such trouble."""
        self._path, self._log, self._copy, self._ticks = path, log, copy, ticks
        self._patience_s = limits.patience_s
        lock = threading.Lock()
        self._work, self._moved = threading.Condition(lock), threading.Condition(lock)
        self._queue: deque[Ticket] = deque()
        self._group: list[Ticket] = []
        self._closing, self._looking = False, False
        self._began_at: Optional[float] = None
        self._tended_at = ticks()
        self._trouble = ""
        with ExitStack() as undone:
            try:
                self._writing = Writing(path, (log, boot), limits, last, wall, ticks)
                undone.callback(self._writing.close)
                self._open = open_intents(path, self._writing.stored.seq, self._writing.held)
            except OSError as error:
                raise AuditUnavailable(f"the audit log {path} can't be opened: {error}") from error
            self._writing.open_seqs.update(record.seq for record in self._open)
            lines = self._writing.commit([])
            if self._writing.trouble and not self._writing.is_full:
                raise AuditUnavailable(self._writing.trouble)
            undone.pop_all()
        self._publish()
        if lines:
            copy(lines)
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    def append(self, entry: Entry, *, essential: bool = False) -> int:
        """The record's sequence number; it is on the disk. `essential`: it may use the reserve where the disk is full, as every
        outcome may. Raises AuditUnavailable: it is not recorded, and what it is about must not be begun."""
        ticket = Ticket(entry, essential)
        with self._work:
            if self._closing:
                raise AuditUnavailable(f"the audit log {self._path} is closed")
            self._queue.append(ticket)
            self._work.notify()
        if not ticket.lock.acquire(timeout=self._patience_s) and self._give_up(ticket):
            raise AuditUnavailable(
                f"the audit log {self._path} was not written within {self._patience_s:g} s: the disk does not answer"
            )
        if not ticket.seq:
            raise AuditUnavailable(ticket.error)
        return ticket.seq

    @property
    def head(self) -> Head:
        """The newest record that is on the disk, and when it was made; `seq` 0 where there is none."""
        return self._head

    def wait(self, seq: int, timeout_s: float) -> Head:
        """Returns when there is a record after `seq`, at the end of that time, or when it was closed, with the head."""
        with self._moved:
            self._moved.wait_for(lambda: self._head.seq > seq or self._closing, timeout_s)
            return self._head

    def open_intents(self) -> tuple[Record, ...]:
        """Those that a process before this one left without an outcome, oldest first."""
        return self._open

    def read(self, first: int, most: int) -> list[bytes]:
        """Up to `most` lines as they stand, from record `first` on, across closed files. What was removed by age is left out, so
        the first line may be of a later record. Only what is on the disk. Raises AuditUnavailable."""
        with self._work:
            stored, held = self._stored, self._held
        try:
            found = auditreading.read(self._path, first, most, stored)
        except OSError as error:
            raise AuditUnavailable(f"the audit log {self._path} can't be read: {error}") from error
        if held and len(found) < most:
            after = max(first - 1, stored)
            if not found or auditreading.seq_of(found[-1]) == stored:
                found += [line for line in held if auditreading.seq_of(line) > after]
        return found[:most]

    @property
    def trouble(self) -> str:
        """'' while it can be written; else why not, for people."""
        with self._work:
            began_at = self._began_at
            if began_at is not None and self._ticks() - began_at > SLOW_S:
                waited_s = self._ticks() - began_at
                return f"the audit log {self._path} has not been written for {waited_s:.0f} s: the disk does not answer"
            return self._trouble

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found since the start that somebody did to the files: removed, shortened, replaced or written to them. Each is a
        record too."""
        return self._writing.findings

    def recover(self) -> bool:
        """Looks whether a log in trouble can be written again; to be called every few seconds meanwhile. True: no trouble."""
        if self.trouble:
            with self._work:
                self._looking = True
                self._work.notify()
                self._moved.wait_for(lambda: not self._looking, self._patience_s)
        return not self.trouble

    def close(self) -> None:
        """Ends after what was handed in; `append` raises AuditUnavailable from then on. A disk that does not answer is not
        waited for longer than the patience."""
        with self._work:
            self._closing = True
            self._work.notify_all()
            self._moved.notify_all()
        self._thread.join(self._patience_s)

    def _give_up(self, ticket: Ticket) -> bool:
        with self._work:
            if ticket.seq or ticket.error:
                return False
            ticket.given_up = True
            return True

    def _run(self) -> None:
        try:
            while self._work_once():
                pass
        finally:
            self._writing.close()
            with self._work:
                self._closing = True
                self._trouble = self._trouble or f"the audit log {self._path} is closed"
                for ticket in (*self._group, *self._queue):
                    ticket.error = self._trouble
                    ticket.lock.release()

    def _work_once(self) -> bool:
        with self._work:
            self._work.wait_for(lambda: bool(self._queue) or self._closing or self._looking, TEND_S)
            group = self._next_group()
            if self._closing and not group:
                return False
            self._began_at, self._group = self._ticks(), group
        lines = self._writing.commit(group)
        if self._ticks() - self._tended_at >= TEND_S:
            self._tended_at = self._ticks()
            lines = [*lines, *self._writing.tend()]
        self._finish(group)
        if lines:
            self._copy(lines)
        return True

    def _next_group(self) -> list[Ticket]:
        """Intents that nobody waits for any more are not begun, so they are left out; what happened is written also late."""
        group, size = [], 0
        while self._queue and size < GROUP_MAX // 2:
            ticket = self._queue.popleft()
            if ticket.given_up and ticket.entry.stage is Stage.INTENT:
                continue
            size += len(ticket.rest) + _PLACE_BYTES
            group.append(ticket)
        return group

    def _finish(self, group: Sequence[Ticket]) -> None:
        with self._work:
            self._began_at, self._looking = None, False
            self._publish()
            for ticket in group:
                if ticket.given_up and ticket.seq and ticket.entry.stage is Stage.INTENT:
                    self._queue.append(Ticket(_not_begun(ticket), essential=True))
            self._moved.notify_all()
            self._group = []
        for ticket in group:
            ticket.lock.release()

    def _publish(self) -> None:
        writing = self._writing
        self._head = Head(self._log, writing.end.seq, writing.end.hash, writing.at)
        self._stored, self._held = writing.stored.seq, writing.held
        self._trouble = writing.trouble


def _not_begun(ticket: Ticket) -> Entry:
    """Of an intent that was written after its thread had given up."""
    reason = "not begun: the audit log was not written in time"
    return replace(
        ticket.entry, stage=Stage.OUTCOME, outcome=Outcome.FAILURE, reason=reason, of=ticket.seq
    )
