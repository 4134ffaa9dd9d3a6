"""`hullmark snapshot save`: the file is there whole or not at all, and never in place of another unasked."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from hullmark.model.epoch import Epoch
from hullmark.model.snapshotfile import FORMAT, End, Head, Item, line
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Raw, Status

ROUTE = "GET /v1/snapshot"
HEAD = Head("c1", Epoch(1, 7), 42, 1_700_000_000.0, "m1", "0.4.0", "alice", FORMAT)
BEFORE = (
    line(HEAD) + line(Item("/hullmark/apps/shop", "{}")) + line(Item("/hullmark/cluster", "{}"))
)
WHOLE = BEFORE + line(End(2, hashlib.sha256(BEFORE).hexdigest(), "ecdsa-sha256"))


def sent(content: bytes) -> Raw:
    length = str(len(content)).encode()
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + content)


def test_what_comes_is_written_for_its_owner_only(
    master: FakeMaster, run: Run, tmp_path: Path
) -> None:
    master.answers[ROUTE] = sent(WHOLE)
    file = tmp_path / "s"
    done = run("snapshot", "save", str(file))
    assert (done.code, file.read_bytes()) == (0, WHOLE)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "1 apps" in done.out
    found = run("snapshot", "save", "--force", str(file), "-o", "json").document
    assert (found["epoch"], found["revision"], found["entries"]) == ("1.7", 42, 2)
    assert (found["counts"]["apps"], found["size_bytes"]) == (1, len(WHOLE))
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_there_stays(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    master.answers[ROUTE] = sent(WHOLE)
    file = tmp_path / "s"
    file.write_text("mine")
    done = run("snapshot", "save", str(file))
    assert (done.code, file.read_text()) == (2, "mine")
    assert "--force" in done.err
    assert master.requests == [], "the master is not troubled"


def test_only_a_file_is_replaced(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    """A rename over /dev/null would take it from everybody."""
    master.answers[ROUTE] = sent(WHOLE)
    pipe, link, folder = tmp_path / "pipe", tmp_path / "link", tmp_path / "folder"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    folder.mkdir()
    for path in (pipe, link, folder):
        done = run("snapshot", "save", "--force", str(path))
        assert done.code == 2
        assert "no regular file" in done.err
    assert (pipe.is_fifo(), link.is_symlink(), folder.is_dir()) == (True, True, True)
    assert master.requests == []


@pytest.mark.parametrize(
    ("content", "code"),
    [(WHOLE[:-40], 3), (BEFORE, 3), (WHOLE.replace(b"shop", b"shob"), 3), (b"{}\n", 3)],
)
def test_what_does_not_come_whole_leaves_nothing(
    master: FakeMaster, run: Run, tmp_path: Path, content: bytes, code: int
) -> None:
    master.answers[ROUTE] = sent(content)
    file = tmp_path / "s"
    assert run("snapshot", "save", str(file)).code == code
    assert list(tmp_path.iterdir()) == []
    file.write_text("mine")
    assert run("snapshot", "save", "--force", str(file)).code == code
    assert (file.read_text(), len(list(tmp_path.iterdir()))) == ("mine", 1)


def test_a_refusal_is_told(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    refused = {"error": "Forbidden", "message": "role admin is needed", "remedy": "ask one"}
    master.answers[ROUTE] = Status(403, refused)
    done = run("snapshot", "save", str(tmp_path / "s"))
    assert done.code == 2
    assert "role admin is needed" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    master.answers[ROUTE] = sent(WHOLE)
    done = run("snapshot", "save", str(tmp_path / "none" / "s"))
    assert (done.code, str(tmp_path / "none" / "s") in done.err) == (2, True)


def test_a_disk_without_links_will_do(
    master: FakeMaster, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    master.answers[ROUTE] = sent(WHOLE)
    assert run("snapshot", "save", str(tmp_path / "s")).code == 0
    assert (tmp_path / "s").read_bytes() == WHOLE
    assert len(list(tmp_path.iterdir())) == 1
