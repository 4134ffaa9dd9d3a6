"""What is found when an audit log is opened: where its chain ends, what has to be mended, and what somebody did to it.

What was written last, when the process or the machine ended in the middle, may be a part of a line; it was acknowledged to nobody, and is
cut off. More than that is cut only where no later line is good, and is kept in a file of its own. Whatever was done to the files, the chain
goes on from the latest record that is known, and says what was found in a record of its own.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.host.auditlast import End
from hullmark.host.auditreading import LogFile, files_of
from hullmark.model.audit import FIRST_PREV, Entry, Outcome
from hullmark.model.auditline import Place, is_good, place_of
from hullmark.model.moments import NS_PER_S, nanoseconds

TAIL_MAX = 4 << 20
GROUP_MAX = 1 << 20
"""What one group of records has at most: a crash of the machine can leave zeros in no more than that."""


@dataclass(frozen=True)
class Found:
    """`end`: the last record of the chain, in the files, in the reserve, or only remembered; `stored`: without the reserve. `size`, `first` and `since` are of the file that grows, after
    mending: its length, its first record (0: none) and that one's time (seconds since 1970). `unfit`: what the reserve holds does not
    go on from there."""

    end: End
    stored: End
    size: int
    first: int
    since: float
    notices: tuple[Entry, ...]
    unfit: bool = False


def notice(what: str, path: Path, outcome: Outcome = Outcome.FAILURE, **fields: object) -> Entry:
    return Entry(
        f"audit.{what}",
        str(path),
        outcome=outcome,
        fields={key: str(value) for key, value in fields.items()},
    )


def examine(
    path: Path, log: str, last: Optional[End], now: float, held: Sequence[Place] = ()
) -> Found:
    """`last`: what is remembered of the log; `held`: the records in the reserve. Mends the file that grows. Raises OSError, also for
    what is no regular file."""
    check_kind(path)
    if last is not None and last.log != log:
        last = None
    notices = list(_set_aside_others(path, log, now))
    notices += _mend(path, now)
    files = files_of(path)
    ended = _end_of(files)
    end = End(log, ended.seq, ended.hash) if ended else End(log, 0, FIRST_PREV)
    stored = end
    fits = _fit(held, end, last)
    if held and fits and held[-1].seq > end.seq:
        end = End(log, held[-1].seq, held[-1].hash)
    notices += _compare(path, files, end, last)
    if last is not None and last.seq >= end.seq:
        stored = last if stored == end else stored
        end = last
    first = _first(path)
    size = path.stat().st_size if path.exists() else 0
    since = time_of(first, now)
    number = first.seq if first else 0
    return Found(end, stored, size, number, since, tuple(notices), not fits)


def check_kind(path: Path) -> None:
    """Raises OSError where something else than a regular file, such as a link or a pipe, is in the place of the log."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "there is no regular file in its place", str(path))


def _fit(held: Sequence[Place], end: End, last: Optional[End]) -> bool:
    """Whether what the reserve holds is of this log, and goes on from the end of its files, or is what was remembered as its end."""
    if any(place.log != end.log for place in held):
        return False
    seq, hash_ = end.seq, end.hash
    if held and last == End(held[-1].log, held[-1].seq, held[-1].hash):
        seq, hash_ = held[0].seq - 1, held[0].prev
    for place in held:
        if place.seq <= seq:
            continue
        if (place.seq, place.prev) != (seq + 1, hash_):
            return False
        seq, hash_ = place.seq, place.hash
    return True


def time_of(place: Optional[Place], otherwise: float) -> float:
    """When a record was made, in seconds since 1970."""
    found = nanoseconds(place.at) if place is not None else None
    return otherwise if found is None else found / NS_PER_S


def last_of(path: Path) -> Optional[Place]:
    """The last good record of a file; None where its end has none. Raises OSError."""
    lines = _tail(path)
    index = _last_good(lines)
    return place_of(lines[index]) if index >= 0 else None


def _compare(path: Path, files: list[LogFile], end: End, last: Optional[End]) -> Iterable[Entry]:
    if last is None:
        if end.seq == 0:
            yield notice("begun", path, Outcome.SUCCESS)
        return
    if end.seq < last.seq:
        what = "shortened" if any(file.path == path for file in files) else "missing"
        yield notice(what, path, first=end.seq + 1, last=last.seq)
    elif end.seq == last.seq and end.hash != last.hash:
        yield notice("replaced", path, last=last.seq, hash=last.hash, found=end.hash)


def _set_aside_others(path: Path, log: str, now: float) -> Iterable[Entry]:
    """The files of another log that was kept here before, such as of this host under an earlier identity."""
    first = _first(path)
    if first is None or first.log == log:
        return
    stamp = re.sub(r"[^A-Za-z0-9.-]+", "-", first.log)
    for file in files_of(path):
        file.path.rename(path.parent / f"former-{stamp}-{int(now)}-{file.path.name}")
    yield notice("former", path, Outcome.SUCCESS, log=first.log)


def _mend(path: Path, now: float) -> Iterable[Entry]:
    if not path.exists() or path.stat().st_size == 0:
        return
    lines = _tail(path)
    index = _last_good(lines)
    if index < 0 and path.stat().st_size > TAIL_MAX:
        kept = path.with_name(f"{path.stem}-damaged-{int(now)}{path.suffix}")
        path.rename(kept)
        yield notice("damaged", path, kept=kept)
        return
    cut = b"".join(lines[index + 1 :])
    if cut:
        yield _cut(path, cut, now)


def _cut(path: Path, cut: bytes, now: float) -> Entry:
    """A part of one line is what a process leaves that was killed; of more, somebody may want to know what it was."""
    fields: dict[str, object] = {"bytes": len(cut), "sha256": hashlib.sha256(cut).hexdigest()}
    torn = b"\n" not in cut and b"\0" not in cut
    if not torn:
        kept = path.with_name(f"{path.stem}-cut-{int(now)}{path.suffix}")
        kept.write_bytes(cut)
        kept.chmod(0o640)
        fields["kept"] = kept
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - len(cut))
        os.fsync(stream.fileno())
    return notice("mended", path, Outcome.SUCCESS if torn else Outcome.FAILURE, **fields)


def _last_good(lines: list[bytes]) -> int:
    """The index of the last line that ends and is a record whose hash is right; -1: none. Zeros within a group's length of the end are
    what a crash of the machine left: nothing from there on was acknowledged."""
    end, size = len(lines), 0
    for index in range(len(lines) - 1, -1, -1):
        size += len(lines[index])
        if size > GROUP_MAX:
            break
        if b"\0" in lines[index]:
            end = index
    for index in range(end - 1, -1, -1):
        if lines[index].endswith(b"\n") and is_good(lines[index]) and place_of(lines[index]):
            return index
    return -1


def _end_of(files: list[LogFile]) -> Optional[Place]:
    for file in reversed(files):
        found = last_of(file.path)
        if found is not None:
            return found
    return None


def _first(path: Path) -> Optional[Place]:
    try:
        with path.open("rb") as stream:
            return place_of(stream.readline())
    except FileNotFoundError:
        return None


def _tail(path: Path) -> list[bytes]:
    """The lines of a file's end; the first is whole."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_MAX))
        lines = stream.read().splitlines(keepends=True)
    return lines[1:] if size > TAIL_MAX else lines
