"""Lines of an engine's streams: a container's output, and JSON objects.

Without a terminal, output comes in frames of 8 bytes of header (stream, three zeroes, size as a big-endian 32-bit
number) and the payload (Docker Engine API, "Attach to a container"); with one, it is the bytes as they are.
Each line begins with its time. Chunks may be cut anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from hullmark.engine.protocol import LogLine

MAX_LINE_BYTES = 65536
"""Longer lines are cut into several."""

_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


def lines(chunks: Iterable[bytes], *, tty: bool) -> Iterator[LogLine]:
    """As they come; a last one without its newline at the end."""
    pending: dict[str, bytes] = {}
    for stream, chunk in _raw(chunks) if tty else _frames(chunks):
        *whole, rest = (pending.get(stream, b"") + chunk).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            whole.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        pending[stream] = rest
        for line in whole:
            yield _line(stream, line)
    for stream, rest in pending.items():
        if rest:
            yield _line(stream, rest)


def objects(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """JSON objects, one a line. What is none is left out."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from _objects(whole)
    yield from _objects([rest])


def _objects(texts: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + size:
                break
            yield _STREAMS.get(buffer[0], "stdout"), bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


def _raw(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for chunk in chunks:
        yield "stdout", chunk


def _line(stream: str, line: bytes) -> LogLine:
    text = line.decode("utf-8", errors="replace").rstrip("\r")
    at, _, rest = text.partition(" ")
    return LogLine(stream, at, rest)
