"""Checks of AIDE against what it leaves itself. The tests run it, the checks never do."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status

DAY = 86400.0


class Aide:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = folder / "watched"
        self.watched.mkdir()
        (self.watched / "a").write_text("a")
        self.database = folder / "aide.db"
        self.log = folder / "aide.log"
        self.config = folder / "aide.conf"
        # Files only: whether the folder changes too depends on the second, as AIDE has times by the second.
        self.config.write_text(
            f"database_in=file:{self.database}\ndatabase_out=file:{self.database}.new\n"
            f"report_url=file:{self.log}\n{self.watched} f R+sha256\n"
        )

    def run(self, *words: str) -> int:
        command = ["/usr/bin/aide", "--config", str(self.config), *words]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def initialise(self) -> None:
        assert self.run("--init") == 0
        Path(f"{self.database}.new").rename(self.database)

    def look(self, kind: str, **changed: object) -> Finding:
        given = {name: one.default for name, one in KINDS[kind].parameters.items()}
        given.update(
            paths=(str(self.database), f"{self.database}.gz"),
            logs=(str(self.log), f"{self.log}.1"),
            units=(),
        )
        given.update(changed)
        readings = PROBES[kind](Eye(), given)
        return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))

    @property
    def state(self) -> dict[str, tuple[int, float]]:
        found = {path.name: path.stat() for path in self.folder.rglob("*")}
        return {name: (one.st_size, one.st_mtime) for name, one in found.items()}


@pytest.fixture
def aide(tmp_path) -> Aide:
    return Aide(tmp_path)


def test_a_life(aide) -> None:
    """From a host without a baseline to one whose AIDE can't look."""
    found = aide.look("aide.database")
    assert (found.status, "never initialised" in found.reason) == (Status.FAIL, True)
    aide.initialise()
    assert aide.look("aide.database").status is Status.PASS
    assert aide.look("aide.last_run").reason == "AIDE has never run: there is no report of it"

    assert aide.run("--check") == 0
    found = aide.look("aide.last_run")
    assert (found.status, found.level, found.reason) == (
        Status.PASS,
        2,
        "ran 0 s ago: no differences",
    )

    (aide.watched / "a").write_text("another")
    (aide.watched / "b").write_text("b")
    assert aide.run("--check") == 5
    assert aide.look("aide.last_run").reason == "ran 0 s ago: 1 added, 0 removed, 1 changed"
    assert aide.look("aide.last_run").status is Status.PASS

    aide.database.unlink()
    assert aide.run("--check") == 18
    assert aide.log.read_bytes() == b""
    assert aide.look("aide.last_run").reason == "AIDE has never run: there is no report of it"
    assert aide.look("aide.database").status is Status.FAIL


def test_age(aide) -> None:
    aide.initialise()
    aide.run("--check")
    week = time.time() - 8 * DAY
    os.utime(aide.log, (week, week))
    os.utime(aide.database, (week, week))
    assert aide.look("aide.last_run").status is Status.FAIL
    assert aide.look("aide.last_run", max_age=9 * DAY).status is Status.PASS
    assert aide.look("aide.database", max_age=7 * DAY).status is Status.FAIL


def test_a_packed_baseline(aide) -> None:
    with aide.config.open("a") as config:
        config.write("gzip_dbout=yes\n")
    aide.initialise()
    assert aide.database.read_bytes()[:2] == b"\x1f\x8b"
    assert aide.look("aide.database").status is Status.PASS


def test_others_may_change_the_baseline(aide) -> None:
    aide.initialise()
    aide.database.chmod(0o666)
    assert aide.look("aide.database").status is Status.FAIL


def test_files_that_are_none(aide) -> None:
    aide.database.write_text("hello")
    aide.log.write_text("hello")
    assert aide.look("aide.database").status is Status.ERROR
    assert aide.look("aide.last_run").status is Status.ERROR


def test_a_look_changes_nothing(aide) -> None:
    aide.initialise()
    aide.run("--check")
    before = aide.state
    for kind in ("aide.database", "aide.last_run"):
        aide.look(kind)
    assert aide.state == before
