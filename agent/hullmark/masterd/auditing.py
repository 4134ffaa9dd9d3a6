"""A master's own record: what was asked of it and what came of that, who came in, and what it does as a leader.

    a change  -> intent, durable -> the handler -> outcome, durable -> the answer
    an event  -> told at once, written soon, in order; what can't be written now is written later

Where the log can't be written, no change is begun (AuditUnavailable), questions are answered, and the trouble is told. The
file is written in threads, several at a time, which share their waits for the disk.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, TypeVar

from hullmark import log
from hullmark.config import MasterConfig
from hullmark.errors import AuditUnavailable, HullmarkError
from hullmark.host.auditcopies import Copies
from hullmark.host.auditdisk import make_folder
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.masterd import verbnotes
from hullmark.masterd.counter import Counter
from hullmark.model.audit import Entry, Outcome, Record
from hullmark.model.moments import moment

WRITERS = 4
READERS = 2
"""Of their own, so that no change waits for somebody who looks through all logs."""
RETRY_S = 2.0
"""How long after it failed the log is tried again."""
WAITING_MAX = 20_000
"""Events that wait for the log; more are dropped, and counted in a record of their own."""
CLOSE_S = 3.0
LATE = "happened_at"
"""The field of a record that could not be written when it happened: when that was."""
LATE_S = 1.0
FOREVER_S = 1e9
REMEDY = "free space on the disk of the audit log, or mend its folder: docs/operations/audit.md"

DAEMON = "hullmark-master"
"""Whose copies they are, in the journal and in syslog."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FILE = "audit.log"
LAST = "audit.last"
"""In the state folder: how far the log was."""

_log = log.get("audit")

T = TypeVar("T")


@dataclass(frozen=True)
class _Waiting:
    """`at`: when it happened, since 1970."""

    entry: Entry
    essential: bool
    at: float

    def now(self) -> Entry:
        """Says when it happened, where that was some time ago."""
        if time.time() - self.at < LATE_S:
            return self.entry
        fields = {**self.entry.fields, LATE: moment(self.at)}
        return dataclasses.replace(self.entry, fields=fields)


class Auditing:
    """Used from one event loop. `name` is the master's, `open_file` opens its log. `notes` is the folder where commands leave
    what they did. `told` is called with each trouble as it
    begins, and with an empty text when it is over."""

    def __init__(
        self, name: str, open_file: Callable[[], AuditFile], notes: Optional[Path] = None
    ) -> None:
        self.log = f"master:{name}"
        self._subject = f"master {name}"
        self._open_file = open_file
        self._notes = notes
        self._copies: Optional[Copies] = None
        self._pool = ThreadPoolExecutor(max_workers=WRITERS, thread_name_prefix="audit")
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="audit-read")
        self._waiting: deque[_Waiting] = deque()
        self._dropped = 0
        self._more = Counter()
        self._written = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble = ""
        self.file: Optional[AuditFile] = None
        """None where it could not be opened yet."""
        self.told: Callable[[str], None] = lambda why: None

    @classmethod
    def of(cls, config: MasterConfig, name: str) -> Auditing:
        """As the configuration has it."""
        copies = Copies(config.audit_copies, DAEMON)
        made = cls(name, partial(_opened, config, name, copies), Path(config.state_dir))
        made._copies = copies
        return made

    @property
    def trouble(self) -> str:
        """Why the log can't be written; empty while it can."""
        return self._trouble

    async def start(self) -> None:
        """Returns whether or not the log can be opened: questions are answered without it."""
        await self._try()
        self.event(Entry("audit.started", self._subject))
        await self._take_notes()
        self._tasks = [asyncio.ensure_future(work) for work in (self._write(), self._recover())]

    async def close(self) -> None:
        """What waits is written, if that takes no longer than `CLOSE_S`."""
        self.event(Entry("audit.stopped", self._subject, fields=self._counts()))
        until = time.monotonic() + CLOSE_S
        while self._waiting and not self._trouble and time.monotonic() < until:
            await self._written.passed(self._written.value, 0.1)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.file is not None:
            await self.in_thread(self.file.close)
        if self._copies is not None:
            await self.in_thread(self._copies.close)
        self._pool.shutdown(wait=False)
        self._readers.shutdown(wait=False)

    def _counts(self) -> dict[str, str]:
        """Of copies since the start."""
        if self._copies is None:
            return {}
        return {"copies_sent": str(self._copies.sent), "copies_lost": str(self._copies.lost)}

    async def intent(self, entry: Entry) -> int:
        """Its sequence number. Raises AuditUnavailable: nothing may be begun."""
        return await self._append(entry, essential=False)

    async def outcome(self, entry: Entry) -> None:
        """Of what was done: where it can't be written now it is written later, and the answer is given all the same. Also where
        whoever asked goes away meanwhile."""
        await asyncio.shield(self._write_outcome(entry))

    async def _write_outcome(self, entry: Entry) -> None:
        try:
            await self._append(entry, essential=True)
        except AuditUnavailable:
            self._wait(entry, essential=True)

    def outcome_later(self, entry: Entry) -> None:
        """For who may not wait."""
        self._wait(entry, essential=True)

    def event(self, entry: Entry) -> None:
        """Written soon, in order."""
        self._wait(entry, essential=False)

    def open_intents(self) -> Sequence[Record]:
        """Of a former life of this process, without an outcome so far."""
        return () if self.file is None else self.file.open_intents()

    async def reading(self, function: Callable[[], T]) -> T:
        """Run what looks through logs, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Of those that may wait for the log's disk."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def _wait(self, entry: Entry, *, essential: bool) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._dropped += 1
            return
        self._waiting.append(_Waiting(entry, essential, time.time()))
        self._more.bump()

    async def _write(self) -> None:
        while True:
            seen = self._more.value
            while self._waiting:
                waiting = self._waiting[0]
                try:
                    await self._append(waiting.now(), essential=waiting.essential)
                except AuditUnavailable:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._waiting.popleft()
                self._written.bump()
            if self._dropped:
                fields = {"dropped": str(self._dropped)}
                self._dropped = 0
                self.event(
                    Entry("audit.dropped", self._subject, outcome=Outcome.FAILURE, fields=fields)
                )
            await self._more.passed(seen, FOREVER_S)

    async def _append(self, entry: Entry, *, essential: bool) -> int:
        file = self.file
        if file is None:
            raise AuditUnavailable(self._trouble, remedy=REMEDY)
        try:
            number = await self.in_thread(lambda: file.append(entry, essential=essential))
        except AuditUnavailable as error:
            self._turn(error.message)
            raise AuditUnavailable(error.message, remedy=error.remedy or REMEDY) from error
        self._turn(file.trouble)
        return number

    async def _recover(self) -> None:
        """Looks again while there is trouble."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self._trouble:
                await self._try()
            await self._take_notes()

    async def _take_notes(self) -> None:
        """Of commands that did something to this master. Where the process is killed in between a note may be taken twice."""
        if self._notes is None or self.file is None:
            return
        folder = self._notes
        try:
            found = await self.in_thread(lambda: verbnotes.waiting(folder))
            for entry in found:
                await self._append(entry, essential=True)
            if found:
                await self.in_thread(lambda: verbnotes.taken(folder, len(found)))
        except AuditUnavailable:
            return
        except OSError as error:
            _log.warning("notes of commands are not recorded", why=error.strerror)

    async def _try(self) -> None:
        try:
            if self.file is None:
                self.file = await self.in_thread(self._open_file)
            else:
                await self.in_thread(self.file.recover)
        except HullmarkError as error:
            self._turn(error.message)
            return
        self._turn(self.file.trouble)

    def _turn(self, why: str) -> None:
        before, self._trouble = self._trouble, why
        if bool(before) == bool(why):
            return
        if why:
            _log.error("the audit log can't be written: nothing is changed", why=why)
        else:
            _log.info("the audit log is written again")
        self.told(why)


def _opened(config: MasterConfig, name: str, copies: Copies) -> AuditFile:
    """Raises AuditUnavailable, BrokenState."""
    folder = Path(config.audit_dir)
    try:
        make_folder(folder)
        boot = BOOT_ID.read_text().strip()
    except OSError as error:
        raise AuditUnavailable(
            f"the audit log's folder {folder} can't be made: {error.strerror}", remedy=REMEDY
        ) from error
    limits = Limits(
        rotate_bytes=config.audit_rotate_size,
        keep_s=config.audit_keep,
        reserve_bytes=config.audit_reserve,
    )
    last = Path(config.state_dir) / LAST
    return AuditFile(
        folder / FILE, f"master:{name}", boot, limits=limits, last=last, copy=copies.take
    )
