"""The agent's audit log: opened when it is known whose host this is, and looked after.

Ways to record, by what has to be true afterwards:

    intend      on the disk before anything is begun, or AuditUnavailable and it is not begun
    conclude    of what is done already: where it can't be written now, it is kept and written as soon as it can
    note        of what happened: the same, and without the reserve; `later` where nobody may wait for the disk

A log that can't be written is a problem of the host, `audit.unwritable`. Nothing new is begun on the host until it is over;
restarts and stops go on while the log's reserve has room for them. What waits in memory is lost with the process. What somebody
did to the log's files is a problem too, `audit.changed`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Optional

from hullmark import log
from hullmark.agentd.problems import Problems
from hullmark.agentd.pulse import elsewhere, rest
from hullmark.errors import AuditUnavailable, BrokenState, HullmarkError
from hullmark.host.auditfile import AuditFile
from hullmark.model.audit import Entry, Outcome, Record
from hullmark.model.moments import moment

_log = log.get("audit")

PROBLEM = "audit.unwritable"
REMEDY = (
    "free space or mend the disk (see where: audit in agent.yaml); what runs goes on, is restarted and stopped while the "
    "log's reserve lasts, and nothing new is begun until then"
)
CHANGED = "audit.changed"
CHANGED_REMEDY = (
    "find out who did it, and hold the log against the masters: hullmark audit verify; this is over when the agent is "
    "started anew"
)
LOOK_S = 2.0
"""How often a log in trouble is tried again."""
WAITING_MAX = 10_000
"""Records that wait in memory for a log that can't be written; more are counted, and their number is recorded."""
LATE = "happened_at"
"""The field of a record that could not be written when it happened: when that was."""

Open = Callable[[str], AuditFile]
"""The log of the host with this id. Raises AuditUnavailable, or BrokenState."""


class Auditing:
    """May be used from any thread. `serve` comes first; until the log is open nothing can be recorded."""

    def __init__(
        self, open_file: Open, problems: Problems, wall: Callable[[], float] = time.time
    ) -> None:
        self._open_file = open_file
        self._problems = problems
        self._wall = wall
        self._lock = threading.RLock()
        self._host_id = ""
        self._file: Optional[AuditFile] = None
        self._open_intents: tuple[Record, ...] = ()
        self._under_way: set[int] = set()
        self._waiting: deque[tuple[Entry, bool]] = deque()
        self._dropped = 0

    def serve(self, host_id: str) -> None:
        """The log is that of this host from now on. It is opened when it is first needed, by whoever needs it: a disk that does
        not answer holds up nobody else. What still waits is of the log before, and goes there if it can be written now."""
        with self._lock:
            if self._host_id != host_id:
                if self._file is not None:
                    self._catch_up()
                self._close()
                self._host_id = host_id

    def close(self) -> None:
        with self._lock:
            self._host_id = ""
            self._close()

    @property
    def host_id(self) -> str:
        """Whose log it is; empty where that isn't known."""
        return self._host_id

    @property
    def backlog(self) -> int:
        """How many records wait to be written."""
        return len(self._waiting)

    @property
    def file(self) -> AuditFile:
        """Raises AuditUnavailable while it can't be opened."""
        return self._opened()

    def _opened(self) -> AuditFile:
        with self._lock:
            if self._file is None:
                self._try_open()
            if self._file is None:
                raise AuditUnavailable("the audit log is not open", remedy=REMEDY)
            return self._file

    # -- recording

    def intend(self, entry: Entry, *, essential: bool = False) -> int:
        """The sequence number, for `conclude`. Raises AuditUnavailable."""
        self._catch_up()
        seq = self._append(entry, essential)
        with self._lock:
            self._under_way.add(seq)
        return seq

    def conclude(self, entry: Entry) -> None:
        self._record(entry, essential=True)
        with self._lock:
            self._under_way.discard(entry.of)

    def note(self, entry: Entry) -> None:
        self._record(entry, essential=False)

    def later(self, entry: Entry) -> None:
        """A note that nobody waits for: it is written by `run`, or before whatever is recorded next."""
        with self._lock:
            self._keep(entry, False)

    def _record(self, entry: Entry, *, essential: bool) -> None:
        self._catch_up()
        with self._lock:
            # Behind what waits already: the order is that in which things happened.
            waits = bool(self._waiting)
        if not waits:
            try:
                self._append(entry, essential)
                return
            except AuditUnavailable as error:
                _log.error("not recorded yet", kind=entry.kind, of=entry.subject, why=error.message)
        late = replace(entry, fields={**entry.fields, LATE: moment(self._wall())})
        with self._lock:
            self._keep(late, essential)

    def _keep(self, entry: Entry, essential: bool) -> None:
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append((entry, essential))
        else:
            self._dropped += 1

    def _append(self, entry: Entry, essential: bool) -> int:
        try:
            with elsewhere():
                seq = self.file.append(entry, essential=essential)
        except AuditUnavailable as error:
            if self._host_id:
                self._show(error)
            raise
        # A record may have gone into the reserve, and then the log itself still can't be written.
        trouble = self.file.trouble
        if trouble:
            self._show(AuditUnavailable(trouble))
        else:
            self._problems.clear(PROBLEM)
        return seq

    def _catch_up(self) -> None:
        """What waits, in its order, as far as it can be written."""
        if not (self._waiting or self._dropped):
            return
        with self._lock, suppress(AuditUnavailable):
            while self._waiting:
                self._append(*self._waiting[0])
                self._waiting.popleft()
            if self._dropped:
                self._append(_lost(self._dropped), True)
                self._dropped = 0

    # -- what another process left

    @property
    def open_intents(self) -> Sequence[Record]:
        """Intents whose outcome is not known yet, of a process before this one. Raises AuditUnavailable."""
        self._opened()
        return self._open_intents

    def settle(self, intent: Record, outcome: Entry) -> None:
        self.conclude(outcome)
        with self._lock:
            self._open_intents = tuple(one for one in self._open_intents if one is not intent)

    # -- looking after it

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.look()
            rest(stopping, LOOK_S)

    def look(self) -> None:
        """Try what could not be written; say whether it can."""
        with suppress(AuditUnavailable), elsewhere():
            file = self.file
            if file.recover():
                self._catch_up()
                self._problems.clear(PROBLEM)
            else:
                self._show(AuditUnavailable(file.trouble))
            if file.findings:
                said = f"somebody changed the audit log's files: {'; '.join(file.findings)}"
                self._problems.set(CHANGED, said, CHANGED_REMEDY)

    def _show(self, error: HullmarkError) -> None:
        self._problems.set(PROBLEM, error.message, error.remedy or REMEDY)

    def _try_open(self) -> None:
        if self._file is not None or not self._host_id:
            return
        try:
            self._file = self._open_file(self._host_id)
        except (AuditUnavailable, BrokenState) as error:
            self._show(error)
            return
        found = self._file.open_intents()
        self._open_intents = tuple(one for one in found if one.seq not in self._under_way)
        self._problems.clear(PROBLEM)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._open_intents = None, ()


def _lost(number: int) -> Entry:
    return Entry(
        "audit.lost",
        "audit log",
        outcome=Outcome.FAILURE,
        reason=f"{number} records were not kept while the log could not be written",
        fields={"records": str(number)},
    )
