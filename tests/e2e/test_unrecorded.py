"""A host whose audit log can't be written: nothing new is begun there, what runs is kept running, and somebody is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, processes, wait_for_problem, wait_until_mended
from tests.e2e.auditlog import breaks, records, unended
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine

pytestmark = pytest.mark.one_engine


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB where the agent's log is."""
    folder = tmp_path / "c" / "agent-audit"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free)
    assert shutil.disk_usage(folder).free == 0
    return ballast


def use_up_the_last_page(cluster: OneHostCluster) -> None:
    """A disk without a free page still takes what the log's last one has room for."""
    for number in range(6):
        apply_sleeper(cluster, IMAGE, name=f"page{number}", wait=False)
        try:
            wait_for_problem(cluster, "audit.unwritable", 4.0)
        except AssertionError:
            continue
        return


@pytest.mark.timeout(180)
def test_a_full_disk_keeps_what_runs_and_begins_nothing_new(
    engine: Engine, tmp_path: Path, disk: Path
) -> None:
    engine.load_image(IMAGE)
    with OneHostCluster(tmp_path / "c", engine.socket) as cluster:
        apply_sleeper(cluster, IMAGE, name="old")
        apply_sleeper(cluster, IMAGE, name="leaves")
        (pid,) = processes(cluster, "old").values()
        ballast = fill(disk)
        use_up_the_last_page(cluster)
        apply_sleeper(cluster, IMAGE, name="new", wait=False)
        assert "No space left" in wait_for_problem(cluster, "audit.unwritable")
        _is_restarted(cluster, pid)
        cluster.hullmark("rm", "--no-wait", "leaves")
        wait_until(lambda: not processes(cluster, "leaves"), "it is stopped")
        assert not [name for name in cluster.containers() if name.startswith("new.")]
        ballast.unlink()
        wait_until(lambda: processes(cluster, "new"), "what waited is begun", 60)
        wait_until(
            lambda: not [name for name in cluster.containers() if name.startswith("leaves.")],
            "what was stopped is removed",
        )
        wait_until_mended(cluster)
        wait_until(lambda: not unended(records(disk)), "every intent has its outcome")
        assert breaks(disk) == []
        done = [
            (one.entry.kind, one.entry.by, one.entry.outcome.value)
            for one in records(disk)
            if one.entry.subject in ("old/s.1", "leaves/s.1")
        ]
        assert ("container.start", "hullmark", "success") in done, "restarted by the agent itself"
        assert done.count(("container.stop", done[0][1], "success")) == 1
        cluster.stop()
        cluster.remove_containers()


def _is_restarted(cluster: OneHostCluster, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)

    def again() -> bool:
        return pid not in processes(cluster, "old").values() and bool(processes(cluster, "old"))

    wait_until(again, "what ran is started again")
