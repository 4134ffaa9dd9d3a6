"""The proxy's files."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from hullmark.engine.haproxyfiles import ProxyFiles
from hullmark.errors import ProxyUnwritten


def _full(_: int) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_what_was_there_and_is_nobodys_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ProxyFiles(tmp_path, "haproxy")
    files.write({"haproxy.cfg": "first", "addresses": "10.214.0.1"})
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _full)
        with pytest.raises(ProxyUnwritten, match="No space left"):
            files.write({"haproxy.cfg": "second"})
    assert files.tampered() == ()
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {
        "haproxy.cfg": "first",
        "addresses": "10.214.0.1",
    }


def test_what_somebody_else_wrote_is_known_and_put_back(tmp_path: Path) -> None:
    files = ProxyFiles(tmp_path, "haproxy")
    files.write({"haproxy.cfg": "first"})
    (tmp_path / "haproxy.cfg").write_text("another")
    assert files.tampered() == ("haproxy.cfg",)
    files.restore()
    assert (files.text("haproxy.cfg"), files.tampered()) == ("first", ())
