"""The mark on a real host: a control of the site's fails, new work waits and what runs goes on; it is mended, or a person decides."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.controls import own_controls
from tests.e2e.apps import apply_sleeper, processes
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine

pytestmark = pytest.mark.one_engine(together=True)

CONTROL = """\
controls:
  - id: our-file
    function: site-file
    title: Our file
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {path}
        must_match: "^all is well$"
        interval: 1s
        timeout: 1s
"""
MARK = "require:\n  - control: site-file\n    level: 2\n"
FAILS = 'control "site file" FAILS'


class Marked:
    """A cluster whose only host has one control, on a file that the test writes; the cluster's mark asks for it."""

    def __init__(self, cluster: OneHostCluster, file: Path) -> None:
        self.cluster = cluster
        self._file = file

    def say(self, words: str, code: int) -> None:
        """Write the file, and wait until the leader knows what follows: `hullmark mark status` ends with this code."""
        self._file.write_text(f"{words}\n")
        what = f"mark status ends with {code}"
        wait_until(lambda: self.cluster.look("mark", "status").returncode == code, what, 20.0)

    def placed(self) -> list[str]:
        found = self.cluster.instances("sleeper")
        return sorted(item["name"] for item in found if item["host"])

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = self.cluster.json("events", "--limit", "1000")["events"]
        return [event for event in found if event["kind"] == kind]


@pytest.fixture
def marked(engine: Engine, tmp_path: Path) -> Iterator[Marked]:
    engine.load_image(IMAGE)
    file = tmp_path / "watched.txt"
    file.write_text("all is well\n")
    cluster = OneHostCluster(tmp_path / "c", engine.socket)
    cluster.agent_controls = own_controls(tmp_path / "controls", CONTROL.format(path=file))
    with cluster:
        (tmp_path / "mark.yaml").write_text(MARK)
        cluster.hullmark("mark", "set", str(tmp_path / "mark.yaml"), "--ticket", "CHG-1")
        yield Marked(cluster, file)
        cluster.stop()
        cluster.remove_containers()


def test_a_host_that_fails_keeps_what_it_runs_and_gets_nothing_new(marked: Marked) -> None:
    cluster = marked.cluster
    marked.say("all is well", 0)
    apply_sleeper(cluster, IMAGE, pull="never")
    marked.say("all is lost", 1)
    _waits(marked)
    _goes_on(marked)
    marked.say("all is well", 0)
    wait_until(lambda: len(processes(cluster)) == 2, "the second one runs", 20.0)
    _decided(marked)


def _waits(marked: Marked) -> None:
    """A scale up finds no host, and everybody is told why; plan too."""
    cluster = marked.cluster
    status = cluster.run("mark", "status").stdout
    assert "0 of 1 host prove what the cluster asks for" in status
    assert FAILS in status
    cluster.hullmark("scale", "sleeper/s=2", "--no-wait")
    told = wait_until(lambda: _named(cluster.look("explain", "sleeper").stdout), "explained")
    assert "hullmark mark override site-file --ticket TEXT" in told
    assert marked.placed() == ["sleeper/s.1"]
    file = cluster.folder / "sleeper.yaml"
    file.write_text(file.read_text().replace("replicas: 1", "replicas: 3"))
    assert FAILS in cluster.run("plan", str(file)).stdout
    assert "1 host gets no new work, by the mark: box" in cluster.run("status").stdout


def _named(text: str) -> str:
    """The incident is there a moment after the outage."""
    return text if f"{FAILS} (incident #" in text else ""


def _goes_on(marked: Marked) -> None:
    """A container that was killed is started again; a new version leaves the former one alone."""
    cluster = marked.cluster
    ((name, pid),) = processes(cluster).items()
    os.kill(pid, signal.SIGKILL)
    again = wait_until(lambda: _other(cluster, name, pid), "started again in its place", 20.0)
    apply_sleeper(cluster, IMAGE, replicas=2, pull="never", number=2, wait=False)
    told = wait_until(
        lambda: _waiting(cluster.look("explain", "sleeper").stdout), "the new version waits"
    )
    assert FAILS in told
    assert processes(cluster) == {name: again}
    assert marked.placed() == ["sleeper/s.1"]
    cluster.hullmark("rollout", "undo", "sleeper", "--no-wait")
    assert processes(cluster) == {name: again}


def _other(cluster: OneHostCluster, name: str, former: int) -> int:
    pid = processes(cluster).get(name, former)
    return 0 if pid == former else pid


def _waiting(text: str) -> str:
    return text if "the former runs on" in text else ""


def _decided(marked: Marked) -> None:
    """It fails again, and an administrator lets one more instance through."""
    cluster = marked.cluster
    marked.say("all is lost", 1)
    cluster.hullmark("scale", "sleeper/s=3", "--no-wait")
    assert len(processes(cluster)) == 2
    assert cluster.run("mark", "override", "site-file").returncode == 64
    cluster.hullmark("mark", "override", "site-file", "--ticket", "INC-52", "--for", "1h")
    wait_until(lambda: len(processes(cluster)) == 3, "a person's word", 20.0)
    (told,) = marked.events("mark.overridden")
    assert told["fields"]["ticket"] == "INC-52"
    assert "ticket INC-52" in cluster.run("mark", "status").stdout
