"""What a log file gets from now on: for a check that logs a line, and looks for it where a tool writes what was logged."""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import BinaryIO, Optional

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

CHUNK = 64 << 10
NEW_MOST = 16 << 20
"""Bytes that are gone through at one look at the file; what grows by more is a flood, and only its newest is looked at."""
LINE_MOST = 4096
POLL_S = 0.2


class Tail:
    """Of a file, from where it ends now on. One that isn't there yet may come; after a rotation the rest of the old one is looked
    at, then the new one from its beginning. To be closed."""

    def __init__(self, eye: Eye, path: str) -> None:
        self._eye = eye
        self._path = path
        self._rest = b""
        self._trouble, self._said = Trouble.NONE, ""
        self._file = self._opened()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> Tail:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._file is not None:
            self._file.close()

    def wait(self, name: str, needle: str, within_s: float) -> Reading:
        """The line that has `needle`, as soon as it is there; `facts` has how long that took (`waited`). Else: `MISSING` where there
        is no file, `TIMED_OUT` where the line did not come in time, `DENIED` and `FAILED` as they say."""
        began = self._eye.wall()
        polls = max(1, round(within_s / POLL_S))
        line = self._find(needle.encode())
        while not line and polls and self._eye.pause(POLL_S):
            polls -= 1
            line = self._find(needle.encode())
        facts = {"waited": f"{max(0.0, self._eye.wall() - began):.2f}"}
        if line:
            return Reading(name, self._path, text=line, facts=facts, at=began)
        trouble = Trouble.TIMED_OUT if self._trouble is Trouble.NONE else self._trouble
        return Reading(name, self._path, errors=self._said, trouble=trouble, facts=facts, at=began)

    def _find(self, needle: bytes) -> str:
        try:
            line = self._search(needle)
            if not line and self._is_replaced():
                self._reopen()
                line = self._search(needle)
        except OSError as error:
            self._trouble, self._said = Trouble.FAILED, str(error)
            return ""
        return line

    def _search(self, needle: bytes) -> str:
        """Through what came since the last time; a line that isn't whole yet is kept for the next."""
        if self._file is None:
            return ""
        size, at = os.fstat(self._file.fileno()).st_size, self._file.tell()
        if size < at:  # truncated, and written from its beginning
            self._file.seek(0)
            self._rest = b""
        elif size - at > NEW_MOST:
            self._file.seek(size - NEW_MOST)
            self._rest = b""
        while chunk := self._file.read(CHUNK):
            lines = (self._rest + chunk).split(b"\n")
            self._rest = lines.pop()[-LINE_MOST:]
            for line in lines:
                if needle in line:
                    return line[:LINE_MOST].decode("utf-8", "replace")
        return ""

    def _is_replaced(self) -> bool:
        try:
            there = self._eye.at(self._path).stat()
        except OSError:
            return False
        if self._file is None:
            return True
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _reopen(self) -> None:
        if self._file is not None:
            self._file.close()
        self._rest = b""
        self._trouble, self._said = Trouble.NONE, ""
        self._file = self._opened()

    def _opened(self) -> Optional[BinaryIO]:
        """From its beginning. Waits for nothing, whatever the path leads to."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            descriptor = os.open(self._eye.at(self._path), flags)
        except FileNotFoundError:
            self._trouble = Trouble.MISSING
        except PermissionError as error:
            self._trouble, self._said = Trouble.DENIED, str(error)
        except OSError as error:
            self._trouble, self._said = Trouble.FAILED, str(error)
        else:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return os.fdopen(descriptor, "rb")
            os.close(descriptor)
            self._trouble, self._said = Trouble.FAILED, "no regular file"
        return None
