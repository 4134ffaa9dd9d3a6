"""Which intents of an audit log have no outcome.

Only the newest file is looked through: the record that begins a file names those that were open then (`OPEN`). It may come after others where
the reserve had some for that file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from hullmark.errors import InvalidInput
from hullmark.host.auditreading import files_of, read, seq_of
from hullmark.model.audit import Record, Stage
from hullmark.model.auditline import parse

OPEN = "open"
"""The field of the record that begins a file: sequence numbers, with commas between."""
OPEN_MAX = 200
"""Of these at most, the newest: many times what a host works on at a time."""
FILE = "audit.file"

_INTENT = b'"stage":"intent"'
_OUTCOME = b'"stage":"outcome"'
_FILE = b'"kind":"audit.file"'
_OF = re.compile(rb'"of":([0-9]+)')


def open_intents(path: Path, through: int, held: Sequence[bytes] = ()) -> tuple[Record, ...]:
    """Up to record `through` of the files, and in the lines that the reserve holds; the oldest first. Raises OSError."""
    waiting: dict[int, bytes] = {}
    for file in _telling([file.path for file in files_of(path)]):
        with file.open("rb") as stream:
            _follow(stream, waiting)
    _follow((line for line in held if seq_of(line) > through), waiting)
    for seq, line in waiting.items():
        if not line:
            found = read(path, seq, 1, min(seq, through))
            waiting[seq] = found[0] if found else b""
    return tuple(_intents(waiting[seq] for seq in sorted(waiting)))


def _telling(files: list[Path]) -> list[Path]:
    """The newest that says what was open before it, and those after it."""
    for count in range(1, len(files)):
        with files[-count].open("rb") as stream:
            if any(_FILE in line for line in stream):
                return files[-count:]
    return files


def _follow(lines: Iterable[bytes], waiting: dict[int, bytes]) -> None:
    for line in lines:
        if _INTENT in line:
            waiting[seq_of(line)] = line
        elif _OUTCOME in line:
            of = _OF.search(line)
            if of:
                waiting.pop(int(of[1]), None)
        elif _FILE in line:
            waiting.update({seq: b"" for seq in _carried(line) if seq not in waiting})


def _carried(line: bytes) -> Iterable[int]:
    with suppress(InvalidInput):
        entry = parse(line).entry
        if entry.kind == FILE:
            return [int(each) for each in entry.fields.get(OPEN, "").split(",") if each.isdigit()]
    return ()


def _intents(lines: Iterable[bytes]) -> Iterable[Record]:
    for line in lines:
        with suppress(InvalidInput):
            record = parse(line)
            if record.entry.stage is Stage.INTENT:
                yield record
