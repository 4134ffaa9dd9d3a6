"""Watched files with the kernel's own inotify: what is told, how soon, and what a check says of the watch."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hullmark
from hullmark.agentd import watchedfiles
from hullmark.agentd.watchedfiles import WatchedFiles
from hullmark.core.checks.judge import Seen
from hullmark.core.checks.watchedfiles import judge_safe, judge_unchanged, judge_watch
from hullmark.host.eye import Eye
from hullmark.model.audit import Actor, Entry
from hullmark.model.control import CANARY, Finding, Status
from tests.cluster import wait_until


class Bed:
    def __init__(self, folder: Path) -> None:
        self.place = folder / "etc"
        self.place.mkdir()
        (self.place / "daemon.json").write_text("{}")
        self.state, self.run_dir = folder / "state", folder / "run"
        self.state.mkdir()
        self.notes: list[Entry] = []
        self.called = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread
        self.files: WatchedFiles

    @property
    def given(self) -> dict[str, object]:
        return {"paths": (str(self.place),), "compared": 1800.0}

    def start(self) -> None:
        self._stopping = threading.Event()
        self.files = WatchedFiles(
            self.state, self.run_dir, (str(self.place),), self.notes.append, self._call
        )
        self._thread = threading.Thread(target=self.files.run, args=(self._stopping,))
        self._thread.start()
        wait_until(lambda: self.watch().status is Status.PASS, "the watch works", 10)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def watch(self) -> Finding:
        readings = self.files.look_watch(Eye(timeout_s=3), self.given)
        return judge_watch(Seen(readings, self.given, time.time(), CANARY))

    def safe(self) -> Finding:
        readings = self.files.look_safe(Eye(timeout_s=3), self.given)
        return judge_safe(Seen(readings, self.given, time.time(), 2))

    def _call(self) -> None:
        self.called += 1

    def unchanged(self) -> Finding:
        given = {**self.given, "quiet": 3.0}
        readings = self.files.look_unchanged(Eye(timeout_s=3), given)
        return judge_unchanged(Seen(readings, given, time.time(), 2))

    def hears(self, what: str) -> None:
        wait_until(lambda: what in self.unchanged().reason, what, 5)
        assert self.unchanged().status is Status.FAIL
        wait_until(lambda: self.called > 0, "who looks at checks is called", 5)


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    made.start()
    yield made
    made.stop()


def test_the_canary_is_noticed(bed: Bed) -> None:
    assert bed.watch().level == CANARY
    assert bed.unchanged().status is Status.PASS
    assert list((bed.run_dir / "canaries").iterdir()) == []


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (lambda place: (place / "daemon.json").write_text('{"icc": true}'), "changed: sha256"),
        (lambda place: (place / "daemon.json").chmod(0o666), "mode 0644 -> 0666"),
        (lambda place: (place / "new.json").write_text("x"), "new.json was added"),
        (lambda place: (place / "daemon.json").unlink(), "daemon.json was removed"),
        (
            lambda place: ((place / "certs.d").mkdir(), (place / "certs.d/ca").write_text("x")),
            "certs.d/ca was added",
        ),
    ],
)
def test_a_change_is_told_at_once_and_recorded(
    bed: Bed, deed: Callable[[Path], Any], told: str
) -> None:
    began = time.monotonic()
    deed(bed.place)
    bed.hears(told)
    assert time.monotonic() - began < 5
    assert any(entry.kind == "file.changed" and told in entry.reason for entry in bed.notes)


def test_a_socket_that_a_daemon_makes_anew_is_no_change_and_its_owner_is(bed: Bed) -> None:
    path = bed.place / "docker.sock"
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
        path.chmod(0o660)
        (bed.place / "beside.json").write_text("x")
        bed.hears("beside.json was added")
        (bed.place / "beside.json").unlink()
        bed.hears("beside.json was removed")
        path.unlink()
    assert not [entry for entry in bed.notes if str(path) in entry.reason]
    bed.stop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    path.chmod(0o600)
    bed.start()
    bed.hears("docker.sock changed: mode 0660 -> 0600")
    (entry,) = [entry for entry in bed.notes if str(path) in entry.reason]
    assert (entry.by, entry.actor) == ("unknown", Actor.UNKNOWN), "who did it, nobody knows"


def test_what_others_can_write_fails_until_it_is_mended(bed: Bed) -> None:
    assert bed.safe().status is Status.PASS
    (bed.place / "daemon.json").chmod(0o666)
    wait_until(lambda: bed.safe().status is Status.FAIL, "it is seen", 5)
    (bed.place / "daemon.json").chmod(0o644)
    wait_until(lambda: bed.safe().status is Status.PASS, "it is mended", 5)


def test_a_change_while_nobody_watched_is_told_at_the_next_start(bed: Bed) -> None:
    bed.stop()
    (bed.place / "daemon.json").write_text("changed meanwhile")
    bed.start()
    bed.hears("daemon.json changed: sha256")


def test_a_damaged_memory_is_said(bed: Bed) -> None:
    bed.stop()
    (bed.state / "watched.json").write_text('{"files": 3')
    bed.start()
    assert any(entry.kind == "file.unknown" for entry in bed.notes)
    assert bed.unchanged().status is Status.PASS


def test_it_passes_again_when_the_files_were_quiet(bed: Bed) -> None:
    (bed.place / "daemon.json").write_text("{ }")
    bed.hears("daemon.json changed")
    wait_until(lambda: bed.unchanged().status is Status.PASS, "it is quiet", 10)


def test_what_an_upgrade_changed_of_the_program_is_recorded_only(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.stop()
    monkeypatch.setattr(watchedfiles, "PROGRAMS", (str(bed.place),))
    monkeypatch.setattr(hullmark, "__version__", "99.0.0")
    (bed.place / "daemon.json").write_text("of the next version")
    bed.start()
    assert bed.unchanged().status is Status.PASS
    assert any("to 99.0.0" in entry.reason for entry in bed.notes)
    (bed.place / "daemon.json").write_text("by somebody, afterwards")
    bed.hears("daemon.json changed")


def test_a_watch_that_stands_still_fails(bed: Bed) -> None:
    """The canary is made, and nobody is there to notice it."""
    bed.stop()
    assert bed.watch().status is Status.ERROR
    bed.start()
    watch = bed.files._watch
    assert watch is not None

    def deaf(timeout_s: float) -> tuple[frozenset[str], bool]:
        time.sleep(timeout_s)
        return frozenset(), False

    watch.wait = deaf  # type: ignore[method-assign]
    time.sleep(1.1)
    found = bed.watch()
    assert (found.status, "not noticed" in found.reason) == (Status.FAIL, True)
