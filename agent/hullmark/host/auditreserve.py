"""Room on the disk that is held for records of what must go on when the disk is full.

The file is written full of zeros once, so that records can be written over them without asking the file system for space (but for one
that copies on write, such as btrfs). The records in it are a part of the log's chain, and go into the log as soon as there is room.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from hullmark.model.auditline import is_good


class Reserve:
    """`size` in bytes. Opened before anything else is done with it."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._stream = -1
        self._room = 0
        self.lines: tuple[bytes, ...] = ()
        """The records that it holds, the oldest first."""

    @property
    def room(self) -> int:
        """Bytes that it has, used or not. Less than its size where the disk had no room for it."""
        return self._room

    def open(self) -> None:
        """Reads what it holds (or writes it, where it was closed meanwhile), and makes it as large as it has to be if it can. Raises
        OSError where it can't be read."""
        if self._stream < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._stream = os.open(self._path, flags, 0o640)
            self._room = os.fstat(self._stream).st_size
            if self.lines:
                os.pwrite(self._stream, b"".join(self.lines), 0)
                os.fdatasync(self._stream)
            else:
                self.lines = self._held()
        if self._room < self._size:
            with suppress(OSError):
                self._grow()

    def add(self, lines: list[bytes]) -> None:
        """They are on the disk when this returns. Raises OSError, also where it is used up."""
        used = sum(map(len, self.lines))
        data = b"".join(lines)
        if used + len(data) > self._room:
            raise OSError(errno.ENOSPC, "the reserve is used up", str(self._path))
        os.pwrite(self._stream, data, used)
        os.fdatasync(self._stream)
        self.lines = (*self.lines, *lines)

    def clear(self) -> None:
        """Raises OSError."""
        used = sum(map(len, self.lines))
        os.pwrite(self._stream, b"\0" * used, 0)
        os.fdatasync(self._stream)
        self.lines = ()

    def set_aside(self, kept: Path) -> None:
        """What it holds is no part of this log, and is kept in a file of its own, which needs no space on the disk. Raises OSError."""
        os.ftruncate(self._stream, sum(map(len, self.lines)))
        self._path.rename(kept)
        self.close()
        self.lines = ()
        self.open()

    def close(self) -> None:
        if self._stream >= 0:
            os.close(self._stream)
            self._stream = -1

    def _held(self) -> tuple[bytes, ...]:
        """One that was not written to its end is none: nobody was told that it is there."""
        found = []
        for line in os.pread(self._stream, self._room, 0).splitlines(keepends=True):
            if not line.endswith(b"\n") or not is_good(line):
                break
            found.append(line)
        return tuple(found)

    def _grow(self) -> None:
        os.fchmod(self._stream, 0o640)
        if os.geteuid() == 0:
            os.fchown(self._stream, -1, self._path.parent.stat().st_gid)
        at = self._room
        try:
            while at < self._size:
                at += os.pwrite(self._stream, b"\0" * min(1 << 16, self._size - at), at)
            os.fsync(self._stream)
        except OSError:
            os.ftruncate(self._stream, self._room)
            raise
        self._room = self._size
