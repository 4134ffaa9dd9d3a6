"""Checks of log files against what logrotate itself leaves: a rotation is none of its findings, whichever way it is done, and a log
that was cut between two rotations is."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status

LINE = "one of many lines of a log\n"


def see(kind: str, **changed: Any) -> tuple[Reading, ...]:
    return PROBES[kind](Eye(timeout_s=10), given(kind, **changed))


def judge(
    kind: str, readings: tuple[Reading, ...], before: tuple[Reading, ...] = (), **changed: Any
) -> Finding:
    level = KINDS[kind].level
    return JUDGES[kind](Seen(readings, given(kind, **changed), time.time(), level, before))


def given(kind: str, **changed: Any) -> dict[str, Any]:
    return {**{name: one.default for name, one in KINDS[kind].parameters.items()}, **changed}


class Rotation:
    def __init__(self, folder: Path, words: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.configuration = folder / "rotate.conf"
        lines = "\n".join(f"  {word.strip()}" for word in words.split(","))
        self.configuration.write_text(f"{self.log} {{\n{lines}\n}}\n")
        self.log.write_text(LINE * 100)

    def rotate(self) -> None:
        state, configuration = str(self.folder / "state"), str(self.configuration)
        command = ["/usr/sbin/logrotate", "--force", "--state", state, configuration]
        subprocess.run(command, check=True, timeout=20)

    def look(self) -> tuple[Reading, ...]:
        return see("logfiles.truncation", paths=(str(self.log),))

    def judged(self, before: tuple[Reading, ...]) -> Finding:
        return judge("logfiles.truncation", self.look(), before, paths=(str(self.log),))

    def files(self) -> int:
        return len(list(self.folder.glob("log*")))


@pytest.mark.parametrize(
    "words",
    [
        "daily, rotate 3, create",
        "daily, rotate 3, nocreate",
        "daily, rotate 3, compress",
        "daily, rotate 3, compress, delaycompress",
        "daily, rotate 3, copytruncate",
        "daily, rotate 3, copytruncate, compress",
        "daily, rotate 3, dateext, dateformat .%s",
    ],
)
def test_a_rotation_loses_nothing(tmp_path: Path, words: str) -> None:
    """Again and again, so that old ones are renamed, packed and removed too."""
    rotation = Rotation(tmp_path, words)
    for _ in range(3 if "dateext" in words else 5):
        before = rotation.look()
        rotation.rotate()
        if "nocreate" in words:
            assert not rotation.log.exists()
        found = rotation.judged(before)
        assert found.status is Status.PASS, found
        rotation.log.write_text(LINE * 100)
        time.sleep(1.1 if "dateext" in words else 0)
    assert rotation.files() > 2, "the fault of none: it did rotate"


def test_a_log_that_somebody_cut(tmp_path: Path) -> None:
    rotation = Rotation(tmp_path, "daily, rotate 3, copytruncate")
    rotation.rotate()
    rotation.log.write_text(LINE * 70)
    before = rotation.look()
    with rotation.log.open("r+") as file:
        file.truncate(len(LINE) * 69)
    found = rotation.judged(before)
    assert found.status is Status.FAIL
    assert f"{rotation.log} was cut to {len(LINE) * 69} bytes" in found.reason


def test_a_log_that_somebody_removed(tmp_path: Path) -> None:
    rotation = Rotation(tmp_path, "daily, rotate 3")
    before = rotation.look()
    rotation.log.unlink()
    assert "is gone" in rotation.judged(before).reason
    rotation.log.write_text("")
    assert rotation.judged(before).status is Status.FAIL


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("weekly, rotate 13", Status.PASS),
        ("weekly, rotate 4", Status.FAIL),
        ("daily, rotate 400, maxage 30", Status.FAIL),
        ("size 1k, rotate 2", Status.FAIL),
    ],
)
def test_how_long_they_are_kept(tmp_path: Path, words: str, status: Status) -> None:
    """The last of these: what it rotates by size goes back a moment only."""
    rotation = Rotation(tmp_path, words)
    for _ in range(3):
        rotation.rotate()
        rotation.log.write_text(LINE * 100)
    more: dict[str, Any] = {"paths": (str(rotation.log),), "logrotate": str(rotation.configuration)}
    found = judge("logfiles.retention", see("logfiles.retention", **more), **more)
    assert found.status is status, found


def test_who_may_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LINE)
    for mode, status in ((0o640, Status.PASS), (0o644, Status.FAIL), (0o600, Status.PASS)):
        log.chmod(mode)
        more: dict[str, Any] = {"paths": (str(log),)}
        found = judge("logfiles.permissions", see("logfiles.permissions", **more), **more)
        assert found.status is status, found
