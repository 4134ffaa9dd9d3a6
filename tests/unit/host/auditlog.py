"""An audit log of the tests' own, what is wrong with its disk, and what it has to hold."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

from hullmark.core.chain import Verifier
from hullmark.host import auditreading
from hullmark.host.auditfile import AuditFile, Copy, Limits
from hullmark.model.audit import Entry, Outcome, Record, Stage
from hullmark.model.auditline import parse

LOG = "host:h1"
SMALL = Limits(rotate_bytes=4000, reserve_bytes=4096, patience_s=5.0)
NOW = 1_800_000_000.0
DAY_S = 86400.0


def intent(number: int = 0) -> Entry:
    return Entry(
        "container.start", f"shop/api.{number}", stage=Stage.INTENT, outcome=Outcome.PENDING
    )


def outcome(of: int) -> Entry:
    return Entry("container.start", "shop/api", stage=Stage.OUTCOME, of=of)


def event(number: int = 0) -> Entry:
    return Entry("order.accepted", f"shop.{number}")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Log:
    """`folder`/log has the log, `folder`/audit.last what is remembered of it."""

    def __init__(self, folder: Path, limits: Limits = SMALL) -> None:
        self.folder, self.limits = folder / "log", limits
        self.path, self.last = self.folder / "audit.log", folder / "audit.last"
        self.clock = Clock()

    def open(self, log: str = LOG, copy: Optional[Copy] = None, **more: Any) -> AuditFile:
        if copy is not None:
            more["copy"] = copy
        return AuditFile(
            self.path, log, "boot", limits=self.limits, last=self.last, wall=self.clock, **more
        )

    def lines(self) -> list[bytes]:
        """Of all its files."""
        files = auditreading.files_of(self.path)
        return [line for file in files for line in file.path.read_bytes().splitlines(keepends=True)]

    def records(self) -> list[Record]:
        return [parse(line) for line in self.lines()]

    def kinds(self) -> list[str]:
        return [record.entry.kind for record in self.records()]


def breaks(lines: Sequence[bytes]) -> list[str]:
    verifier = Verifier()
    found = [verifier.feed(line) for line in lines]
    return [one.why for one in found if one]


class FaultyDisk:
    """The log's file is on a disk that may be full, broken or slow; its reserve is not touched by that. Nothing is really synced. `patch`: monkeypatch's `setattr`."""

    def __init__(self, patch: Callable[[Any, str, Any], object], path: Path) -> None:
        self.full = False
        self.sync_error = 0
        self.before_sync: Callable[[], None] = lambda: None
        self.partial = 7
        """How many bytes a full disk still takes."""
        self.truncate_fails = False
        self._path = str(path)
        self._real_write = os.write
        self._real_truncate = os.ftruncate
        patch(os, "ftruncate", self._truncate)
        patch(os, "write", self._write)
        patch(os, "fdatasync", self._sync)
        patch(os, "fsync", lambda stream: None)

    def _write(self, stream: int, data: Any) -> int:
        if self.full and self._is_log(stream):
            if self.partial:
                self._real_write(stream, bytes(data[: self.partial]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._real_write(stream, data)

    def _sync(self, stream: int) -> None:
        if self._is_log(stream):
            self.before_sync()
            if self.sync_error:
                raise OSError(self.sync_error, os.strerror(self.sync_error))

    def _truncate(self, stream: int, size: int) -> None:
        if self.truncate_fails and self._is_log(stream):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._real_truncate(stream, size)

    def _is_log(self, stream: int) -> bool:
        return str(Path(f"/proc/self/fd/{stream}").readlink()) == self._path
