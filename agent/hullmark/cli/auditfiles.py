"""Files of audit logs on this machine: which ones belong together, and their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hullmark.errors import NotFound, Refused
from hullmark.model.auditline import place_of

STANDARD = (Path("/var/log/hullmark/audit.log"), Path("/var/log/hullmark/master/audit.log"))
"""Of an agent, and of a master."""
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
        found = [_beside(path) for path in STANDARD if path.exists()]
        if not found:
            raise NotFound(
                f"there is no audit log on this machine: neither {STANDARD[0]} nor {STANDARD[1]}",
                remedy="name its files: hullmark audit verify FILE...",
            )
        return found
    growing = [Path(name) for name in names if Path(name).name == GROWING]
    others = [Path(name) for name in names if Path(name).name != GROWING]
    for path in (*growing, *others):
        if not path.exists():
            raise NotFound(
                f"there is no file {path}", remedy="was it deleted? masters know heads of it"
            )
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
            with path.open("rb") as file:
                for number, text in enumerate(file, 1):
                    last = text
                    yield Line(path, number, text, text.endswith(b"\n"))
            if path.name == GROWING:
                yield from _held(path.with_name(RESERVE), last)
        except OSError as error:
            raise _unreadable(path, error) from error


def _held(reserve: Path, last: bytes) -> Iterator[Line]:
    """What it holds after the log's last record. It is zeros where nothing was written, and what was moved into the log may stand
    there for a moment still."""
    try:
        with reserve.open("rb") as file:
            found = file.read().partition(b"\0")[0].splitlines(keepends=True)
    except FileNotFoundError:
        return
    end = place_of(last)
    for number, text in enumerate(found, 1):
        place = place_of(text)
        if place is not None and (end is None or place.seq > end.seq):
            yield Line(reserve, number, text, text.endswith(b"\n"))


def _beside(growing: Path) -> tuple[Path, ...]:
    try:
        found = [path for path in growing.parent.iterdir() if CLOSED.fullmatch(path.name)]
    except OSError as error:
        raise _unreadable(growing.parent, error) from error
    return (*sorted(found, key=_number_of), growing)


def _number_of(path: Path) -> int:
    found = CLOSED.fullmatch(path.name)
    return int(found[1]) if found is not None else 0


def _first_line(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.readline()
    except OSError as error:
        raise _unreadable(path, error) from error


def _log_of(path: Path) -> str:
    place = place_of(_first_line(path))
    return "" if place is None else place.log


def _first_of(path: Path) -> int:
    place = place_of(_first_line(path))
    return 0 if place is None else place.seq


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path} can't be read: {error.strerror}", remedy="as root, or by group adm")
