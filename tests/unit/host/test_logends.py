"""A line is seen to arrive at a log's end, whatever happens to the file meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.host.eye import Eye
from hullmark.host.logends import Ends
from hullmark.model import canary

NONCE, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
LINE = f"Nov 29 12:00:00 web1 x: {canary.make('web1', NONCE)}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "syslog"
    path.write_text("an old line\n")
    return path


def eye(root: Path) -> Eye:
    return Eye(root=str(root), timeout_s=5.0)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_it_is_seen(log: Path, tmp_path: Path) -> None:
    with Ends(eye(tmp_path), ["/auth.log", "/syslog"]) as ends:
        append(log, f"before\n{canary.make('web1', OTHER)}\n{LINE}\nafter\n")
        found = ends.wait("record", NONCE, 0.0)
    assert (found.text, found.source, found.facts["file"]) == (LINE, "/syslog", "/syslog")
    assert (found.facts["nonce"], found.facts["missing"]) == (NONCE, "/auth.log")


def test_what_was_there_before_is_not(log: Path, tmp_path: Path) -> None:
    append(log, f"{LINE}\n")
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        found = ends.wait("record", NONCE, 0.0)
    assert (found.text, found.facts["missing"]) == ("", "")


def test_a_line_that_is_not_whole_is_not(log: Path, tmp_path: Path) -> None:
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        append(log, LINE)
        assert ends.wait("record", NONCE, 0.0).text == ""
        append(log, "\n")
        assert ends.wait("record", NONCE, 0.0).text == LINE


@pytest.mark.parametrize("before", [True, False])
def test_across_a_rotation(log: Path, tmp_path: Path, before: bool) -> None:
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        if before:
            append(log, f"{LINE}\n")
        log.rename(tmp_path / "syslog.1")
        log.write_text("anew\n" if before else f"anew\n{LINE}\n")
        assert ends.wait("record", NONCE, 0.0).text == LINE


def test_in_a_file_that_was_cut(log: Path, tmp_path: Path) -> None:
    log.write_text("old\n" * 1000)
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        log.write_text(f"{LINE}\n")
        assert ends.wait("record", NONCE, 0.0).text == LINE


def test_in_a_file_that_is_new(tmp_path: Path) -> None:
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        (tmp_path / "syslog").write_text(f"{LINE}\n")
        assert ends.wait("record", NONCE, 0.0).text == LINE


def test_a_removed_file_is_told(log: Path, tmp_path: Path) -> None:
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        log.unlink()
        assert ends.wait("record", NONCE, 0.0).facts["missing"] == "/syslog"


def test_another_line_with_the_nonce_is_none(log: Path, tmp_path: Path) -> None:
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        append(log, f"somebody wrote {NONCE}\n" + "x" * 10_000 + "\n")
        assert ends.wait("record", NONCE, 0.0).text == ""


def test_a_pipe_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "syslog")
    with Ends(eye(tmp_path), ["/syslog"]) as ends:
        found = ends.wait("record", NONCE, 0.0)
    assert (found.text, found.facts["unreadable"]) == ("", "/syslog")
