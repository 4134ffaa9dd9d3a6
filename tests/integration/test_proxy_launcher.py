"""The launcher that keeps the proxy running where the init system doesn't."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.integration.daemon import required
from tests.proxy import LAUNCHER

DELAYS_S = (0.002, 0.006, 0.008, 0.01, 0.012, 0.015, 0.02, 0.03, 0.05)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The proxy's, with nothing to do for it yet, and that of its sockets. What a launcher has left there is ended."""
    required("haproxy")
    folder, run_dir = tmp_path / "folder", tmp_path / "run"
    folder.mkdir()
    run_dir.mkdir()
    yield folder, run_dir
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and names_it(entry, run_dir):
            os.kill(int(entry.name), signal.SIGKILL)


def names_it(process: Path, run_dir: Path) -> bool:
    try:
        return str(run_dir).encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("read_only", ["folder", "run"])
def test_it_goes_on_where_a_disk_can_only_be_read_for_a_while(
    folders: tuple[Path, Path], read_only: str
) -> None:
    """HAProxy needs no more of its own folder than to read it; its sockets have to be made."""
    folder, run_dir = folders
    disk = folder if read_only == "folder" else run_dir
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    command = ["sh", str(LAUNCHER), "supervise", "--folder", str(folder), "--run-dir", str(run_dir)]
    quiet = subprocess.DEVNULL
    launcher = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        wait_until(lambda: main_of(run_dir), "it runs", 10)
        former = main_of(run_dir)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (disk / "anything").touch()
        os.kill(former, signal.SIGKILL)
        time.sleep(1.5)  # it is tried twice or more
        assert launcher.poll() is None
        if read_only == "folder":
            wait_until(lambda: main_of(run_dir) not in (0, former), "it runs again meanwhile", 10)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        wait_until(lambda: main_of(run_dir) not in (0, former), "it runs again", 10)
    finally:
        launcher.terminate()
        launcher.wait(10)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def main_of(run_dir: Path) -> int:
    """The pid of HAProxy's main process there, 0 where none runs."""
    try:
        pid = int((run_dir / "pid").read_text())
    except (OSError, ValueError):
        return 0
    return pid if names_it(Path(f"/proc/{pid}"), run_dir) else 0


@pytest.mark.parametrize("delay_s", DELAYS_S)
def test_it_ends_with_its_haproxy_however_soon_it_is_told(
    folders: tuple[Path, Path], delay_s: float
) -> None:
    folder, run_dir = folders
    command = ["sh", str(LAUNCHER), "supervise", "--folder", str(folder), "--run-dir", str(run_dir)]
    quiet = subprocess.DEVNULL
    launcher = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    time.sleep(delay_s)
    launcher.send_signal(signal.SIGTERM)
    launcher.wait(10)
    wait_until(
        lambda: not any(names_it(each, run_dir) for each in Path("/proc").iterdir()),
        "none is left",
        5,
    )
