"""The small file that remembers the end of an audit log, beside the daemon's state.

It is written with each group of records, and synced now and then, so after a crash of the machine it may be behind the log, and is never
before it. A log that ends earlier than this file says was shortened or removed.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.model import jsontext

BYTES = 512
SYNC_S = 5.0


@dataclass(frozen=True)
class End:
    """Of a log: its last record's sequence number and hash."""

    log: str
    seq: int
    hash: str


def load(path: Path) -> Optional[End]:
    """None where there is none, or it is damaged."""
    try:
        if not path.is_file():
            return None
        text, _, check = path.read_bytes()[:BYTES].rstrip(b"\n ").rpartition(b" ")
        if hashlib.sha256(text).hexdigest().encode() != check:
            return None
        values = jsontext.loads(text)
        return End(str(values["log"]), int(values["seq"]), str(values["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class LastFile:
    """Its failures are not told: what it remembers is a witness, not the record."""

    def __init__(self, path: Optional[Path]) -> None:
        self._path = path
        self._stream = -1
        self._synced_at = 0.0

    def keep(self, end: End, now: float) -> None:
        """`now`: a clock that only runs forward, in seconds."""
        text = json.dumps({"log": end.log, "seq": end.seq, "hash": end.hash}).encode()
        line = text + b" " + hashlib.sha256(text).hexdigest().encode()
        with suppress(OSError):
            if self._stream < 0 and self._path is not None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                self._stream = os.open(self._path, flags, 0o600)
            if self._stream >= 0:
                os.pwrite(self._stream, line.ljust(BYTES - 1) + b"\n", 0)
                if now - self._synced_at >= SYNC_S:
                    self._synced_at = now
                    os.fdatasync(self._stream)

    def close(self) -> None:
        if self._stream >= 0:
            with suppress(OSError):
                os.fdatasync(self._stream)
            os.close(self._stream)
            self._stream = -1
