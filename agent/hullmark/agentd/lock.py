"""One agent for each state folder: the folder itself is locked, which needs no disk space and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Optional

from hullmark.errors import Conflict


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
