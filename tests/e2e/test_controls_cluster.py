"""What a cluster knows of its host's controls: soon after they change, and nothing once the host is gone. By real daemons."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.controls import own_controls

CONTROL = """\
controls:
  - id: our-trail
    function: audit-trail
    title: Our trail
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {path}
        must_match: "^all is well$"
        interval: 1s
        timeout: 1s
"""
SOON_S = 2.0
"""From the moment at which the agent found it to the moment at which the leader shows it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "trail"
    found.write_text("all is well\n")
    return found


@pytest.fixture
def cluster(tmp_path: Path, file: Path) -> Iterator[OneHostCluster]:
    made = OneHostCluster(
        tmp_path / "c", f"unix://{tmp_path}/none", agent_options="mode: observe\n"
    )
    made.agent_controls = own_controls(tmp_path / "own", CONTROL.format(path=file))
    made.master_options = "lost_after: 4s\n"
    with made:
        yield made


def shown(cluster: OneHostCluster) -> Optional[dict[str, Any]]:
    """The control as the leader knows it, asked without the time that a command takes to start."""
    path = cluster.master_socket[len("unix://") :]
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10.0)
        asking.connect(path)
        asking.sendall(b"GET /v1/posture HTTP/1.0\r\nHost: master\r\n\r\n")
        answer = b"".join(iter(lambda: asking.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], answer
    (host,) = json.loads(body)["hosts"]
    found: Optional[dict[str, Any]] = host.get("posture", {}).get("controls", {}).get("our-trail")
    return found


def wait_for(cluster: OneHostCluster, status: str, timeout_s: float = 20.0) -> dict[str, Any]:
    def is_so() -> Optional[dict[str, Any]]:
        found = shown(cluster)
        return found if found is not None and found["status"] == status else None

    found: dict[str, Any] = wait_until(is_so, f"the leader shows it as {status}", timeout_s)
    return found


def test_a_leader_knows_of_a_change_soon_and_of_a_lost_host_nothing(
    cluster: OneHostCluster, file: Path
) -> None:
    wait_for(cluster, "pass")
    assert cluster.run("controls", "our-trail").returncode == 0
    file.write_text("nothing is\n")
    failing = wait_for(cluster, "fail")
    took_s = time.time() - failing["since"]
    print(f"MEASURED from finding to the leader's answer: {took_s:.2f} s")
    assert took_s < SOON_S

    told = cluster.run("controls", "--host", "box")
    assert told.returncode == 1
    assert told.stdout.splitlines()[0].startswith("box: mode observe, enrolled")
    assert "our-trail" in told.stdout
    assert "says: " in told.stdout
    wait_until(
        lambda: "incident 1: hullmark outages show 1" in cluster.look("controls").stdout,
        "its incident is named",
        5.0,
    )
    nagios = cluster.run("controls", "--nagios")
    assert nagios.returncode == 2
    assert "box our-trail FAIL" in nagios.stdout
    assert cluster.host_view()["controls"]["failing"] == 1

    file.write_text("all is well\n")
    wait_for(cluster, "pass")
    cluster.agent.kill()
    gone = wait_for(cluster, "not_run")
    assert gone.get("level", -1) == -1
    assert gone["reason"].startswith("the host was not heard for ")
    alone = cluster.run("controls", "--host", "box")
    assert alone.returncode == 3
    assert " pass " not in alone.stdout
    everywhere = cluster.run("controls")
    assert everywhere.returncode == 3
    assert everywhere.stdout.splitlines()[-1] == "1 host: 1 of which nothing is known"
    assert cluster.host_view()["controls"]["passing"] == 0
