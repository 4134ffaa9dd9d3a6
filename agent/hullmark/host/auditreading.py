"""The files of an audit log, and reading records out of them.

`audit.log` grows; beside it are closed ones, `audit-FIRST.log`, FIRST being the sequence number of their first record in twelve
digits. Records are found by bisection: a line begins with its sequence number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Optional

MOST_BYTES = 4 << 20
"""One `read` returns no more than this, but for its first line."""

_SEQ = re.compile(rb'\{"seq":([1-9][0-9]{0,18}),')
_CHUNK = 1 << 16
_NEAR = 1 << 14


@dataclass(frozen=True)
class LogFile:
    """`first`: the sequence number of its first record, by its name; None: the file that grows."""

    path: Path
    first: Optional[int] = None


def closed_path(path: Path, first: int) -> Path:
    return path.with_name(f"{path.stem}-{first:012d}{path.suffix}")


def files_of(path: Path) -> list[LogFile]:
    """Those that are there, the oldest first. Raises OSError."""
    name = re.compile(rf"{re.escape(path.stem)}-([0-9]{{12}}){re.escape(path.suffix)}")
    found = []
    for entry in os.scandir(path.parent):
        matched = name.fullmatch(entry.name)
        if matched is not None and entry.is_file():
            found.append(LogFile(Path(entry.path), int(matched[1])))
    found.sort(key=lambda one: one.first or 0)
    return [*found, LogFile(path)] if path.exists() else found


def seq_of(line: bytes) -> int:
    """0: it is no record's."""
    found = _SEQ.match(line)
    return int(found[1]) if found else 0


def read(path: Path, first: int, most: int, through: int) -> list[bytes]:
    """Lines as they stand, from record `first` on or what is there of later ones, up to record `through`. Raises OSError."""
    found: list[bytes] = []
    size = 0
    files = files_of(path)
    for number, file in enumerate(files):
        follower = files[number + 1].first if number + 1 < len(files) else None
        if follower is not None and follower <= first:
            continue
        for line in _lines_from(_now(file, path), first):
            seq = seq_of(line)
            if seq < first or not line.endswith(b"\n"):
                continue
            size += len(line)
            if seq > through or len(found) >= most or (found and size > MOST_BYTES):
                return found
            found.append(line)
    return found


def _now(file: LogFile, path: Path) -> Path:
    """The file that grows may have been closed since it was listed: then the newest closed one is it."""
    if file.first is not None or path.exists():
        return file.path
    files = files_of(path)
    return files[-1].path if files else path


def _lines_from(path: Path, first: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(_place(stream, first))
        yield from stream


def _place(stream: BinaryIO, first: int) -> int:
    """The beginning of a line that is not after record `first`, and near it."""
    low, high = 0, stream.seek(0, os.SEEK_END)
    while high - low > _NEAR:
        middle = (low + high) // 2
        at, seq = _record_after(stream, middle)
        if seq and seq <= first:
            low = at
        else:
            high = middle
    return low


def _record_after(stream: BinaryIO, offset: int) -> tuple[int, int]:
    """The first line that begins after `offset` and is a record's: where, and its sequence number; 0 where there is none."""
    stream.seek(offset)
    stream.readline()
    while True:
        at = stream.tell()
        line = stream.readline()
        if not line:
            return at, 0
        seq = seq_of(line)
        if seq:
            return at, seq
