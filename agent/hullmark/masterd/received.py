"""Audit records of others, as they stand in their logs: what agents and the other master sent, each log in a folder of its own.

    received/host:h1/001-000000000001.log      a new file begins where one is full
    received/host:h1/002-000000000311.log      the log was accepted anew, from record 311 on

What is acknowledged is on the disk. The first number grows where a log that no longer continued was accepted by an operator's word; what
was there before is kept. Files go by age, as those of a log do.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.core.chain import Verifier
from hullmark.core.headsfile import Break
from hullmark.errors import AuditUnavailable
from hullmark.model.audit import Head
from hullmark.model.auditline import TAIL_BYTES
from hullmark.pki.files import sync_folder

FOLDER = "received"
FILE_BYTES = 16 << 20
LINE_MAX_BYTES = 256 << 10
PIECE_BYTES = 1 << 20
DAY_S = 86400.0
BURST_BYTES = 1 << 30
EACH_S_BYTES = 64 << 10
"""What is taken of one log: so much at once, as a new leader is sent all that there is, and then so much a second. Who is root on one
host can't fill a master's disk at will."""
RECENT = 32
"""Records of each log whose hashes are remembered: heads come at about the same time as their records."""
LOOK_S = 3600.0
"""How often it is looked for files that are too old."""

_LOG = re.compile(r"(host|master):[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_NAME = re.compile(r"(?P<branch>[0-9]{3})-(?P<first>[0-9]{12,19})\.log")
_PLAIN = re.compile(rb"[\x20-\x7f]+")
"""As every record is written. A line end in one would put whole lines of somebody's own into the file."""
_TAIL_BYTES = LINE_MAX_BYTES + 2

_log = log.get("received")

Matches = Callable[[str, bytes], bool]
"""(log, line): whether it is wanted."""


def all_lines(log_name: str, line: bytes) -> bool:
    return True


@dataclass(frozen=True)
class Tail:
    """Where the received part of a log ends. `seq` 0: nothing of this branch is there yet."""

    seq: int = 0
    hash: str = ""
    branch: int = 1
    path: Optional[Path] = None
    size: int = 0


@dataclass(frozen=True)
class Taken:
    """`cursor`: the last record that is on the disk. `why`: why the lines were not taken. `broken`: they don't continue the log."""

    cursor: int
    why: str = ""
    broken: Optional[Break] = None


class Records:
    """May be used from any thread. `folder` is the master's `audit`, `keep_s` how long files are kept."""

    def __init__(
        self, folder: Path, keep_s: float = 400 * DAY_S, wall: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder / FOLDER
        self._keep_s = keep_s
        self._wall = wall
        self._lock = threading.Lock()
        self._tails: dict[str, Tail] = {}
        self._recent: dict[str, dict[int, str]] = {}
        self._left: dict[str, tuple[float, float]] = {}
        self._looked_at = 0.0

    def tail(self, log_name: str) -> Tail:
        """Raises AuditUnavailable."""
        with self._lock:
            return self._tail(log_name)

    def take(
        self, log_name: str, first: int, lines: Sequence[str], vouched: Optional[Head] = None
    ) -> Taken:
        """Lines with consecutive numbers, the first of them `first`; a head that was vouched for has to be in them as it was. Raises AuditUnavailable, and then nothing of them is kept."""
        with self._lock:
            tail = self._tail(log_name)
            if not lines:
                return Taken(tail.seq)
            if tail.seq and first != tail.seq + 1:
                return Taken(tail.seq, f"the next record wanted is number {tail.seq + 1}")
            texts = [line.encode("utf-8", "surrogatepass") for line in lines]
            wanted = {*range(first + len(texts) - RECENT, first + len(texts))}
            verifier = Verifier(wanted if vouched is None else wanted | {vouched.seq})
            end, why = _follows(log_name, tail, first, texts, verifier)
            why = why or _contradicts(vouched, verifier)
            if end is None:
                return Taken(tail.seq, why)
            if why:
                return Taken(tail.seq, why, Break(end, why))
            if not self._may_grow(log_name, sum(len(text) for text in texts)):
                return Taken(
                    tail.seq, "it sends more than is taken in of one log: it may go on slowly"
                )
            self._append(log_name, tail, first, texts, end)
            recent = sorted({**self._recent.get(log_name, {}), **verifier.seen}.items())
            self._recent[log_name] = dict(recent[-RECENT:])
            return Taken(end.seq)

    def _may_grow(self, log_name: str, size: int) -> bool:
        now = self._wall()
        left, at = self._left.get(log_name, (float(BURST_BYTES), now))
        left = min(float(BURST_BYTES), left + max(0.0, now - at) * EACH_S_BYTES)
        fits = size <= left
        self._left[log_name] = (left - size if fits else left), now
        return fits

    def hash_of(self, log_name: str, seq: int) -> str:
        """Of one of the newest records, as it was received; empty for one that isn't known any more, or not yet."""
        with self._lock:
            self._tail(log_name)
            return self._recent.get(log_name, {}).get(seq, "")

    def accept(self, log_name: str) -> None:
        """It goes on from whatever it is now, in a branch of its own, which an empty file begins. Raises AuditUnavailable."""
        with self._lock:
            tail = self._tail(log_name)
            if tail.path is None:
                return
            branch = tail.branch + 1
            begin = self._folder / log_name / f"{branch:03}-{0:012}.log"
            try:
                begin.touch(mode=0o600)
                sync_folder(begin.parent)
            except OSError as error:
                raise self._unusable(error) from error
            self._tails[log_name] = Tail(branch=branch)
            self._recent.pop(log_name, None)

    def logs(self) -> list[str]:
        """Of which something is here. Raises AuditUnavailable."""
        try:
            found = sorted(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error
        return [name for name in found if _LOG.fullmatch(name)]

    def find(
        self,
        matches: Matches = all_lines,
        logs: Optional[Collection[str]] = None,
        *,
        after: int = 0,
        texts: Collection[bytes] = (),
    ) -> Iterator[tuple[str, bytes]]:
        """(log, line) of what is wanted, log by log, each in the order of its records; lines without their ends. Files are left
        out that have only records up to number `after`, or in which none of the `texts` stands. Raises AuditUnavailable."""
        for log_name in self.logs():
            if logs is not None and log_name not in logs:
                continue
            try:
                yield from self._lines(log_name, matches, after, texts)
            except OSError as error:
                raise self._unusable(error) from error

    def _lines(
        self, log_name: str, matches: Matches, after: int, texts: Collection[bytes]
    ) -> Iterator[tuple[str, bytes]]:
        """A branch begins with what the one before it has too: that is given once."""
        files = self._files(log_name)
        given: set[bytes] = set()
        for path, following in zip_longest(files, files[1:]):
            if _ends_by(path, following, after) or (texts and not _holds(path, texts)):
                continue
            is_last = path.name[:3] == files[-1].name[:3]
            with path.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n") or not matches(log_name, line[:-1]):
                        continue
                    hash_ = line[-TAIL_BYTES:]
                    if hash_ not in given:
                        yield log_name, line[:-1]
                    if not is_last:
                        given.add(hash_)

    def _files(self, log_name: str) -> list[Path]:
        """In the order of their records."""
        if not _LOG.fullmatch(log_name):
            raise AuditUnavailable(f"{log_name[:64]!r} is no log's name")
        try:
            found = list((self._folder / log_name).iterdir())
        except FileNotFoundError:
            return []
        return sorted(path for path in found if _NAME.fullmatch(path.name))

    def _tail(self, log_name: str) -> Tail:
        known = self._tails.get(log_name)
        if known is None:
            try:
                known = self._read_tail(log_name)
            except OSError as error:
                raise self._unusable(error) from error
            self._tails[log_name] = known
        return known

    def _read_tail(self, log_name: str) -> Tail:
        for path in reversed(self._files(log_name)):
            named = _NAME.fullmatch(path.name)
            assert named is not None
            size = path.stat().st_size
            if not size and not int(named["first"]):
                return Tail(branch=int(named["branch"]))
            with path.open("rb") as file:
                file.seek(max(0, size - _TAIL_BYTES))
                end = file.read()
            whole = end.rfind(b"\n") + 1
            if whole < len(end):
                size -= len(end) - whole
                os.truncate(path, size)  # it was never acknowledged
            lines = end[:whole].splitlines()
            if lines:
                verifier = Verifier()
                verifier.feed(lines[-1])
                if verifier.head is None or verifier.breaks:
                    raise AuditUnavailable(
                        f"{path}: its last line is no record", remedy="keep it, and move it away"
                    )
                head = verifier.head
                self._recent[log_name] = {head.seq: head.hash}
                return Tail(head.seq, head.hash, int(named["branch"]), path, size)
        return Tail()

    def _append(
        self, log_name: str, tail: Tail, first: int, texts: Sequence[bytes], end: Head
    ) -> None:
        content = b"".join(text + b"\n" for text in texts)
        path, size = tail.path, tail.size
        if path is None or size >= FILE_BYTES:
            path, size = self._folder / log_name / f"{tail.branch:03}-{first:012}.log", 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, size, content)
            if not size:
                sync_folder(path.parent)
        except OSError as error:
            raise self._unusable(error) from error
        self._tails[log_name] = Tail(end.seq, end.hash, tail.branch, path, size + len(content))
        self._remove_old()

    def _remove_old(self) -> None:
        """Files whose last record is older than is kept; never the one that a log grows in."""
        now = self._wall()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        try:
            for log_name in self.logs():
                for path in self._files(log_name)[:-1]:
                    if now - path.stat().st_mtime > self._keep_s:
                        path.unlink()
                        _log.info("removed by age", file=path)
        except OSError as error:
            _log.warning("old records are not removed", why=error.strerror)

    def _unusable(self, error: OSError) -> AuditUnavailable:
        return AuditUnavailable(f"{self._folder} can't be used: {error.strerror}")


def _ends_by(path: Path, following: Optional[Path], number: int) -> bool:
    """Whether a file's last record is that one or an earlier one, as the name of the next file of its branch says."""
    own, other = _NAME.fullmatch(path.name), following and _NAME.fullmatch(following.name)
    if not (own and other) or own["branch"] != other["branch"]:
        return False
    return int(other["first"]) <= number + 1


def _holds(path: Path, texts: Collection[bytes]) -> bool:
    """Much faster than to look at each line."""
    most = max(map(len, texts))
    rest = b""
    with path.open("rb") as file:
        while True:
            piece = file.read(PIECE_BYTES)
            if not piece:
                return False
            together = rest + piece
            if any(text in together for text in texts):
                return True
            rest = together[-most:]


def _follows(
    log_name: str, tail: Tail, first: int, texts: Sequence[bytes], verifier: Verifier
) -> tuple[Optional[Head], str]:
    """The newest of these lines, and why they are not what follows; no head where they are no such records at all."""
    for number, text in enumerate(texts, first):
        broken = verifier.feed(text)
        end = verifier.head
        if broken is not None or end is None:
            return None, f"record {number}: {broken.why if broken else 'it is no record'}"
        if len(text) > LINE_MAX_BYTES or not _PLAIN.fullmatch(text):
            return None, f"record {number}: it is too long, or not one line of plain text"
        if (end.log, end.seq) != (log_name, number):
            return None, f"record {number}: it says that it is number {end.seq} of {end.log[:64]}"
    begin, end = verifier.first, verifier.head
    assert begin is not None
    assert end is not None
    head = Head(log_name, end.seq, end.hash, 0.0)
    if tail.seq and begin.prev != tail.hash:
        return head, (
            f"its record number {first} does not follow record number {tail.seq} as it was received:"
            " the log was put back to an earlier state, or replaced"
        )
    return head, ""


def _contradicts(vouched: Optional[Head], verifier: Verifier) -> str:
    if vouched is None or verifier.seen.get(vouched.seq, vouched.hash) == vouched.hash:
        return ""
    return f"its record number {vouched.seq} is not the one that was vouched for: it was replaced"


def _write(path: Path, size: int, content: bytes) -> None:
    """On the disk, behind what is known to be good of the file; whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size)
        try:
            place = size
            view = memoryview(content)
            while view:
                written = os.pwrite(descriptor, view, place)
                view, place = view[written:], place + written
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
