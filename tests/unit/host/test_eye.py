"""How a check reads files that somebody else may change meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble


def test_a_file_is_read_with_what_is_known_of_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\n")
    seen = Eye(root=str(tmp_path)).file("it", "/log")
    assert (seen.text, seen.cut, seen.facts["size"]) == ("one\ntwo\n", False, "8")
    end = Eye(root=str(tmp_path)).file("it", "/log", most=4, keep_end=True)
    assert (end.text, end.cut) == ("two\n", True)


@pytest.mark.parametrize("what", ["pipe", "zero"])
def test_what_becomes_something_else_while_it_is_looked_at_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    place = tmp_path / "log"
    place.write_text("one\n")
    eye = Eye(root=str(tmp_path))
    looks = eye.stat

    def swapped(name: str, path: str) -> Reading:
        seen = looks(name, path)
        place.unlink()
        if what == "pipe":
            os.mkfifo(place)
        else:
            place.symlink_to("/dev/zero")
        return seen

    monkeypatch.setattr(eye, "stat", swapped)
    seen = eye.file("it", "/log")
    assert (seen.trouble, seen.errors, seen.text) == (Trouble.FAILED, "no regular file", "")
