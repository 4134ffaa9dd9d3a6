"""The file of an audit log that grows, as it is on the disk: all of a group of records, or nothing of it.

After a write or a sync that failed, it is unknown what the disk has, and a later sync that goes well proves nothing of it. So the file is cut back to
what was synced before, and what failed is written again or not at all. Used by one thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional

from hullmark.host.auditlast import End
from hullmark.host.auditopening import Found, examine, notice
from hullmark.host.auditreading import closed_path
from hullmark.model.audit import Entry
from hullmark.model.auditline import Place

FOLDER_MODE = 0o750
FILE_MODE = 0o640
ABOVE_MODE = 0o751
"""Of folders above it: a daemon without root passes through the agent's to its own, and nobody else lists it. As packages make them."""


def make_folder(folder: Path) -> None:
    """Where an audit log is, with the folders above it that are missing; what is there stays as it is. Raises OSError."""
    for parent in reversed(folder.parents):
        if not parent.exists():
            parent.mkdir(mode=ABOVE_MODE, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


class Disk:
    def __init__(self, path: Path, log: str) -> None:
        self.path, self._log = path, log
        self._stream = -1
        self._inode: Optional[tuple[int, int]] = None
        self._spoiled = False
        self._found_end: Optional[End] = None
        self.size, self.first, self.since = 0, 0, 0.0
        """Of the file that grows: bytes that are synced, its first record (0: none), and when that was made."""

    def open(self, last: Optional[End], held: Sequence[Place], now: float) -> Found:
        """The first time. Raises OSError."""
        make_folder(self.path.parent)
        found = examine(self.path, self._log, last, now, held)
        self._take(found)
        self._open()
        return found

    def look(self, end: End, now: float) -> list[Entry]:
        """Before each write: whether the file is still the one that was written to. `end` is the chain's end in the files. What somebody did to it is
        returned. Raises OSError."""
        if self._stream >= 0 and self._is_untouched():
            return []
        notices = []
        if self._spoiled or self._stream < 0 or not self._is_same():
            notices = self._reopen(end, now)
        size = os.fstat(self._stream).st_size
        if size != self.size and not notices:
            what = "foreign" if size > self.size else "shortened"
            notices = [notice(what, self.path, bytes=abs(size - self.size)), *self._again(end, now)]
        return notices

    def add(self, data: bytes, first: int, now: float) -> None:
        """It is on the disk when this returns. `first` is its first record. Raises OSError: nothing of it is there."""
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._stream, left) :]
            os.fdatasync(self._stream)
        except OSError:
            self._spoiled = True
            with suppress(OSError):
                self._cut_back()
            raise
        if self.size == 0:
            self.first, self.since = first, now
        self.size += len(data)

    def rotate(self) -> Path:
        """Closes the file and begins another. Raises OSError."""
        closed = closed_path(self.path, self.first)
        self.path.rename(closed)
        self.close()
        self.size, self.first, self._inode = 0, 0, None
        self._open()
        return closed

    def close(self) -> None:
        if self._stream >= 0:
            os.close(self._stream)
            self._stream = -1

    def _reopen(self, end: End, now: float) -> list[Entry]:
        before = self._inode
        self.close()
        there = self._named()
        if before is not None and there == before:
            self._open()
            if self._spoiled:
                self._cut_back()
            return []
        if before is None and there is None:
            self._open()
            return []
        what = "missing" if there is None else "replaced"
        said = [notice(what, self.path, last=end.seq, hash=end.hash)]
        found = self._again(end, now)
        if before and there and before[1] == there[1] and self._found_end == end and not found:
            return []  # The file system was mounted anew.
        return [*said, *found]

    def _again(self, end: End, now: float) -> list[Entry]:
        """The file is another than it was: its end is looked for as at a start."""
        self.close()
        self._spoiled = False
        make_folder(self.path.parent)
        found = examine(self.path, self._log, end, now)
        self._take(found)
        self._open()
        return [entry for entry in found.notices if entry.kind not in _SAID_ALREADY]

    def _take(self, found: Found) -> None:
        self.size, self.first, self.since = found.size, found.first, found.since
        self._found_end = found.end

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._stream = os.open(self.path, flags, FILE_MODE)
        try:
            status = os.fstat(self._stream)
            self._inode = status.st_dev, status.st_ino
            if status.st_size == 0:
                os.fchmod(self._stream, FILE_MODE)
                if os.geteuid() == 0:
                    os.fchown(self._stream, -1, self.path.parent.stat().st_gid)
            self._sync_folder()
        except OSError:
            self.close()
            raise

    def _cut_back(self) -> None:
        os.ftruncate(self._stream, self.size)
        os.fdatasync(self._stream)
        self._spoiled = False

    def _is_untouched(self) -> bool:
        return not self._spoiled and self._is_same() and os.fstat(self._stream).st_size == self.size

    def _is_same(self) -> bool:
        return self._named() == self._inode

    def _named(self) -> Optional[tuple[int, int]]:
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_SAID_ALREADY = frozenset({"audit.shortened", "audit.missing", "audit.replaced"})
