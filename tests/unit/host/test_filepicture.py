"""Pictures of files in a folder of the test's."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hullmark.host import filepicture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/app/inner").mkdir(parents=True)
    (tmp_path / "etc/app/a.conf").write_text("one")
    (tmp_path / "etc/app/inner/b.conf").write_text("two")
    (tmp_path / "etc/app/link").symlink_to("a.conf")
    (tmp_path / "etc/other").write_text("not looked at")
    return tmp_path


def test_all_that_is_in_a_folder(root: Path) -> None:
    found, troubles = filepicture.take(["/etc/app", "/nowhere"], {}, root=str(root))
    assert {path: state.kind for path, state in found.items()} == {
        "/etc/app": "folder",
        "/etc/app/a.conf": "file",
        "/etc/app/inner": "folder",
        "/etc/app/inner/b.conf": "file",
        "/etc/app/link": "link",
    }
    assert found["/etc/app/link"].target == "a.conf"
    assert len(found["/etc/app/a.conf"].sha256) == 64
    assert troubles == ()


def test_an_unchanged_file_is_not_read_again_unless_asked(root: Path) -> None:
    sizes: list[int] = []
    found, _ = filepicture.take(["/etc/app"], {}, root=str(root), read=sizes.append)
    assert sum(sizes) == 6
    again, _ = filepicture.take(["/etc/app"], found, root=str(root), read=sizes.append)
    assert (sum(sizes), again) == (6, found)
    filepicture.take(["/etc/app"], found, root=str(root), afresh=True, read=sizes.append)
    assert sum(sizes) == 12


def test_times_that_were_set_back_hide_a_change_from_no_fresh_look(root: Path) -> None:
    path = root / "etc/app/a.conf"
    found, _ = filepicture.take(["/etc/app"], {}, root=str(root))
    before = path.stat()
    path.write_text("ONE")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    # The kernel alone sets a change time, so that even this is seen at once.
    again, _ = filepicture.take(["/etc/app"], found, root=str(root))
    assert again["/etc/app/a.conf"].sha256 != found["/etc/app/a.conf"].sha256


def test_sockets_pipes_and_what_is_in_the_place_of_a_file(root: Path) -> None:
    os.mkfifo(root / "etc/app/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "etc/app/sock"))
        found, _ = filepicture.take(["/etc/app"], {}, root=str(root))
    assert found["/etc/app/pipe"].kind == "other"
    assert found["/etc/app/sock"].kind == "socket"


def test_one_file_is_a_place_too(root: Path) -> None:
    found, _ = filepicture.take(["/etc/other"], {}, root=str(root))
    assert list(found) == ["/etc/other"]
    assert list(filepicture.folders(["/etc/other"], str(root))) == ["/etc"]
    assert set(filepicture.folders(["/etc/app"], str(root))) == {"/etc/app", "/etc/app/inner"}


def test_bytecode_is_left_out(root: Path) -> None:
    (root / "etc/app/__pycache__").mkdir()
    (root / "etc/app/__pycache__/x.pyc").write_text("")
    found, _ = filepicture.take(["/etc/app"], {}, root=str(root))
    assert not any("__pycache__" in path for path in found)
