"""Copies of a master's store: restored over the right one, or beside it under a second master."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.cluster import Daemon, OneHostCluster, free_port, wait_until
from tests.e2e.apps import apply_sleeper, problems, processes, wait_for_problem, wait_until_mended
from tests.e2e.conftest import IMAGE

pytestmark = pytest.mark.one_engine


def test_an_old_copy_of_the_store_is_never_obeyed(own: OneHostCluster, tmp_path: Path) -> None:
    """Not even when it has been restarted until its epoch is above that of the right one."""
    apply_sleeper(own, IMAGE)
    own.master.kill(signal.SIGTERM)
    folder, copy, right = own.folder / "master", tmp_path / "copy", tmp_path / "right"
    shutil.copytree(folder, copy)
    own.master.start()
    own.wait_for_host()
    apply_sleeper(own, IMAGE, replicas=2)
    before = processes(own)
    own.master.kill(signal.SIGTERM)
    folder.rename(right)
    copy.rename(folder)
    for _ in range(4):
        own.master.start()
        own.wait_for_master()
        wait_until(lambda: "order.refused" in problems(own), "the host says that it refuses", 30)
        assert own.run("status").returncode in (1, 2), "nothing is well"
        own.master.kill(signal.SIGTERM)
        assert processes(own) == before
    shutil.rmtree(folder)
    right.rename(folder)
    own.master.start()
    own.wait_for_host()
    apply_sleeper(own, IMAGE, replicas=3)
    assert before.items() <= processes(own).items()
    wait_until_mended(own)


def test_of_two_masters_on_copies_one_is_obeyed(own: OneHostCluster, tmp_path: Path) -> None:
    """They take the same epoch under the same name, and an agent knows both addresses."""
    apply_sleeper(own, IMAGE)
    own.master.kill(signal.SIGTERM)
    shutil.copytree(own.folder / "master", tmp_path / "master")
    other, other_port = second_master(own, tmp_path)
    own.agent.kill(signal.SIGTERM)
    with own.agent_config.open("a") as file:
        ports = (own.agents_port, other_port)
        file.write(f"masters: [{', '.join(f'https://127.0.0.1:{port}' for port in ports)}]\n")
    own.master.start()
    own.wait_for_master()
    own.agent.start()
    own.wait_for_host()
    apply_sleeper(own, IMAGE, replicas=2)
    before = processes(own)
    other.start()
    try:
        os.kill(own.master.pid, signal.SIGSTOP)
        wait_until(
            lambda: "orders refused" in own.agent.log.read_text(), "the other one is refused", 60
        )
        time.sleep(3)
        assert processes(own) == before
        os.kill(own.master.pid, signal.SIGCONT)
        wait_for_problem(own, "order.refused")
        assert processes(own) == before
    finally:
        other.kill()
    wait_until_mended(own)


def second_master(own: OneHostCluster, folder: Path) -> tuple[Daemon, int]:
    """A master on the copy in `folder`, on ports of its own. Not started yet; its agents' port."""
    api_port, agents_port = free_port(), free_port()
    text = own.master_config.read_text().replace(str(own.folder), str(folder))
    text = text.replace(str(own.api_port), str(api_port)).replace(
        str(own.agents_port), str(agents_port)
    )
    (folder / "master.yaml").write_text(text)
    command = [*own.master.command[:-1], str(folder / "master.yaml")]
    return Daemon("other", command, folder / "other.log"), agents_port
