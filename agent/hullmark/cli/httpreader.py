"""Reading one HTTP/1.1 answer (RFC 9112) from a connection.

The standard library's client parses headers with its mail package and always loads TLS, which together take longer
to import than a command takes to do its work (decision 4). A master's answers need little: a status, a
length or chunks, and whether the connection stays open. What is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hullmark.model.wire import STALE

LINE_MAX_BYTES = 16 << 10
HEADERS_MAX = 100
CUT_OFF = "cut off"


class MalformedError(ValueError):
    """Not an answer as HTTP has it, or one that ends too early."""


class Response:
    """`status` is known at once, and `stale_s`, the age of what is told where no leader tells it; the body is read once, whole (`read`) or in parts (`parts`)."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises MalformedError, OSError."""
        self._file = file
        self.status = _status(_line(file))
        headers = _headers(file)
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "")
        if not self._chunked and "transfer-encoding" in headers:
            raise MalformedError("an unknown transfer encoding")
        if length and not (length.isascii() and length.isdigit() and len(length) < 19):
            raise MalformedError("a length that is no number")
        self._length = int(length) if length else None
        self.stale_s = headers.get(STALE.lower(), "")
        bounded = self._chunked or self._length is not None
        self.keeps = bounded and headers.get("connection", "").lower() != "close"

    def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises MalformedError for one that is larger, or cut off; OSError."""
        found = bytearray()
        for part in self.parts():
            found += part
            if len(found) > limit_bytes:
                raise MalformedError(f"larger than {limit_bytes >> 20} MiB")
        return bytes(found)

    def parts(self) -> Iterator[bytes]:
        """As they come. Raises MalformedError, OSError."""
        if self._chunked:
            yield from self._chunks()
            return
        left = self._length
        while left is None or left > 0:
            # BinaryIO lacks read1; what a socket's makefile gives has it.
            part = self._file.read1(1 << 16 if left is None else min(left, 1 << 16))  # type: ignore[attr-defined]
            if not part:
                if left is None:
                    return
                raise MalformedError(CUT_OFF)
            left = None if left is None else left - len(part)
            yield part

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = _line(self._file).partition(b";")[0].strip()
            if not 0 < len(size) < 9:
                raise MalformedError("a chunk without a size")
            try:
                left = int(size, 16)
            except ValueError as error:
                raise MalformedError("a chunk without a size") from error
            if not left:
                _headers(self._file)
                return
            part = self._file.read(left)
            if len(part) < left or self._file.read(2) != b"\r\n":
                raise MalformedError(CUT_OFF)
            yield part


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    number = rest[:3]
    if not version.startswith(b"HTTP/1.") or len(number) < 3 or not number.isdigit():
        raise MalformedError("not an HTTP answer")
    return int(number)


def _headers(file: BinaryIO) -> dict[str, str]:
    """By name in lower case."""
    found: dict[str, str] = {}
    for _ in range(HEADERS_MAX):
        line = _line(file)
        if not line:
            return found
        name, _, value = line.decode("latin-1").partition(":")
        found[name.strip().lower()] = value.strip()
    raise MalformedError("too many headers")


def _line(file: BinaryIO) -> bytes:
    """Without its end."""
    line = file.readline(LINE_MAX_BYTES)
    if not line.endswith(b"\n"):
        raise MalformedError(CUT_OFF if len(line) < LINE_MAX_BYTES else "a line without end")
    return line.rstrip(b"\r\n")
