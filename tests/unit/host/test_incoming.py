"""The new text of log files in a folder of the test's."""

from __future__ import annotations

from pathlib import Path

from hullmark.host.eye import Eye
from hullmark.host.incoming import READ_MOST, Incoming


def test_only_what_is_new_line_by_line(tmp_path: Path) -> None:
    log, eye = tmp_path / "web1.log", Eye(root=str(tmp_path))
    log.write_text("old\n")
    incoming = Incoming(("/*.log",))
    assert list(incoming.read(eye)) == []
    with log.open("a") as file:
        file.write("one\ntwo\nthr")
        file.flush()
        assert list(incoming.read(eye)) == ["one\ntwo"]
        file.write("ee\n")
    assert list(incoming.read(eye)) == ["three"]
    assert list(incoming.read(eye)) == []


def test_rotation_truncation_and_new_files(tmp_path: Path) -> None:
    log, eye = tmp_path / "a.log", Eye(root=str(tmp_path))
    log.write_text("0\n")
    incoming = Incoming(("/*.log",))
    list(incoming.read(eye))
    log.rename(tmp_path / "a.log.1")
    log.write_text("after rotation\n")
    (tmp_path / "b.log").write_text("a new host\n")
    assert list(incoming.read(eye)) == ["after rotation", "a new host"]
    log.write_text("short\n")
    assert list(incoming.read(eye)) == ["short"]


def test_a_flood_is_passed_over_and_counted(tmp_path: Path) -> None:
    log, eye = tmp_path / "a.log", Eye(root=str(tmp_path))
    log.write_text("")
    incoming = Incoming(("/a.log",))
    list(incoming.read(eye))
    line = "x" * 1023 + "\n"
    log.write_text(line * (READ_MOST // 1024 + 100) + "last\n")
    assert "".join(incoming.read(eye)).endswith("last")
    assert incoming.passed_over > 90 * 1024


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    incoming = Incoming(("/*.log", "/nowhere/*"))
    assert list(incoming.read(Eye(root=str(tmp_path)))) == []
    assert incoming.files == 1
