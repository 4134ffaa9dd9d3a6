"""What somebody does past Hullmark is recorded and told once; what engines and agents do of themselves is not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any

import pytest

from hullmark.agentd.byhand import SETTLE_S
from hullmark.model.audit import BY_HAND, Actor, Entry
from hullmark.model.moments import moment
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, processes
from tests.e2e.auditlog import records
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine, docker_command

CHECKED = """\
name: {name}
services:
  s:
    image: {image}
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    healthcheck: {{test: "test -d /tmp", interval: {interval}, timeout: 20s}}
    deploy: {{replicas: {replicas}}}
"""
MANY = {"docker": 50, "podman": 3}
QUIET_S = {"docker": 7.0, "podman": 5.0}
TOLD_WITHIN_S = 20.0


def apply_checked(
    cluster: OneHostCluster, replicas: int, *, interval: str = "2s", name: str = "checked"
) -> None:
    file = cluster.folder / f"{name}.yaml"
    file.write_text(CHECKED.format(name=name, image=IMAGE, interval=interval, replicas=replicas))
    cluster.hullmark("apply", "--wait", str(file), timeout_s=240)


def recorded(cluster: OneHostCluster) -> list[Entry]:
    found = [one.entry for one in records(cluster.folder / "agent-audit")]
    return [one for one in found if one.kind.startswith("unmanaged.")]


def alerts(cluster: OneHostCluster) -> list[dict[str, Any]]:
    events = cluster.json("events")["events"]
    return [one for one in events if one["kind"].startswith("unmanaged.")]


def of_checked(cluster: OneHostCluster) -> list[Entry]:
    return [one for one in recorded(cluster) if one.subject.startswith("checked/")]


def told_of_checked(cluster: OneHostCluster) -> list[dict[str, Any]]:
    return [one for one in alerts(cluster) if one["subject"].startswith("checked/")]


def kinds(cluster: OneHostCluster, since: float) -> list[str]:
    """Of what this test does. What was done to apps of others may be told late."""
    return [
        one.kind.partition(".")[2]
        for one in recorded(cluster)
        if "/s." not in one.subject and one.fields["happened_at"] >= moment(since)
    ]


def by_hand(engine: Engine, *words: str) -> None:
    subprocess.run(
        [docker_command(), "-H", engine.socket, *words],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.timeout(300)
def test_of_commands_health_checks_are_not_told_and_a_persons_is_told_once(
    cluster: OneHostCluster, engine: Engine
) -> None:
    name = "podman" if "podman" in engine.socket else "docker"
    apply_checked(cluster, MANY[name])
    time.sleep(QUIET_S[name])
    assert of_checked(cluster) == []
    one = next(one for one in cluster.containers() if one.startswith("checked."))
    by_hand(engine, "exec", one, "sh", "-c", "echo secret")
    (entry,) = wait_until(lambda: of_checked(cluster), "it is recorded")
    assert (entry.kind, entry.by, entry.actor) == ("unmanaged.exec", BY_HAND, Actor.UNKNOWN)
    assert entry.container_id == cluster.containers()[one]["Id"]
    assert entry.fields["image"]
    assert "secret" not in str(entry)
    if name == "docker":
        assert (entry.fields["program"], entry.fields["words"]) == ("sh", "4")
    wait_until(lambda: told_of_checked(cluster), "it is told")
    cluster.hullmark("rm", "checked")
    assert len(of_checked(cluster)) == 1
    (alert,) = told_of_checked(cluster)
    assert (alert["kind"], alert["subject"]) == ("unmanaged.exec", entry.subject)


ON_BOTH = (
    ("run", "run -d --name mine --init {image} sleep 1000"),
    ("rename", "rename mine yours"),
    ("pause", "pause yours"),
    ("unpause", "unpause yours"),
    ("restart", "restart -t 1 yours"),
    ("stop", "stop -t 1 yours"),
    ("start", "start yours"),
    ("exec", "exec yours true"),
    ("run", "run --rm {image} true"),
    ("image-tag", "tag {image} localhost/other:1"),
    ("volume-create", "volume create lone"),
    ("kill", "kill yours"),
)
WITH_DOCKER = (
    ("commit", "commit yours localhost/made:1"),
    ("copy-out", "cp yours:/etc/passwd -"),
    ("update", "update --memory 100m --memory-swap 200m yours"),
    ("network-create", "network create lone"),
)
AFTER = (
    ("remove", "rm yours"),
    ("volume-remove", "volume rm lone"),
)
AFTER_WITH_DOCKER = (
    ("image-untag", "rmi localhost/other:1"),
    ("image-delete", "rmi localhost/made:1"),
    ("network-remove", "network rm lone"),
    ("run", "run -d --name mine {image} sleep 1000"),
    ("remove", "rm -f mine"),
)


@pytest.mark.timeout(300)
def test_each_act_is_told_once(cluster: OneHostCluster, engine: Engine) -> None:
    is_docker = "docker.sock" in engine.socket
    since = time.time()
    done: list[str] = []
    for part in (
        [*ON_BOTH[:-1], *(WITH_DOCKER if is_docker else ()), ON_BOTH[-1]],
        [*AFTER, *(AFTER_WITH_DOCKER if is_docker else ())],
    ):
        for what, words in part:
            by_hand(engine, *words.format(image=IMAGE).split())
            done.append(what)
        with suppress(AssertionError):
            wait_until(lambda: len(kinds(cluster, since)) >= len(done), "all", TOLD_WITHIN_S)
        assert sorted(kinds(cluster, since)) == sorted(done)

    def told() -> list[str]:
        found = [
            one for one in alerts(cluster) if one["fields"].get("happened_at", "") >= moment(since)
        ]
        return [one["kind"].partition(".")[2] for one in found if "/s." not in one["subject"]]

    wait_until(lambda: sorted(told()) == sorted(done), "each is told once")


@pytest.mark.timeout(300)
def test_who_is_put_on_another_network_is_told_and_its_starts_and_ends_are_not(
    cluster: OneHostCluster, engine: Engine
) -> None:
    by_hand(engine, "network", "create", "segment")
    apply_sleeper(cluster, IMAGE, name="plugged")
    name = "plugged.s.1.g1"

    def told() -> list[str]:
        found = [one for one in recorded(cluster) if one.subject == "plugged/s.1"]
        assert {one.fields.get("network") for one in found} <= {None, "segment"}
        kinds = [one.kind.partition(".")[2] for one in found]
        return [one for one in kinds if one.startswith("network-")]

    def runs_anew(pid: int) -> bool:
        return processes(cluster, "plugged").get(name, pid) != pid

    for action in ("connect", "disconnect", "connect"):
        by_hand(engine, "network", action, "segment", name)
    plugs = ["network-connect", "network-disconnect", "network-connect"]
    wait_until(lambda: told() == plugs, "each is told once", TOLD_WITHIN_S)
    pid = processes(cluster, "plugged")[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: runs_anew(pid), "the agent starts it")
    pid = processes(cluster, "plugged")[name]
    by_hand(engine, "restart", "-t", "0", name)
    wait_until(lambda: runs_anew(pid), "it is started by hand")
    cluster.hullmark("rm", "plugged")
    by_hand(engine, "network", "rm", "segment")
    time.sleep(2 * SETTLE_S)
    assert told() == plugs
