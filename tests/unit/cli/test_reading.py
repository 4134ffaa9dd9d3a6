"""Tables, widths, words: what people read."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from hullmark.cli import progress, table, words
from hullmark.cli.live import ROWS_MOST, Live, drawn
from hullmark.cli.standing import ports
from hullmark.model.observed import Phase
from hullmark.model.orders import PublishedPort
from tests.unit.cli import answers


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned() -> None:
    lines = table.table(("A", "LONG", "LAST"), [("xyz", "1", "end"), ("", "22222", "")])
    assert lines == ["A    LONG   LAST", "xyz  1      end", "-    22222  -"]


@pytest.mark.parametrize("columns", [40, 80])
def test_only_the_last_column_is_cut(columns: int) -> None:
    head, row = table.table(("NAME", "WHY"), [("shop/web.1", "because " * 30)], columns)
    assert len(row) == columns
    assert row.startswith("shop/web.1  because")
    assert row.endswith("...")
    assert head == "NAME        WHY"


def test_names_are_whole_on_the_narrowest_terminal() -> None:
    name = "a" * 60
    assert table.table(("NAME", "X"), [(name, "y")], 20)[1].startswith(name)


def test_wrapping() -> None:
    assert table.wrapped("one two three four", 14) == ["  one two", "  three four"]
    assert table.wrapped("x" * 30, 14) == ["  " + "x" * 30]
    assert table.wrapped("one two", 0) == ["  one two"]
    assert table.wrapped("", 80) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (99, "99 s"),
        (840, "14 min"),
        (18000, "5 h"),
        (12 * 86400, "12 d"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("50ms", 0.05), ("1h30m", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert words.duration(text, "--timeout") == pytest.approx(seconds)


def test_ports() -> None:
    found = (
        PublishedPort(80, 8080, host_ip="0.0.0.0"),
        PublishedPort(80, 8080, host_ip="::"),
        PublishedPort(53, 53, "udp", "127.0.0.1"),
        PublishedPort(81, 0),
    )
    assert ports(found) == "8080->80 127.0.0.1:53->53/udp ?->81"


INSTANCES = (
    answers.instance(),
    answers.instance(2, Phase.PULLING, "its image is being pulled, and that takes a long time"),
)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_live_table(columns: int) -> None:
    text = drawn(answers.detail(1, "changing", 3, INSTANCES), columns, 4.2)
    lines = text.plain.splitlines()
    assert lines[0] == "shop  generation 3  1 of 2  4 s"
    assert lines[2].startswith("shop/web.2  web3  pulling"), "what is not ready comes first"
    assert all(len(line) <= columns for line in lines)


def test_the_live_table_of_many() -> None:
    many = tuple(answers.instance(slot) for slot in range(1, 51))
    lines = drawn(answers.detail(1, "changing", 3, many), 80, 1).plain.splitlines()
    assert len(lines) == ROWS_MOST + 3
    assert lines[-1] == f"and {50 - ROWS_MOST} more"


@pytest.mark.parametrize("no_colour", [False, True])
def test_colours_only_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    stream = io.StringIO()
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    console = Console(file=stream, force_terminal=True, width=80, color_system="standard")
    console.print(drawn(answers.detail(1, "running", 3, INSTANCES), 80, 1))
    assert ("\x1b[32m" in stream.getvalue()) != no_colour


def test_a_live_table_begins_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with Live() as live:
        assert live.__rich__().plain == ""
        live.seen(answers.detail(1, "changing", 3, INSTANCES))
        assert live.__rich__().plain.startswith("shop  generation 3")
    assert "shop/web.2" in stream.getvalue()


def test_which_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress.choose(silent=True), progress.Silent)
    assert isinstance(progress.choose(silent=False), progress.Lines)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress.choose(silent=False), progress.Lines)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress.choose(silent=False), Live)


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert table.width() == 0, "no limit in a pipe"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert table.width() == 100
    monkeypatch.setenv("COLUMNS", "10")
    assert table.width() == 40
