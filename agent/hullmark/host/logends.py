"""What is written to a log from now on: how a check sees its own line arrive, at logs of any size, and across a rotation."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Optional

from hullmark.host.eye import Eye
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble

POLL_S = 0.1
MOST = 32 << 20
"""How much of one log is read in one look: at more than this a second nobody else keeps up with it either."""
_CHUNK = 256 << 10
_LINE_MOST = 4096


class Ends:
    """The ends of these files as they are when it is made. Used with `with`."""

    def __init__(self, eye: Eye, paths: Sequence[str]) -> None:
        self._eye = eye
        self._ends = [_End(eye, path) for path in paths]

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()

    def wait(self, name: str, nonce: str, seconds: float) -> Reading:
        """For the line with this canary, in any of them. The reading's text is that line, empty where it did not come. Facts: `nonce`;
        `file` where it was; `waited_s`; `missing` and `unreadable` (not ours to read, or no regular file), the files that are, by commas."""
        begun, left_s = self._eye.wall(), self._eye.left_s
        until_s = max(0.0, left_s - seconds)
        while True:
            for end in self._ends:
                line = end.find(nonce)
                if line:
                    return self._reading(name, nonce, begun, left_s, line, end.path)
            if self._eye.left_s <= until_s or not self._eye.pause(POLL_S):
                return self._reading(name, nonce, begun, left_s, "", "")

    def _reading(
        self, name: str, nonce: str, at: float, left_s: float, line: str, path: str
    ) -> Reading:
        facts = {
            "nonce": nonce,
            "file": path,
            "waited_s": f"{left_s - self._eye.left_s:.1f}",
            "missing": ",".join(end.path for end in self._ends if end.trouble is Trouble.MISSING),
            "unreadable": ",".join(end.path for end in self._ends if end.trouble is Trouble.DENIED),
        }
        source = path or ", ".join(end.path for end in self._ends)
        return Reading(name, source, text=line, facts=facts, at=at)


class _End:
    def __init__(self, eye: Eye, path: str) -> None:
        self.path = path
        self.trouble = Trouble.NONE
        self._place = eye.at(path)
        self._rest = b""
        self._left = MOST
        self._file: Optional[BinaryIO] = None
        self._open(at_end=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def find(self, nonce: str) -> str:
        """The line with it, as far as it has come; empty where there is none."""
        found = self._read(nonce)
        if not found and self._was_replaced():
            self._open(at_end=False)
            found = self._read(nonce)
        return found

    def _open(self, *, at_end: bool) -> None:
        self.close()
        self._rest = b""
        try:
            # A pipe is nothing to read: whoever does takes what is in it from another.
            self.trouble = Trouble.NONE
            if not stat.S_ISREG(self._place.stat().st_mode):
                self.trouble = Trouble.DENIED
                return
            number = os.open(self._place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._file = os.fdopen(number, "rb", buffering=0)
            if at_end:
                self._file.seek(0, os.SEEK_END)
        except PermissionError:
            self.trouble = Trouble.DENIED
        except OSError:
            self.trouble = Trouble.MISSING

    def _was_replaced(self) -> bool:
        """By another file, or cut to a shorter one."""
        try:
            there = self._place.stat()
        except OSError:
            self.trouble = Trouble.MISSING
            return False
        if self._file is None:
            return True
        mine = os.fstat(self._file.fileno())
        if (mine.st_ino, mine.st_dev) != (there.st_ino, there.st_dev):
            return True
        return there.st_size < self._file.tell()

    def _read(self, nonce: str) -> str:
        while self._file is not None and self._left > 0:
            chunk = b""
            with suppress(OSError):
                chunk = self._file.read(_CHUNK) or b""
            if not chunk:
                return ""
            self._left -= len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                if nonce.encode() in line:
                    text = line[:_LINE_MOST].decode("utf-8", "replace")
                    if any(one.nonce == nonce for one in canary.find(text)):
                        return text
            self._rest = self._rest[-_LINE_MOST:]
        return ""
