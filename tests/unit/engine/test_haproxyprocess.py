"""What the kernel says of the proxy's processes."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hullmark.engine.haproxyprocess import SOCKETS, shut

PROC = Path("/no/proc")


@pytest.mark.parametrize(
    ("flags", "files", "free", "why"),
    [
        (0, 100, SOCKETS, ""),
        (0, 100, SOCKETS - 1, "there is room for no more files"),
        (0, 0, 0, ""),  # as btrfs tells it, which has no such number
        (os.ST_RDONLY, 100, 50, "it can only be read"),
    ],
)
def test_whether_sockets_can_be_made_is_asked_of_the_processs_own_mounts(
    monkeypatch: pytest.MonkeyPatch, flags: int, files: int, free: int, why: str
) -> None:
    asked: list[str] = []

    def told(path: str) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(f_flag=flags, f_files=files, f_favail=free)

    monkeypatch.setattr(os, "statvfs", told)
    assert shut(Path("/run/x"), 7, PROC) == why
    assert asked == ["/no/proc/7/root/run/x"]


def test_where_nobody_can_tell_nothing_is_said() -> None:
    assert shut(Path("/run/x"), 7, PROC) == ""
