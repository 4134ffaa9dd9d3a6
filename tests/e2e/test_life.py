"""An app's life from the command line: apply, order of starts, change, scale, logs, remove."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import LABEL_CLUSTER, OneHostCluster, wait_until
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine, docker_command
from tests.sdk import api_client

SHOP = """\
name: {name}
services:
  db:
    image: {image}
    init: true
    command: [sh, -c, "sleep 1; touch /data/ready; echo db is up; exec sleep 100000"]
    volumes: [data:/data]
    healthcheck: {{test: [CMD, test, -f, /data/ready], interval: 1s, retries: 30}}
    stop_grace_period: 1s
  migrate:
    image: {image}
    command: [sh, -c, "echo run >> /data/migrations; echo migrated"]
    volumes: [data:/data]
    depends_on: {{db: {{condition: service_healthy}}}}
  web:
    image: {image}
    init: true
    command: [sh, -c, "echo web $$COLOUR; exec sleep 100000"]
    environment: {{COLOUR: "{colour}"}}
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    stop_grace_period: 1s
    deploy: {{replicas: 2, update_config: {{monitor: 1s}}}}
volumes:
  data: {{}}
"""


LOOSE = """\
name: loose
services:
  s: {{image: {image}, init: true, command: [sleep, "100000"], stop_grace_period: 1s, networks: [back, front]}}
networks: {{back: {{}}, front: {{}}}}
"""


def apply(cluster: OneHostCluster, folder: Path, name: str, colour: str = "red") -> None:
    file = folder / "compose.yaml"
    file.write_text(SHOP.format(name=name, image=IMAGE, colour=colour))
    cluster.hullmark("apply", "--wait", str(file))


def by_service(cluster: OneHostCluster, app: str) -> dict[str, list[dict[str, Any]]]:
    """Inspect answers of an app's containers, by service, in order of slot."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _, inspected in sorted(cluster.containers().items()):
        labels = inspected["Config"]["Labels"]
        if labels["io.hullmark.app"] == app:
            found.setdefault(labels["io.hullmark.service"], []).append(inspected)
    return found


def file_in(cluster: OneHostCluster, container_id: str, path: str) -> str:
    """Not by a command in it: the SDK loses what comes in one piece with the answer's head."""
    client = api_client(cluster.engine_socket, 30)
    try:
        parts, _ = client.get_archive(container_id, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
            content = archive.extractfile(archive.getmembers()[0])
            assert content is not None
            return content.read().decode()
    finally:
        client.close()


def test_starts_in_order_of_dependencies(cluster: OneHostCluster, tmp_path: Path) -> None:
    apply(cluster, tmp_path, "order")
    found = by_service(cluster, "order")
    db, migrate, web = found["db"][0], found["migrate"][0], found["web"]
    assert db["State"]["StartedAt"] < migrate["State"]["StartedAt"]
    assert migrate["State"]["ExitCode"] == 0
    assert len(web) == 2
    assert all(one["State"]["StartedAt"] > migrate["State"]["FinishedAt"] for one in web)
    cluster.hullmark("rm", "--wait", "order")


def test_a_change_touches_only_what_changed(cluster: OneHostCluster, tmp_path: Path) -> None:
    apply(cluster, tmp_path, "change")
    before = by_service(cluster, "change")
    apply(cluster, tmp_path, "change", colour="blue")
    after = by_service(cluster, "change")
    assert after["db"][0]["State"]["Pid"] == before["db"][0]["State"]["Pid"]
    assert all("COLOUR=blue" in one["Config"]["Env"] for one in after["web"])
    migrations = file_in(cluster, after["db"][0]["Id"], "/data/migrations")
    assert migrations.split() == ["run", "run"], "a one-shot runs once per generation"
    cluster.hullmark("scale", "--wait", "change/web=3")
    scaled = by_service(cluster, "change")
    assert len(scaled["web"]) == 3
    assert {one["Id"] for one in after["web"]} < {one["Id"] for one in scaled["web"]}
    assert file_in(cluster, after["db"][0]["Id"], "/data/migrations") == migrations, (
        "scaling is not a reason to run a one-shot again"
    )
    cluster.hullmark("rm", "--wait", "change")


def test_the_same_again_changes_nothing(cluster: OneHostCluster, tmp_path: Path) -> None:
    apply(cluster, tmp_path, "same")
    before = by_service(cluster, "same")
    plan = cluster.run("plan", str(tmp_path / "compose.yaml"), "--output", "json")
    assert plan.returncode == 0
    assert json.loads(plan.stdout)["changed"] is False
    answer = json.loads(
        cluster.hullmark("apply", str(tmp_path / "compose.yaml"), "--output", "json")
    )
    assert answer["changed"] is False
    assert by_service(cluster, "same").keys() == before.keys()
    cluster.hullmark("rm", "--wait", "same")


def test_volumes_outlive_an_app_unless_named(cluster: OneHostCluster, tmp_path: Path) -> None:
    client = api_client(cluster.engine_socket, 30)
    apply(cluster, tmp_path, "keep")
    cluster.hullmark("rm", "--wait", "keep")
    assert by_service(cluster, "keep") == {}
    assert client.inspect_volume("keep_data")["Name"] == "keep_data"
    apply(cluster, tmp_path, "keep")
    db = by_service(cluster, "keep")["db"][0]
    assert file_in(cluster, db["Id"], "/data/migrations").split() == ["run", "run"]
    cluster.hullmark("rm", "--wait", "--volumes", "keep")

    def gone() -> bool:
        names = [found["Name"] for found in client.volumes()["Volumes"] or ()]
        return "keep_data" not in names

    wait_until(gone, "the volume is removed")
    wait_until(lambda: not client.networks(names=["keep_default"]), "the app's network is removed")
    client.close()


def test_logs_of_all_instances(cluster: OneHostCluster, tmp_path: Path) -> None:
    apply(cluster, tmp_path, "talk")
    text = cluster.hullmark("logs", "talk")
    assert text.count("web red") == 2
    assert "db is up" in text
    assert "migrated" in text
    only = cluster.hullmark("logs", "talk/web.1", "--tail", "1")
    assert only.count("web red") == 1
    assert "db is up" not in only
    cluster.hullmark("rm", "--wait", "talk")


def test_logs_follow_until_the_reader_leaves(cluster: OneHostCluster, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        f"name: tick\nservices:\n  t:\n    image: {IMAGE}\n    init: true\n"
        "    command: [sh, -c, 'i=0; while true; do echo tick $$i; i=$$((i+1)); sleep 0.2; done']\n"
        "    stop_grace_period: 1s\n"
    )
    cluster.hullmark("apply", "--wait", str(file))
    reader = subprocess.Popen(
        cluster.command("--master", cluster.master_socket, "logs", "-f", "--tail", "1", "tick"),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        timer = threading.Timer(20, reader.kill)
        timer.start()
        assert reader.stdout is not None
        lines = [reader.stdout.readline() for _ in range(5)]
        timer.cancel()
        assert sum("tick" in line for line in lines) == 5, lines
    finally:
        reader.kill()
        reader.wait()
    cluster.hullmark("rm", "--wait", "tick")


def test_what_is_not_ours_is_left_alone(cluster: OneHostCluster, tmp_path: Path) -> None:
    client = api_client(cluster.engine_socket, 30)
    labels = {
        LABEL_CLUSTER: cluster.cluster_id,
        "io.hullmark.app": "ghost",
        "io.hullmark.service": "web",
        "io.hullmark.slot": "1",
        "io.hullmark.generation": "1",
        "io.hullmark.spec-hash": "0" * 64,
        "io.hullmark.epoch": "1.1",
    }
    orphan = client.create_container(
        IMAGE, ["sleep", "100000"], name="ghost.web.1.g1", labels=labels
    )["Id"]
    foreign = client.create_container(IMAGE, ["sleep", "100000"], name="somebodys")["Id"]
    try:
        client.start(orphan)
        client.start(foreign)
        wait_until(
            lambda: "ghost.web.1.g1" in cluster.look("orphans").stdout, "the orphan is listed", 70
        )
        apply(cluster, tmp_path, "beside")
        cluster.hullmark("rm", "--wait", "beside")
        for container in (orphan, foreign):
            assert client.inspect_container(container)["State"]["Running"]
        assert "somebodys" not in cluster.run("orphans").stdout
    finally:
        for container in (orphan, foreign):
            client.remove_container(container, force=True)
        client.close()


@pytest.mark.parametrize("code", [0, 3])
def test_restart_policy(cluster: OneHostCluster, tmp_path: Path, code: int) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        f"name: ends\nservices:\n  t:\n    image: {IMAGE}\n    restart: on-failure:2\n"
        f"    command: [sh, -c, 'echo started; exit {code}']\n"
    )
    done = cluster.run("apply", "--wait", str(file))
    log = cluster.hullmark("logs", "ends")
    if code:
        assert done.returncode == 2, done.stdout + done.stderr
        assert "exit" in done.stdout + done.stderr
        assert log.count("started") == 3, "the first start and two more"
    else:
        assert log.count("started") == 1
    cluster.hullmark("rm", "--wait", "ends")


def test_what_could_not_be_started_is_removed_at_once(
    cluster: OneHostCluster, tmp_path: Path
) -> None:
    """Not after the delay of its next attempt, which is 8 s after four that failed."""
    file = tmp_path / "compose.yaml"
    file.write_text(f"name: never\nservices:\n  t:\n    image: {IMAGE}\n    command: [/no/such]\n")
    cluster.hullmark("apply", "--no-wait", str(file))

    def failures() -> int:
        lines = cluster.agent.log.read_text().splitlines()
        return sum("never.t.1.g1" in line and "failed" in line for line in lines)

    wait_until(lambda: failures() >= 4, "it failed to start four times", 30)
    began = time.monotonic()
    cluster.hullmark("rm", "--wait", "never")
    assert time.monotonic() - began < 5


def test_who_is_taken_off_its_network_does_not_serve_until_it_is_put_back(
    cluster: OneHostCluster, engine: Engine
) -> None:
    """What puts it back is typed as it is told."""
    file = cluster.folder / "loose.yaml"
    file.write_text(LOOSE.format(image=IMAGE))
    cluster.hullmark("apply", "--wait", str(file))
    ((name, container),) = (
        each for each in cluster.containers().items() if each[0].startswith("loose.")
    )
    docker = [docker_command(), "-H", engine.socket]

    def network(action: str, key: str) -> None:
        subprocess.run([*docker, "network", action, key, name], check=True)

    def status() -> tuple[str, str]:
        found = cluster.instances("loose")[0]["status"]
        return found["phase"], found["detail"]

    def put_back(key: str, code: int) -> None:
        told = cluster.run("why", "loose/s", "--output", "json")
        assert told.returncode == code, told.stdout
        (service,) = json.loads(told.stdout)["services"]
        ((then, place),) = [
            (each["next"], each["next_on"]) for each in service["links"] if each["next"]
        ]
        assert place == cluster.instances("loose")[0]["host"]
        assert then == f"{engine.name} network connect --alias s {key} {name}"
        subprocess.run([*docker, *then.split()[1:]], check=True)

    subprocess.run([*docker, "network", "create", "elsewhere"], check=True)
    network("disconnect", "loose_back")
    wait_until(lambda: status()[1], "it is told")
    assert status()[0] == "running", "it serves on its other network"
    network("connect", "elsewhere")
    network("disconnect", "loose_front")
    wait_until(lambda: status()[0] == "backoff", "it doesn't serve")
    put_back("loose_back", 2)
    wait_until(lambda: status()[0] == "running", "it serves again")
    put_back("loose_front", 1)
    wait_until(lambda: not status()[1], "it is whole")
    assert cluster.containers()[name]["Id"] == container["Id"]
    assert cluster.run("why", "loose/s").returncode == 0
    cluster.hullmark("rm", "loose")
    subprocess.run([*docker, "network", "rm", "elsewhere"], check=True)
