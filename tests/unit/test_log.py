"""One event is one line, whatever stands in its fields."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark import log

TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\w+) sync: (.*)")


def one_line(output: pytest.CaptureFixture[str]) -> str:
    text = output.readouterr().err
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    return text[:-1]


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info")
    log.get("sync").info("orders accepted", epoch="1.4", revision=8, host="web 1", none=None)
    found = TEXT_LINE.fullmatch(one_line(capsys))
    assert found is not None
    assert found.groups() == (
        "info",
        'orders accepted epoch=1.4 revision=8 host="web 1" none=None',
    )


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "json")
    log.get("sync").warning("refused", why="a\nb", path=Path("/x"), share=0.5, level="mine")
    line = json.loads(one_line(capsys))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("at"))
    assert line == {
        "level": "warning",
        "part": "sync",
        "message": "refused",
        "why": "a\nb",
        "path": "/x",
        "share": 0.5,
        "level_": "mine",
    }


@pytest.mark.parametrize(
    ("name", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3)]
)
def test_priority_under_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, priority: int
) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(sys, "stderr", journal)
        log.setup("debug")
        getattr(log.get("sync"), name)("began", by="me")
        journal.seek(0)
        assert journal.read() == f"<{priority}>sync: began by=me\n"


@pytest.mark.parametrize("variable", ["8:12345", "", "nonsense"])
def test_output_that_is_not_the_journal_has_the_time(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """A shell below a unit inherits the variable, and sends our output elsewhere."""
    monkeypatch.setenv("JOURNAL_STREAM", variable)
    log.setup("info")
    log.get("sync").info("began")
    assert TEXT_LINE.fullmatch(one_line(capsys))
    with (tmp_path / "file").open("w+") as file:
        monkeypatch.setattr(sys, "stderr", file)
        log.setup("info")
        log.get("sync").info("began")
        file.seek(0)
        assert TEXT_LINE.fullmatch(file.read().rstrip("\n"))


@given(st.text())
def test_a_value_can_neither_begin_a_line_nor_pass_for_another_field(value: str) -> None:
    quoted = log._quoted(value)
    assert len(quoted.splitlines()) == 1
    assert quoted.isprintable()
    if quoted.startswith('"'):
        assert json.loads(quoted) == value
    else:
        assert quoted == value
        assert not set(value) & set(' ="\n')


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_is_in_the_line(capsys: pytest.CaptureFixture[str], form: str) -> None:
    log.setup("info", form)
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        log.get("sync").exception("unexpected", loop="poll")
    line = one_line(capsys)
    text = json.loads(line)["traceback"] if form == "json" else line
    assert "RuntimeError: broken" in text
    assert "test_log.py" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_percent_signs_are_no_placeholders(capsys: pytest.CaptureFixture[str], form: str) -> None:
    log.setup("info", form)
    log.get("sync").info("100 %s", share="50%d")
    assert "100 %s" in one_line(capsys)


def test_levels_and_setting_up_twice(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("warning")
    log.setup("warning")
    sync = log.get("sync")
    for write in (sync.debug, sync.info):
        write("not shown")
    sync.error("shown")
    assert "shown" in one_line(capsys)


def test_a_value_that_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    values: dict[str, Any] = {"a": Odd(), "b": {1: Odd()}, "c": b"\n"}
    log.setup("info", "json")
    log.get("sync").info("began", **values)
    assert json.loads(one_line(capsys))["a"] == "odd"


class Syslog:
    """A /dev/log that keeps what comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(65536).decode())
        return found

    def go_away(self) -> None:
        self._socket.close()
        self.path.unlink()


@pytest.fixture
def syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Syslog:
    monkeypatch.setattr(log, "SYSLOG", str(tmp_path / "log"))
    return Syslog(tmp_path / "log")


@pytest.mark.parametrize(
    ("name", "priority"), [("debug", 31), ("info", 30), ("warning", 28), ("error", 27)]
)
def test_syslog_gets_a_line_of_facility_daemon(
    syslog: Syslog, capsys: pytest.CaptureFixture[str], name: str, priority: int
) -> None:
    log.setup("debug", "text", "syslog", "hullmark-agent")
    getattr(log.get("sync"), name)("began", by="me", why="a\nb")
    assert syslog.heard() == [
        f'<{priority}>hullmark-agent[{os.getpid()}]: sync: began by=me why="a\\nb"'
    ]
    assert capsys.readouterr().err == ""


def test_what_syslog_does_not_take_is_on_standard_error(
    syslog: Syslog, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup("info", "text", "syslog", "hullmark-agent")
    log.get("sync").info("one")
    assert len(syslog.heard()) == 1
    syslog.go_away()
    log.get("sync").info("two")
    found = TEXT_LINE.fullmatch(one_line(capsys))
    assert found is not None
    assert found[2] == "two"
    log.get("sync").info("too long", text="x" * (1 << 22))
    assert "too long" in one_line(capsys)
    again = Syslog(syslog.path)
    log.get("sync").info("three")
    assert again.heard()[0].endswith(": sync: three")
    assert capsys.readouterr().err == ""


def test_a_syslog_that_comes_later_is_found(
    syslog: Syslog, capsys: pytest.CaptureFixture[str]
) -> None:
    syslog.go_away()
    log.setup("info", "text", "syslog", "hullmark-agent")
    log.get("sync").info("one")
    assert "sync: one" in one_line(capsys)
    later = Syslog(syslog.path)
    log.get("sync").info("two")
    assert later.heard()[0].endswith(": sync: two")


def test_a_syslog_that_reads_nothing_holds_nobody_up(
    syslog: Syslog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SYSLOG_S", 0.001)
    log.setup("info", "text", "syslog", "hullmark-agent")
    for _ in range(2000):
        log.get("sync").info("again", text="x" * 4000)
        if capsys.readouterr().err:
            return
    pytest.fail("its queue never filled")


ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?:\S+Z \w+ )?([a-z-]+): ([a-z ]+?)(?: [a-z_]+=| …|`)")
"""Part and message, up to the first field."""


def said() -> dict[str, str]:
    """The text of the daemons' modules, by the name under which they log."""
    found: dict[str, str] = {}
    for room in ("agentd", "masterd"):
        for path in sorted((ROOT / "agent/hullmark" / room).glob("*.py")):
            text = path.read_text("utf-8")
            for name in re.findall(r'log\.get\("([^"]+)"\)', text):
                found[name] = found.get(name, "") + text
    return found


def test_the_lines_that_are_named_for_people_are_said_like_that() -> None:
    _, _, page = (ROOT / "docs/operations/files.md").read_text("utf-8").partition("\n## Log lines")
    page = page.partition("\n## ")[0]
    lines = NAMED.findall(page)
    assert ("ledger", "orders accepted") in lines
    by_name = said()
    wrong = [
        f"{name}: {message}"
        for name, message in lines
        if not re.search(rf'_log\.\w+\(\s*"{message}|\)\(\s*"{message}', by_name.get(name, ""))
    ]
    assert wrong == []
