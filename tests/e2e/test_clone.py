"""A machine that was copied with its certificate: two agents that say they are one host. No engine is needed."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Daemon, OneHostCluster, wait_until

AGAIN_S = 30.0
"""An agent that is refused asks again within 15 s at most."""


class Cloned(OneHostCluster):
    """`clone` is a second agent, on a copy of the first one's state folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"unix://{folder}/no-engine.sock")
        config = folder / "clone.yaml"
        self.clone = Daemon("clone", self.daemon("agentd", config), folder / "clone.log")
        self._config = config

    def copy(self) -> None:
        shutil.copytree(self.folder / "agent", self.folder / "clone")
        text = self.agent_config.read_text()
        self._config.write_text(text.replace(f"{self.folder}/agent\n", f"{self.folder}/clone\n"))

    def stop(self) -> None:
        self.clone.kill(signal.SIGTERM)
        super().stop()

    def codes(self) -> set[str]:
        """Of what is wrong with the host."""
        return {problem["code"] for problem in self.host_view()["problems"]}

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.json("events", "-n", "1000")["events"]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cloned]:
    with Cloned(tmp_path / "c") as found:
        yield found


def test_a_clone_is_refused_and_the_agent_that_stands_stays(cluster: Cloned) -> None:
    cluster.copy()
    cluster.clone.start()
    wait_until(lambda: "host.cloned" in cluster.codes(), "the clone is raised")
    assert "another agent with this host's certificate" in wait_until(
        lambda: _refusals(cluster.clone), "the clone says that it is refused"
    )
    assert _refusals(cluster.agent) == ""
    assert cluster.host_view()["state"] == "ready"
    status = cluster.run("status")
    assert status.returncode == 1
    assert "two agents have this host's certificate" in status.stdout
    assert cluster.kinds().count("host.cloned") == 1
    cluster.agent.kill()
    killed_at = time.monotonic()
    wait_until(
        lambda: cluster.host_view()["heard_s"] < time.monotonic() - killed_at - 1.0,
        "the one that is left is taken: the host was heard since",
        AGAIN_S,
    )


def test_an_agent_that_is_killed_and_started_is_no_clone(cluster: Cloned) -> None:
    for _ in range(3):
        cluster.agent.kill()
        cluster.agent.start()
        log_end = len(cluster.agent.log.read_text())
        wait_until(
            lambda: cluster.host_view()["heard_s"] < 2 and cluster.host_view()["state"] == "ready",
            "it is heard again",
            5,
        )
        assert "another agent" not in cluster.agent.log.read_text()[log_end:]
    assert "host.cloned" not in cluster.kinds()


def _refusals(daemon: Daemon) -> str:
    return "\n".join(
        line for line in daemon.log.read_text().splitlines() if "another agent" in line
    )
