"""Lines from an engine's log stream.

Without a terminal, output comes in frames of 8 bytes of header (stream, three zeroes, size as a big-endian 32-bit
number) and the payload (Docker Engine API, "Attach to a container"); with one, it is the bytes as they are.
Each line begins with its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hullmark.engine.protocol import LogLine

MAX_LINE_BYTES = 65536
"""Longer lines are cut into several."""

_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


def lines(answer: Any, *, tty: bool) -> Iterator[LogLine]:
    """Lines of a streamed `requests` answer, as they come."""
    pending: dict[str, bytes] = {}
    for stream, chunk in _raw(answer) if tty else _frames(answer):
        data = pending.get(stream, b"") + chunk
        *whole, rest = data.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            whole, rest = [*whole, rest], b""
        pending[stream] = rest
        for line in whole:
            yield _line(stream, line)
    for stream, rest in pending.items():
        if rest:
            yield _line(stream, rest)


def _frames(answer: Any) -> Iterator[tuple[str, bytes]]:
    buffer = bytearray()
    for chunk in answer.iter_content(None):
        buffer += chunk
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + size:
                break
            yield _STREAMS.get(buffer[0], "stdout"), bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


def _raw(answer: Any) -> Iterator[tuple[str, bytes]]:
    for chunk in answer.iter_content(None):
        yield "stdout", chunk


def _line(stream: str, line: bytes) -> LogLine:
    text = line.decode("utf-8", errors="replace").rstrip("\r")
    at, _, rest = text.partition(" ")
    return LogLine(stream, at, rest)
