"""Parts of audit logs while a pack is made: kept in files without a name, in the order of their numbers, without gaps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hullmark.evidence.controlrecords import seconds_of
from hullmark.evidence.pack import LogPart
from hullmark.model.auditline import Place, place_of


class Part:
    """Of one log. `gaps`: lines that don't follow the one before; the part is no chain then. `used` is the number of the last record
    before the period's end."""

    def __init__(self, log: str, of: str, folder: Path) -> None:
        self.log = log
        self.of = of
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed with the part
        self._places: list[tuple[int, int, str]] = []
        self.gaps = 0
        self.used = 0
        self.last_at = ""

    def put(self, line: bytes, ends: float) -> None:
        """What is no record is left to who verifies."""
        text = line.rstrip(b"\n")
        place = place_of(text)
        if place is not None:
            self._note(place, ends)
        else:
            self.gaps += 1
        self._file.write(text + b"\n")

    def _note(self, place: Place, ends: float) -> None:
        if self._places and place.seq != self._places[-1][0] + 1:
            self.gaps += 1
        self.last_at = place.at
        self._places.append((place.seq, self._file.tell(), place.hash))
        if seconds_of(place.at) < ends or not self.used:
            self.used = place.seq

    def begin_anew(self) -> None:
        self._file.close()
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        self._places, self.gaps, self.used = [], 0, 0

    @property
    def last(self) -> int:
        return self._places[-1][0] if self._places else 0

    def cut(self, seq: int) -> None:
        """What comes after this record is left out."""
        kept = [one for one in self._places if one[0] <= seq]
        if len(kept) < len(self._places):
            self._file.truncate(self._places[len(kept)][1])
            self._file.seek(0, 2)
            self._places = kept

    def lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        yield from (line.rstrip(b"\n") for line in self._file)

    def part(self) -> LogPart:
        first, last = self._places[0], self._places[-1]
        return LogPart(self.log, self.of, first[0], last[0], last[2], self.lines)

    def close(self) -> None:
        self._file.close()


def new_part(log: str, of: str, folder: Path) -> Part:
    """For as long as the command lasts."""
    part = Part(log, of, folder)
    click.get_current_context().call_on_close(part.close)
    return part


def filled(part: Part, lines: Iterable[bytes], ends: float) -> Part:
    for line in lines:
        part.put(line, ends)
    return part
