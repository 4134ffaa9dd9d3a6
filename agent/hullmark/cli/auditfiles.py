"""Files of audit logs on this machine: which ones belong together, and their lines."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hullmark.errors import NotFound, Refused
from hullmark.model.auditline import place_of


@dataclass(frozen=True)
class Standard:
    """Where a daemon's log is, and the file in its state folder that remembers that there is one."""

    log: Path
    last: Path


STANDARD = (
    Standard(Path("/var/log/hullmark/audit.log"), Path("/var/lib/hullmark/agent/audit.last")),
    Standard(
        Path("/var/log/hullmark/master/audit.log"), Path("/var/lib/hullmark/master/audit.last")
    ),
)
"""Of an agent, and of a master."""
LINE_MAX_BYTES = 1 << 20
"""Many times a record; what is longer is none, and is not read into memory whole."""
GROWING = "audit.log"
RESERVE = "audit.reserve"
CLOSED = re.compile(r"audit-([0-9]+)\.log")


@dataclass(frozen=True)
class Line:
    """`number` counts the file's lines from 1. `ended`: its line end is there."""

    file: Path
    number: int
    text: bytes
    ended: bool


def groups(names: Sequence[str]) -> list[tuple[Path, ...]]:
    """The files of each log, the oldest first. A growing file stands for all that lie beside it; without any name it is what this
    machine has in the standard places. Raises NotFound, Refused."""
    if not names:
        found = [files for files in map(_of_machine, STANDARD) if files]
        if not found:
            places = " nor ".join(str(place.log) for place in STANDARD)
            raise NotFound(
                f"there is no audit log on this machine: neither {places}",
                remedy="name its files: hullmark audit verify FILE...",
            )
        return found
    growing = [Path(name) for name in names if Path(name).name == GROWING]
    others = [Path(name) for name in names if Path(name).name != GROWING]
    for path in (*growing, *others):
        if not _exists(path):
            raise _gone(path)
    together: dict[str, list[Path]] = {}
    for path in others:
        together.setdefault(_log_of(path), []).append(path)
    sorted_ = [tuple(sorted(paths, key=_first_of)) for paths in together.values()]
    return [*(_beside(path) for path in growing), *sorted_]


def log_of(files: Sequence[Path]) -> str:
    """As its first record has it; empty where there is none."""
    return next((log for log in map(_log_of, files) if log), "")


def lines(files: Sequence[Path]) -> Iterator[Line]:
    """With what the reserve beside a growing file holds while its disk is full. Raises Refused where a file can't be read."""
    for path in files:
        last = b""
        try:
            with _opened(path) as file:
                for number, text in enumerate(_pieces(file), 1):
                    last = text
                    ended = text.endswith(b"\n") or len(text) == LINE_MAX_BYTES
                    yield Line(path, number, text, ended)
            if path.name == GROWING:
                yield from _held(path.with_name(RESERVE), last)
        except OSError as error:
            raise _unreadable(path, error) from error


def _held(reserve: Path, last: bytes) -> Iterator[Line]:
    """What it holds after the log's last record. It is zeros where nothing was written, and what was moved into the log may stand
    there for a moment still."""
    try:
        with _opened(reserve) as file:
            found = file.read().partition(b"\0")[0].splitlines(keepends=True)
    except FileNotFoundError:
        return
    end = place_of(last)
    for number, text in enumerate(found, 1):
        place = place_of(text)
        if place is not None and (end is None or place.seq > end.seq):
            yield Line(reserve, number, text, text.endswith(b"\n"))


def _of_machine(place: Standard) -> tuple[Path, ...]:
    """Empty where no such daemon was ever here. Raises NotFound for a log that is gone."""
    if _exists(place.log):
        return _beside(place.log)
    closed = _closed(place.log.parent) if _exists(place.log.parent) else ()
    if not closed and _exists(place.last):
        raise _gone(place.log)
    return closed


def _beside(growing: Path) -> tuple[Path, ...]:
    return (*_closed(growing.parent), growing)


def _closed(folder: Path) -> tuple[Path, ...]:
    try:
        found = [path for path in folder.iterdir() if CLOSED.fullmatch(path.name)]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return tuple(sorted(found, key=_number_of))


def _exists(path: Path) -> bool:
    """Raises Refused where that can't be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def _opened(path: Path) -> BinaryIO:
    """Raises OSError, Refused for what is no regular file: of a pipe nothing would ever come."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Refused(f"{path} can't be read: it is no regular file")
    return path.open("rb")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Its lines; one that is too long in parts."""
    return iter(partial(file.readline, LINE_MAX_BYTES), b"")


def _number_of(path: Path) -> int:
    found = CLOSED.fullmatch(path.name)
    return int(found[1]) if found is not None else 0


def _first_line(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            return file.readline(LINE_MAX_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _log_of(path: Path) -> str:
    place = place_of(_first_line(path))
    return "" if place is None else place.log


def _first_of(path: Path) -> int:
    place = place_of(_first_line(path))
    return 0 if place is None else place.seq


def _gone(path: Path) -> NotFound:
    return NotFound(f"there is no file {path}", remedy="was it deleted? masters know heads of it")


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path} can't be read: {error.strerror}", remedy="as root, or by group adm")
