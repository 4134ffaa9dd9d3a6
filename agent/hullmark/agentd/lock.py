"""One agent for each state folder: the folder itself is locked, which needs no disk space and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from hullmark.errors import Conflict, Refused

PAIR_LOCK = "pair.lock"
PAIR_LOCK_S = 30.0
"""A renewal takes a second or two; one that gets no answer, about so long."""
LOOK_S = 0.05


class FolderLock:
    """Held until `release`, or until the process ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        """Raises Conflict where another process has it, OSError where the folder can't be opened."""
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(os.fstat(self._descriptor).st_ino)
            os.close(self._descriptor)
            process = f" (process {holder})" if holder else ""
            raise Conflict(
                f"another agent{process} uses {folder}",
                remedy="stop that one first, or give this one a state_dir of its own in agent.yaml",
            ) from error

    def release(self) -> None:
        os.close(self._descriptor)


@contextmanager
def pair_lock(folder: Path, wait_s: float = PAIR_LOCK_S) -> Iterator[None]:
    """Held while key and certificate are made anew: by a person, or by the daemon. Raises Conflict where another has it
    all that time, Refused where the folder can't be written."""
    try:
        descriptor = os.open(folder / PAIR_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(
            f"{folder / PAIR_LOCK}: {error.strerror}",
            remedy=f"make {folder} writable for this user; free space: df {folder}",
        ) from error
    try:
        until = time.monotonic() + wait_s
        while not _taken(descriptor):
            if time.monotonic() >= until:
                raise Conflict(
                    f"another renewal or enrolment is at work in {folder}",
                    remedy="wait for it, then repeat this",
                )
            time.sleep(LOOK_S)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(inode: int) -> Optional[int]:
    """From /proc/locks: `1: FLOCK  ADVISORY  WRITE 5678 08:01:1234 0 EOF` (proc(5))."""
    try:
        rows = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for row in rows:
        words = row.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return None
