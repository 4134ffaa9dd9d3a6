"""An engine that takes connections and answers nothing, as a process does that SIGSTOP stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import (
    apply_sleeper,
    problems,
    processes,
    wait_for_problem,
    wait_until_mended,
)
from tests.e2e.conftest import IMAGE
from tests.integration.engines import ENGINES, Engine

pytestmark = pytest.mark.one_engine

TOLD_S = 55.0
"""Some 40 s until it is sure, and what a busy machine adds. Calls of the engine's API have a minute."""


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_it_is_told_as_one_that_hangs_and_breaks_no_policy(
    fresh_engine, tmp_path: Path, name: str
) -> None:
    engine: Engine = fresh_engine(name)
    engine.load_image(IMAGE)
    (tmp_path / "policy.d").mkdir(mode=0o755)
    options = f"policy_dir: {tmp_path}/policy.d\n"
    with OneHostCluster(tmp_path / "c", engine.socket, agent_options=options) as cluster:
        apply_sleeper(cluster, IMAGE, pull="never")
        before = processes(cluster)
        wait_until_mended(cluster)
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            # What runs is to be judged by another policy now, and nobody can be asked.
            (tmp_path / "policy.d" / "10-host.yaml").write_text("privileged: true\n")
            said = wait_for_problem(cluster, "engine.unavailable", TOLD_S)
            assert f"{engine.socket} hangs: it is there, and answered nothing" in said
            assert "restart it, unless it is only just being started or stopped: systemctl" in said
            assert "start it: systemctl start" not in said
            why = cluster.run("why", "sleeper/s")
            assert "hangs" in why.stdout
            assert "engine box: answers" not in why.stdout
            began = time.monotonic()
            logs = cluster.run("logs", "sleeper/s", "--tail", "1")
            assert time.monotonic() - began < 20
            assert "hangs" in logs.stdout + logs.stderr
            assert set(problems(cluster)) == {"engine.unavailable"}
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        wait_until_mended(cluster)
        assert processes(cluster) == before
        apply_sleeper(cluster, IMAGE, pull="never", replicas=2)
        wait_until(lambda: len(processes(cluster)) == 2, "work goes on", 60)
        cluster.stop()
        cluster.remove_containers()
