"""What arrives in the logs that a log host keeps of other hosts: the new text of some files, again and again.

A file that was there at the first look is read from its end on, one that came later from its beginning. A rotated file is followed by
the new one of its name. Bounded: of a flood the oldest part is passed over, and that is counted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from hullmark.host.eye import Eye

FILES_MOST = 2000
READ_MOST = 4 << 20
"""Bytes of one file that one look goes through."""
CHUNK = 256 << 10
LINE_MOST = 4096


@dataclass
class _Place:
    device: int
    inode: int
    offset: int
    rest: bytes = b""


class Incoming:
    """One thread's. `patterns`: paths, with `*` and `?`."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._places: dict[str, _Place] = {}
        self._began = False
        self.passed_over = 0
        """Bytes that were not looked at."""
        self.files = 0
        self.unread: tuple[str, ...] = ()

    def read(self, eye: Eye) -> Iterator[str]:
        """New whole lines, in pieces of up to CHUNK bytes."""
        paths = [path for pattern in self._patterns for path in eye.paths(pattern)][:FILES_MOST]
        unread: list[str] = []
        for path in paths:
            try:
                yield from self._new(eye, path)
            except OSError as error:
                unread.append(f"{path}: {error.strerror}")
        for gone in set(self._places) - set(paths):
            del self._places[gone]
        self.files, self.unread = len(paths), tuple(unread)
        self._began = True

    def _new(self, eye: Eye, path: str) -> Iterator[str]:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(eye.at(path), flags)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return
            place = self._places.get(path)
            if place is None or (place.device, place.inode) != (found.st_dev, found.st_ino):
                start = 0 if self._began else found.st_size
                place = self._places[path] = _Place(found.st_dev, found.st_ino, start)
            elif found.st_size < place.offset:  # truncated, and written anew
                place.offset, place.rest = 0, b""
            if found.st_size - place.offset > READ_MOST:
                self.passed_over += found.st_size - READ_MOST - place.offset
                place.offset, place.rest = found.st_size - READ_MOST, b""
            while place.offset < found.st_size:
                chunk = os.pread(descriptor, CHUNK, place.offset)
                if not chunk:
                    return
                place.offset += len(chunk)
                whole, _, rest = (place.rest + chunk).rpartition(b"\n")
                place.rest = rest[-LINE_MOST:]
                if whole:
                    yield whole.decode("utf-8", "replace")
        finally:
            with suppress(OSError):
                os.close(descriptor)
