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
