"""What a log file gets from now on, whatever happens to the file meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hullmark.host import logtail
from hullmark.host.eye import Eye
from hullmark.host.logtail import Tail
from hullmark.model.control import Trouble


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logtail, "POLL_S", 0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "a.log"
    file.write_text("needle of before\n")
    return file


def tail(log: Path) -> Tail:
    return Tail(Eye(root="/"), str(log))


def add(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_only_what_came_since_is_found(log: Path) -> None:
    with tail(log) as looking:
        seen = looking.wait("found", "needle", 0.03)
        assert (seen.trouble, seen.text) == (Trouble.TIMED_OUT, "")
        add(log, "x\na needle now\ny\n")
        seen = looking.wait("found", "needle", 0.03)
        assert (seen.trouble, seen.text, seen.source) == (Trouble.NONE, "a needle now", str(log))


def test_a_line_that_comes_in_parts_is_waited_for(log: Path) -> None:
    with tail(log) as looking:
        add(log, "a nee")
        assert looking.wait("found", "needle", 0.02).trouble is Trouble.TIMED_OUT
        add(log, "dle, whole\n")
        assert looking.wait("found", "needle", 0.02).text == "a needle, whole"


def test_after_a_rotation_the_old_file_and_the_new_one_are_looked_at(log: Path) -> None:
    with tail(log) as looking:
        add(log, "needle of the old\n")
        log.rename(log.with_suffix(".1"))
        log.write_text("needle of the new\n")
        assert looking.wait("found", "needle", 0.02).text == "needle of the old"
        assert looking.wait("found", "of the new", 0.02).text == "needle of the new"


def test_a_truncated_file_is_read_from_its_beginning(log: Path) -> None:
    with tail(log) as looking:
        os.truncate(log, 0)
        log.write_text("needle\n")
        assert looking.wait("found", "needle", 0.02).text == "needle"


def test_a_file_may_come_later(tmp_path: Path) -> None:
    log = tmp_path / "b.log"
    with tail(log) as looking:
        assert looking.wait("found", "needle", 0.02).trouble is Trouble.MISSING
        writing = threading.Timer(0.05, log.write_text, ["needle\n"])
        writing.start()
        assert looking.wait("found", "needle", 5.0).text == "needle"
        writing.join()


def test_of_a_flood_the_newest_is_looked_at(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logtail, "NEW_MOST", 100)
    with tail(log) as looking:
        add(log, "old needle\n" + "x" * 200 + "\nnew needle\n")
        assert looking.wait("found", "needle", 0.02).text == "new needle"


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with tail(path) as looking:
            assert looking.wait("found", "needle", 0.02).trouble is Trouble.FAILED
