"""From a path to text: bounded, and never waiting for what is no file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Optional, Union

from hullmark.errors import InvalidInput, Problem

MAX_BYTES = 1 << 20


def name_of(path: Union[str, Path]) -> str:
    """What a file is called in messages."""
    return "standard input" if str(path) == "-" else str(path)


def read_bytes(path: Union[str, Path], *, most: int = MAX_BYTES) -> bytes:
    """The content of a regular file, or of standard input for `-`. Raises InvalidInput.

    What else a path may lead to (a folder, a FIFO, a device) is refused without waiting for it.
    """
    name = name_of(path)
    if str(path) == "-":
        content = sys.stdin.buffer.read(most + 1)
    else:
        try:
            content = _content(path, most + 1)
        except FileNotFoundError as error:
            raise _wrong(name, None, "does not exist") from error
        except OSError as error:
            raise _wrong(name, None, (error.strerror or str(error)).lower()) from error
        except ValueError as error:  # a NUL in the path
            raise _wrong(repr(name), None, "is no path") from error
    if len(content) > most:
        raise _wrong(name, None, f"larger than {most >> 10} KiB")
    return content


def decode(content: bytes, name: str) -> str:
    """The text of a file. Raises InvalidInput for what is no text."""
    if b"\0" in content:
        raise _wrong(name, None, "not a text file: it holds NUL bytes", "text in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(name, line, "not UTF-8 text", "text in UTF-8") from error


def _content(path: Union[str, Path], most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(0, "is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(0, "is not a regular file")
        parts = []
        while most > 0 and (part := os.read(descriptor, most)):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _wrong(name: str, line: Optional[int], message: str, allowed: str = "") -> InvalidInput:
    return InvalidInput([Problem(message, file=name, line=line, allowed=allowed)])
