"""How groups of records come onto the disk, one after the other. Used by one thread.

    look at the file -> what the reserve holds -> what is to be told of the log itself -> the group, one sync for all

Where the disk is full, the essential records of a group go into the reserve; the others fail. Every other trouble fails the whole group.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional

from hullmark.host import auditlast, auditopening, auditreading
from hullmark.host.auditdisk import Disk, make_folder
from hullmark.host.auditintents import FILE, OPEN, OPEN_MAX
from hullmark.host.auditlast import End, LastFile
from hullmark.host.auditlimits import Limits
from hullmark.host.auditopening import notice
from hullmark.host.auditreserve import Reserve
from hullmark.model.audit import Entry, Outcome, Stage
from hullmark.model.auditline import hash_of, place_of, placed, rest_of, source_of
from hullmark.model.moments import moment

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TAMPERED = frozenset(
    f"audit.{what}" for what in ("missing", "shortened", "replaced", "foreign", "damaged")
)


class Ticket:
    """A record that is waited for. `seq` or `error` is set before `lock` is released; `given_up`: nobody waits any more."""

    __slots__ = ("entry", "error", "essential", "given_up", "lock", "rest", "seq")

    def __init__(self, entry: Entry, essential: bool) -> None:
        self.entry, self.rest = entry, rest_of(entry)
        self.essential = essential or entry.stage is Stage.OUTCOME
        self.seq = 0
        self.error = ""
        self.given_up = False
        self.lock = threading.Lock()
        self.lock.acquire()


class Writing:
    """`end` is the chain's end, durable; `stored` its part in the log's files; `held` the lines in the reserve, which come after these."""

    def __init__(
        self,
        path: Path,
        source: tuple[str, str],
        limits: Limits,
        last: Optional[Path],
        wall: Callable[[], float],
        ticks: Callable[[], float],
    ) -> None:
        """`source`: the log and the boot. Raises OSError."""
        self._limits, self._wall, self._ticks = limits, wall, ticks
        self._path = path
        self._source = source_of(*source)
        self._disk = Disk(path, source[0])
        self._reserve = Reserve(path.with_suffix(".reserve"), limits.reserve_bytes)
        self._last = LastFile(last)
        self._notices: list[Entry] = []
        self._open: set[int] = set()
        self._leaving: list[Path] = []
        self._is_fresh = False
        """The file that grows has not yet got the record that each but the first begins with."""
        self._troubled_at = 0.0
        self._refused = 0
        self.trouble = ""
        self.is_full = False
        """Of trouble: that the disk is full, and nothing else."""
        self.findings: tuple[str, ...] = ()
        self.at = 0.0
        """When the last record was made."""
        self.end = self.stored = End(source[0], 0, "")
        remembered = auditlast.load(last) if last is not None else None
        try:
            self._begin(remembered)
        except OSError:
            self.close()
            raise

    @property
    def held(self) -> tuple[bytes, ...]:
        return self._reserve.lines

    @property
    def open_seqs(self) -> set[int]:
        return self._open

    def commit(self, tickets: Sequence[Ticket]) -> list[bytes]:
        """Gives each ticket its number, or its error. The lines that are on the disk now."""
        try:
            return self._write(tickets)
        except OSError as error:
            return self._save(tickets, error)

    def tend(self) -> list[bytes]:
        """What has to be done now and then: closes a file that has its age, removes those that are past theirs."""
        with suppress(OSError):
            if self._disk.first and self._wall() - self._disk.since > self._limits.rotate_s:
                self._rotate()
            self._expire()
        return self.commit([]) if self._notices and not self.trouble else []

    def close(self) -> None:
        self._disk.close()
        self._reserve.close()
        self._last.close()

    def _begin(self, remembered: Optional[End]) -> None:
        now = self._wall()
        make_folder(self._path.parent)
        self._reserve.open()
        held = [place for place in map(place_of, self._reserve.lines) if place is not None]
        found = self._disk.open(remembered, held, now)
        self._notices.extend(found.notices)
        if found.unfit:
            kept = self._path.with_name(f"{self._path.stem}-unfit-{int(now)}{self._path.suffix}")
            self._reserve.set_aside(kept)
            own = any(place.log == found.end.log for place in held)
            self._notices.append(notice("foreign" if own else "former", self._path, kept=kept))
        self.end, self.at = found.end, now
        self.stored = found.stored
        self._expire()

    def _write(self, tickets: Sequence[Ticket]) -> list[bytes]:
        now = self._wall()
        if self.trouble:
            self._reserve.open()
        notices = self._disk.look(self.stored, now)
        self._notices.extend(notices)
        self._is_fresh = self._is_fresh or self._disk.size == 0
        self._empty_reserve(now)
        told = [Ticket(entry, False) for entry in self._told(now)]
        lines, end = self._chained([*told, *tickets], now)
        if lines:
            self._disk.add(b"".join(lines), self.end.seq + 1, now)
        self._note_findings()
        self._notices.clear()
        self._is_fresh = False
        self.trouble, self._refused = "", 0
        self._done([*told, *tickets], end)
        self.stored = end
        self._remove()
        if self._disk.size >= self._limits.rotate_bytes:
            with suppress(OSError):
                self._rotate()
                self._expire()
        return lines

    def _save(self, tickets: Sequence[Ticket], error: OSError) -> list[bytes]:
        """What of a group that the disk did not take is saved in the reserve."""
        if not self.trouble:
            self._troubled_at = self._wall()
        self.trouble = f"the audit log {self._path} can't be written: {error.strerror or error}"
        self.is_full = full = error.errno in FULL
        if not full:
            self._disk.close()  # whoever mends the file system may have to unmount it
            self._reserve.close()
        saved = [ticket for ticket in tickets if full and ticket.essential]
        lines, end = self._chained(saved, self._wall())
        if lines:
            try:
                self._reserve.add(lines)
            except OSError as other:
                self.trouble += f"; and {other.strerror or other}"
                lines, saved = [], []
        self._done(saved, end if lines else self.end)
        for ticket in tickets:
            if ticket not in saved:
                ticket.error = self.trouble
                self._refused += 1
        return lines

    def _empty_reserve(self, now: float) -> None:
        """The process before may have ended after its records were put into the log and before the reserve was cleared."""
        lines = [
            line for line in self._reserve.lines if auditreading.seq_of(line) > self.stored.seq
        ]
        if lines:
            self._disk.add(b"".join(lines), auditreading.seq_of(lines[0]), now)
            self.stored = self.end
        if self._reserve.lines:
            self._reserve.clear()

    def _told(self, now: float) -> list[Entry]:
        """What the log has to say of itself, before anything else."""
        told = list(self._notices)
        if self._is_fresh and self.end.seq:
            told.insert(0, self._first_of_file())
        if self.trouble:
            resumed = notice(
                "resumed",
                self._path,
                Outcome.SUCCESS,
                since=moment(self._troubled_at),
                trouble=self.trouble,
                refused=self._refused,
            )
            told.append(resumed)
        return told

    def _first_of_file(self) -> Entry:
        names = ",".join(str(seq) for seq in sorted(self._open)[-OPEN_MAX:])
        fields = {"after": self.end.seq, OPEN: names}
        return notice(FILE.partition(".")[2], self._path, Outcome.SUCCESS, **fields)

    def _chained(self, tickets: Sequence[Ticket], now: float) -> tuple[list[bytes], End]:
        lines, seq, prev, at = [], self.end.seq, self.end.hash, moment(now)
        for ticket in tickets:
            seq += 1
            line = placed(ticket.rest, seq=seq, prev=prev, source=self._source, at=at)
            prev = hash_of(line)
            lines.append(line)
        return lines, End(self.end.log, seq, prev)

    def _done(self, tickets: Sequence[Ticket], end: End) -> None:
        """They are on the disk."""
        for number, ticket in enumerate(tickets, self.end.seq + 1):
            ticket.seq = number
            if ticket.entry.stage is Stage.INTENT:
                self._open.add(number)
            elif ticket.entry.stage is Stage.OUTCOME:
                self._open.discard(ticket.entry.of)
        if tickets:
            self.end, self.at = end, self._wall()
            self._last.keep(end, self._ticks())

    def _note_findings(self) -> None:
        found = [
            f"{entry.kind}: {', '.join(f'{key} {value}' for key, value in entry.fields.items())}"
            for entry in self._notices
            if entry.kind in _TAMPERED
        ]
        self.findings = (*self.findings, *found)

    def _rotate(self) -> None:
        self._disk.rotate()

    def _expire(self) -> None:
        """Tells of the closed files that are past their age; they are removed once that is on the disk. The newest record's age counts."""
        for file in auditreading.files_of(self._path):
            if file.first is None or file.path in self._leaving:
                continue
            last = auditopening.last_of(file.path)
            made = auditopening.time_of(last, file.path.stat().st_mtime)
            if self._wall() - made <= self._limits.keep_s:
                break
            self._leaving.append(file.path)
            fields = {"file": file.path.name, "first": file.first, "last": last.seq if last else 0}
            hash_ = last.hash if last else ""
            self._notices.append(
                notice("removed", self._path, Outcome.SUCCESS, hash=hash_, **fields)
            )

    def _remove(self) -> None:
        while self._leaving:
            with suppress(OSError):
                self._leaving[0].unlink()
            del self._leaving[0]
