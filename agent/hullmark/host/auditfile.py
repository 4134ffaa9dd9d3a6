"""A daemon's audit log on its disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.errors import AuditUnavailable
from hullmark.model.audit import FIRST_PREV, Entry, Head, Record, Stage
from hullmark.model.auditline import hash_of, line_of, parse
from hullmark.model.moments import moment

MIB = 1 << 20
DAY_S = 86400.0


@dataclass(frozen=True)
class Limits:
    """`patience_s`: how long `append` waits for the disk."""

    rotate_bytes: int = 64 * MIB
    keep_s: float = 400 * DAY_S
    reserve_bytes: int = 1 * MIB
    patience_s: float = 10.0


Copy = Callable[[Sequence[bytes]], None]
"""Is given lines that are on the disk. It must neither wait nor raise."""


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
        limits: Limits = Limits(),
        last: Optional[Path] = None,
        wall: Callable[[], float] = time.time,
        copy: Copy = _no_copy,
    ) -> None:
        """Raises AuditUnavailable where it can't be written, BrokenState where it is damaged so that it can't be gone on with."""
        self._path, self._log, self._boot, self._wall, self._copy = path, log, boot, wall, copy
        self._lock = threading.Condition()
        self._lines: list[bytes] = []
        self._open: tuple[Record, ...] = ()
        try:
            if path.exists():
                self._lines = path.read_bytes().splitlines(keepends=True)
            self._stream = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        except OSError as error:
            raise AuditUnavailable(f"the audit log {path} can't be opened: {error}") from error
        self._seq, self._prev = 0, FIRST_PREV
        if self._lines:
            found = [parse(line) for line in self._lines]
            self._seq, self._prev = found[-1].seq, found[-1].hash
            ended = {record.entry.of for record in found if record.entry.stage is Stage.OUTCOME}
            self._open = tuple(
                record
                for record in found
                if record.entry.stage is Stage.INTENT and record.seq not in ended
            )
        self._trouble = ""

    def append(self, entry: Entry, *, essential: bool = False) -> int:
        """The record's sequence number; it is on the disk. `essential`: it may use the reserve where the disk is full.
        Raises AuditUnavailable: it is not recorded, and what it is about must not be begun."""
        with self._lock:
            line = line_of(
                entry,
                seq=self._seq + 1,
                prev=self._prev,
                log=self._log,
                boot=self._boot,
                at=moment(self._wall()),
            )
            try:
                os.write(self._stream, line)
                os.fdatasync(self._stream)
            except OSError as error:
                self._trouble = f"the audit log {self._path} can't be written: {error}"
                raise AuditUnavailable(self._trouble) from error
            self._lines.append(line)
            self._seq, self._prev = self._seq + 1, hash_of(line)
            self._copy([line])
            self._lock.notify_all()
            return self._seq

    @property
    def head(self) -> Head:
        """The newest record that is on the disk; `seq` 0 where there is none."""
        with self._lock:
            return Head(self._log, self._seq, self._prev, self._wall())

    def wait(self, seq: int, timeout_s: float) -> Head:
        """Returns when there is a record after `seq`, or at the end of that time, with the head."""
        with self._lock:
            self._lock.wait_for(lambda: self._seq > seq, timeout_s)
            return self.head

    def open_intents(self) -> tuple[Record, ...]:
        """Those that a process before this one left without an outcome, oldest first."""
        return self._open

    def read(self, first: int, most: int) -> list[bytes]:
        """Up to `most` lines as they stand, from record `first` on, across closed files. What was removed by age is left out, so
        the first line may be of a later record. Only what is on the disk."""
        with self._lock:
            return [line for line in self._lines if parse(line).seq >= first][:most]

    @property
    def trouble(self) -> str:
        """'' while it can be written; else why not, for people."""
        return self._trouble

    def recover(self) -> bool:
        """Looks whether a log in trouble can be written again; to be called every few seconds meanwhile. True: no trouble."""
        return not self._trouble

    def close(self) -> None:
        """Ends after what was handed in; `append` raises AuditUnavailable from then on."""
        os.close(self._stream)
