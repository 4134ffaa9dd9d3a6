"""Sockets in watched folders: one that is gone is remembered, and is no file that is there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd import watchedfiles
from hullmark.agentd.watchedfiles import FILE, WatchedFiles
from hullmark.host.eye import Eye
from hullmark.model.audit import Entry


class Blind:
    """A watch that never says anything."""

    works, missing, folders = True, (), 1

    def watch(self, paths: Sequence[str]) -> None:
        list(paths)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.place, self.state = folder / "run", folder / "state"
        self.place.mkdir()
        self.state.mkdir()
        self.notes: list[Entry] = []
        self.start()

    def start(self) -> None:
        places = (str(self.place),)
        self.files = WatchedFiles(
            self.state, self.state, places, self.notes.append, lambda: None, lambda: 1e9
        )
        self.files._picture, self.files._known = self.files._load()
        self.turn(overflowed=True)

    def turn(self, *touched: Path, overflowed: bool = False) -> None:
        watch: Any = Blind()
        self.files._turn(watch, frozenset(map(str, touched)), overflowed)

    def listen(self, name: str, mode: int = 0o777) -> Path:
        path = self.place / name
        os.mknod(path, stat.S_IFSOCK | mode)
        path.chmod(mode)
        return path

    def safe(self) -> tuple[str, str]:
        """What others can write, and how many files are there."""
        (reading,) = self.files.look_safe(Eye(timeout_s=3), {"paths": (str(self.place),)})
        return reading.text, reading.facts["files"]

    def kept(self) -> list[str]:
        found = json.loads((self.state / FILE).read_text())["files"]
        return [Path(path).name for path in found if path != str(self.place)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(watchedfiles, "SETTLE_S", 0.0)
    return Bench(tmp_path)


@pytest.mark.parametrize("overflowed", [False, True])
def test_a_socket_that_is_gone_can_be_written_by_nobody(bench: Bench, overflowed: bool) -> None:
    path = bench.listen("engine.sock")
    bench.turn(path, overflowed=overflowed)
    text, files = bench.safe()
    assert f"{path} can be written by everybody" in text
    assert files == "2"
    path.unlink()
    bench.turn(path, overflowed=overflowed)
    text, files = bench.safe()
    assert str(path) not in text
    assert files == "1"
    bench.start()
    assert str(path) not in bench.safe()[0]
    bench.listen("engine.sock", 0o660)
    bench.turn(path, overflowed=overflowed)
    assert [entry.reason for entry in bench.notes] == [f"{path} changed: mode 0777 -> 0660"]


def test_of_sockets_with_ever_other_names_the_last_are_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchedfiles, "FILES_MOST", 3)
    for number in range(9):
        path = bench.listen(f"{number}.sock")
        bench.turn(path)
        path.unlink()
        bench.turn(path)
        if number == 5:
            bench.start()
    assert bench.kept() == ["6.sock", "7.sock", "8.sock"]
    for name in ("0.sock", "8.sock"):
        bench.turn(bench.listen(name, 0o600))
    assert [entry.reason for entry in bench.notes] == [f"{path} changed: mode 0777 -> 0600"]
