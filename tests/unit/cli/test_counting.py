"""One line on a terminal, written over, and nothing anywhere else."""

from __future__ import annotations

import io
import sys

import pytest

from hullmark.cli.counting import CLEAR, Counting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_written_over_twice_a_second_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, now = Terminal(), [100.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Counting("records so far", lambda: now[0]) as counting:
        for number in range(1, 11):
            now[0] += 0.2
            counting.seen(number)
    assert terminal.getvalue() == CLEAR + CLEAR.join(
        [
            "records so far: 0",
            "records so far: 3",
            "records so far: 6",
            "records so far: 9",
            "",
        ]
    )


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO, "xterm"), (Terminal, "dumb")])
def test_nothing_where_a_line_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], term: str
) -> None:
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("TERM", term)
    with Counting("records so far") as counting:
        counting.seen(1)
    assert written.getvalue() == ""
