"""A picture as it is read: from a file that may be anything, or of this host as it is now."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hullmark.errors import InvalidInput, Problem
from hullmark.footprint import snapshot
from hullmark.model import jsontext

LINE_MAX = 16 * 1024 * 1024
FORMER = "hullmark.picture/1"
"""The schema of pictures without access lists, attributes of chattr(1), and the folders of /run that are entered."""
REMEDY = "take one with: hullmark footprint --record FILE"

Record = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """`file` is where the picture was written to, empty where it was not known; `taken_at` seconds since 1970; `former`: by a
    version that looked at less."""

    host: str
    taken_at: float
    as_root: bool
    file: str
    former: bool = False


@dataclass(frozen=True)
class Picture:
    """`records` can be read once, in order."""

    head: Head
    records: Iterator[Record]


def now() -> Picture:
    """Of this host."""
    lines = snapshot.picture(snapshot.Host(), "")
    head = _head(next(lines))
    return Picture(head, (line for line in lines if "kind" in line))


@contextlib.contextmanager
def opened(path: str) -> Iterator[Picture]:
    """Raises InvalidInput, also while records are read: for a file that isn't a picture, was cut off, or is damaged."""
    with _reading(path) as lines:
        reader = _Reader(path, lines)
        yield Picture(reader.head(), reader.records())


@contextlib.contextmanager
def _reading(path: str) -> Iterator[BinaryIO]:
    try:
        # Without waiting for the other end, should it be a pipe.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise InvalidInput([Problem("not a regular file", path)], remedy=REMEDY)
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            if not packed:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked  # type: ignore[misc]  # it reads as one
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidInput([Problem(f"can't be read: {why}", path)], remedy=REMEDY) from error


class _Reader:
    def __init__(self, path: str, lines: BinaryIO) -> None:
        self._path = path
        self._lines = lines
        self._number = 0

    def head(self) -> Head:
        first = self._next()
        schema = first.get("schema")
        if schema not in (snapshot.SCHEMA, FORMER):
            raise self._bad(
                f"not a picture: schema {str(schema)[:40]!r}",
                allowed=f"{snapshot.SCHEMA}, {FORMER}",
            )
        try:
            return _head(first)
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad("the head of the picture is damaged") from error

    def records(self) -> Iterator[Record]:
        before: tuple[int, list[str]] = (-1, [])
        number = 0
        while True:
            record = self._next()
            if "end" in record:
                break
            self._check(record)
            place = snapshot.place(record)
            if place <= before:
                raise self._bad(f"out of order: {str(record['key'])[:80]!r}")
            before = place
            number += 1
            yield record
        if record["end"] != number:
            raise self._bad(f"{number} records, and the end says {str(record['end'])[:20]}")
        if self._lines.read(1):
            raise self._bad("something follows the end of the picture")

    def _check(self, record: Record) -> None:
        kind, key = record.get("kind"), record.get("key")
        if kind not in snapshot.KINDS or not isinstance(key, str):
            raise self._bad(f"not a record of a picture: kind {str(kind)[:40]!r}")
        for name, value in record.items():
            listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
            if isinstance(value, list) != (name in LISTS) or not (
                listed or isinstance(value, (str, int))
            ):
                raise self._bad(f"{name[:40]}: not a value of a picture")

    def _next(self) -> Record:
        self._number += 1
        line = self._lines.readline(LINE_MAX + 1)
        if not line:
            raise self._bad("cut off: the end of the picture is missing")
        if len(line) > LINE_MAX:
            raise self._bad(f"a line of more than {LINE_MAX} bytes: not a picture")
        try:
            found = jsontext.loads(line)
        except ValueError as error:
            raise self._bad("not JSON: not a picture, or a damaged one") from error
        if not isinstance(found, dict):
            raise self._bad("not a record of a picture")
        return found

    def _bad(self, message: str, allowed: str = "") -> InvalidInput:
        return InvalidInput(
            [Problem(message, self._path, self._number, allowed=allowed)], remedy=REMEDY
        )


LISTS = frozenset({"lines", "needs", "units", "holders", "by", "why"})
"""Fields of records that are lists of texts; all others are texts and numbers."""


def _head(first: Record) -> Head:
    return Head(
        str(first["host"]),
        float(first["taken_at"]),
        first["as_root"] is True,
        str(first["file"]),
        first["schema"] == FORMER,
    )
