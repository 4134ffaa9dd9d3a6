"""A host leaves its cluster: its containers stay, their engine restarts them, and Compose takes them over."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.conftest import IMAGE
from tests.e2e.test_restarts import kill
from tests.integration.engines import Engine, docker_command, required

APP = """\
name: shop
services:
  web:
    image: {image}
    environment: {{GREETING: 'cost: $$5 # "1e3"', COUNT: "0o17"}}
    ports: ["8080"]
    volumes: ["data:/data"]
    configs: [{{source: site, target: /etc/site, mode: 0440, uid: "1000"}}]
    secrets: [key]
    stop_grace_period: 1s
    deploy: {{replicas: 2}}
  migrate:
    image: {image}
    command: [sh, -c, "echo once >>/data/migrated"]
    volumes: ["data:/data"]
    x-hullmark: {{one_shot: true}}
    restart: on-failure
volumes: {{data: {{}}}}
configs: {{site: {{content: "hello $$there"}}}}
secrets: {{key: {{file: {key}}}}}
"""
INSIDE = 'echo "$GREETING|$COUNT"; cat /etc/site /run/secrets/key /data/written /data/migrated'
SAID = 'cost: $5 # "1e3"|0o17\nhello $therehidden\nby hand\nonce\n'
WEB = ["shop.web.1.g1", "shop.web.2.g1"]


class Leaving:
    """A cluster whose one host leaves."""

    def __init__(self, cluster: OneHostCluster, engine: Engine) -> None:
        self.cluster = cluster
        self.engine = engine
        self.out = cluster.folder / "left"
        self.client = docker.APIClient(base_url=engine.socket, timeout=60)

    @property
    def can_set_policies(self) -> bool:
        """Podman can from 5.1 on."""
        version = self.client.version()["Version"].split(".")
        return self.engine.name == "docker" or (int(version[0]), int(version[1])) >= (5, 1)

    def apply(self) -> None:
        key = self.cluster.folder / "key"
        key.write_text("hidden\n")
        file = self.cluster.folder / "shop.yaml"
        file.write_text(APP.format(image=IMAGE, key=key))
        self.cluster.hullmark("apply", "--wait", str(file))
        self.inside(WEB[0], "echo by hand >/data/written")

    def eject(self, *options: str) -> Any:
        done = self.run(*options)
        assert done.returncode in (0, 1), done.stderr
        return {**json.loads(done.stdout), "exit_code": done.returncode}

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        config = str(self.cluster.agent_config)
        line = ("eject", "--config", config, "--out", str(self.out), "--output", "json")
        return self.cluster.run(*line, *options)

    def pids(self) -> dict[str, int]:
        return {
            name: int(found["State"]["Pid"])
            for name, found in self.found().items()
            if found["State"]["Running"]
        }

    def found(self) -> dict[str, Any]:
        """Every container of the app, whoever made it."""
        rows = self.client.containers(all=True, filters={"name": "shop"})
        inspected = [self.client.inspect_container(row["Id"]) for row in rows]
        return {each["Name"].lstrip("/"): each for each in inspected}

    def policies(self) -> dict[str, str]:
        return {
            name: each["HostConfig"]["RestartPolicy"]["Name"] or "no"
            for name, each in self.found().items()
        }

    def ports(self) -> dict[str, str]:
        return {
            name: each["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
            for name, each in self.found().items()
            if name in WEB
        }

    def inside(self, name: str, script: str) -> str:
        made = self.client.exec_create(name, ["sh", "-c", script])
        return bytes(self.client.exec_start(made["Id"])).decode()

    def paste(self, number: int) -> str:
        """What the page of the app says to type, as it stands."""
        page = (self.out / "shop/README.md").read_text()
        block = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[number]
        done = subprocess.run(
            ["bash", "-ec", block],
            env={**os.environ, "PATH": f"{self._commands()}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def _commands(self) -> Path:
        """`docker compose` where that is `docker-compose`, and a `podman` that asks the tests' own service."""
        folder = self.cluster.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name, script in {
            "docker": f'[ "$1" != compose ] || {{ shift; exec {required("docker-compose")} "$@"; }}\n'
            f'exec {docker_command()} "$@"',
            "podman": f'exec {required("podman")} --remote --url {self.engine.socket} "$@"',
        }.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        return folder

    def remove(self) -> None:
        for name in self.found():
            self.client.remove_container(name, force=True, v=True)


@pytest.fixture
def leaving(own: OneHostCluster, engine: Engine) -> Any:
    made = Leaving(own, engine)
    yield made
    made.remove()
    made.client.close()


@pytest.mark.timeout(120)
def test_leaving_with_an_agent_that_runs_and_no_master(leaving: Leaving) -> None:
    cluster = leaving.cluster
    leaving.apply()
    before, ports = leaving.pids(), leaving.ports()
    assert sorted(before) == WEB
    cluster.master.kill()

    would = leaving.eject("--dry-run")
    assert (would["exit_code"], would["changed"], would["dry_run"]) == (1, True, True)
    assert cluster.agent.running
    assert not leaving.out.exists()

    done = leaving.eject()
    assert done["changed"]
    assert not cluster.agent.running, "it has ended, and by itself"
    assert leaving.pids() == before
    assert "cost:" not in json.dumps(done) + cluster.agent.log.read_text()
    if leaving.can_set_policies:
        assert done["exit_code"] == 0
        assert set(leaving.policies().values()) == {"unless-stopped", "on-failure"}
        kill(before[WEB[0]])
        wait_until(lambda: len(leaving.pids()) == 2, "the engine starts it again, without an agent")
    else:
        assert done["exit_code"] == 1
        assert any("from 5.1 on" in note and WEB[0] in note for note in done["notes"])
        assert set(leaving.policies().values()) == {"no"}

    again = leaving.eject()
    assert (again["changed"], again["exit_code"]) == (False, done["exit_code"])

    cluster.agent.start()
    time.sleep(1.5)
    kept = leaving.pids()
    kill(kept[WEB[1]])
    if not leaving.can_set_policies:
        time.sleep(2.0)
        assert list(leaving.pids()) == [WEB[0]], (
            "an agent that is started all the same does nothing"
        )
    else:
        wait_until(lambda: len(leaving.pids()) == 2, "the engine starts this one, too")
    cluster.agent.kill(signal.SIGTERM)

    leaving.paste(0)
    assert sorted(leaving.pids()) == WEB
    found = leaving.found()
    assert "io.hullmark.cluster" not in found[WEB[0]]["Config"]["Labels"]
    assert leaving.inside(WEB[0], INSIDE) == leaving.inside(WEB[1], INSIDE) == SAID
    assert leaving.inside(WEB[0], "stat -c %u:%a /etc/site") == "1000:440\n"
    assert {leaving.policies()[name] for name in WEB} == (
        {"unless-stopped"} if leaving.engine.name == "docker" else {"always"}
    )
    ours = leaving.pids()[WEB[0]]
    kill(ours)
    wait_until(lambda: leaving.pids().get(WEB[0], ours) != ours, "the engine restarts Compose's")
    assert leaving.ports() == ports

    leaving.paste(1)
    assert not leaving.pids()
    volumes = [volume["Name"] for volume in leaving.client.volumes()["Volumes"]]
    assert "shop_data" in volumes


@pytest.mark.timeout(120)
def test_coming_back_before_handing_over(leaving: Leaving) -> None:
    cluster = leaving.cluster
    leaving.apply()
    before = leaving.pids()
    cluster.agent.kill()
    leaving.eject()
    if leaving.can_set_policies:
        assert leaving.policies()[WEB[0]] == "unless-stopped"
    cluster.enroll()
    cluster.agent.start()
    cluster.wait_for_host()
    wait_until(
        lambda: (
            {one["status"]["phase"] for one in cluster.instances("shop")}
            == {"running", "completed"}
        ),
        "all of it is the cluster's again",
    )
    assert leaving.pids() == before, "adopted as they run"
    wait_until(lambda: set(leaving.policies().values()) == {"no"}, "the agent alone restarts")
    assert not (cluster.folder / "agent/ejected.json").exists()
    assert cluster.json("orphans")["orphans"] == []


@pytest.mark.timeout(120)
def test_cut_off_at_any_moment_it_is_done_again(leaving: Leaving) -> None:
    """Killed later and later, until one run is through before its kill."""
    leaving.apply()
    before = leaving.pids()
    command = [
        *leaving.cluster.command("eject", "--config", str(leaving.cluster.agent_config)),
        *("--out", str(leaving.out), "--output", "json"),
    ]
    codes, moments = [], set()
    for step in range(40):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(0.3 + 0.1 * step)
        except subprocess.TimeoutExpired:
            process.kill()
        codes.append(process.wait())
        moments.add(_moment(leaving))
        if codes[-1] in (0, 1):
            break
    assert -signal.SIGKILL in codes
    assert codes[-1] in (0, 1), codes
    assert len(moments) > 1, "kills came at different moments"
    done = leaving.eject()
    assert not done["changed"]
    assert leaving.pids() == before
    assert (leaving.out / "shop/compose.yaml").is_file()
    assert [each.name for each in leaving.out.parent.iterdir() if "left" in each.name] == ["left"]


def _moment(leaving: Leaving) -> tuple[bool, ...]:
    state = leaving.cluster.folder / "agent"
    draft = leaving.out.with_name(".left.new")
    return (state / "ejected.json").exists(), draft.exists(), leaving.out.exists()


@pytest.mark.timeout(60)
def test_nothing_is_changed_where_it_can_not_be_done(leaving: Leaving) -> None:
    cluster = leaving.cluster
    leaving.apply()
    before = leaving.pids()
    leaving.out.mkdir()
    (leaving.out / "mine").write_text("kept")
    taken = leaving.run("--force")
    assert (taken.returncode, "exists" in taken.stderr) == (2, True)
    shutil.rmtree(leaving.out)
    leaving.out.parent.joinpath("full").mkdir()
    full = leaving.out.parent / "full"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(full)], check=True)
    try:
        no_space = cluster.run(
            "eject", "--config", str(cluster.agent_config), "--out", str(full / "left")
        )
        assert (no_space.returncode, "No space left" in no_space.stderr) == (2, True)
    finally:
        subprocess.run(["umount", str(full)], check=True)
    leaving.engine.kill()
    down = leaving.run()
    assert (down.returncode, "does not answer" in down.stderr) == (3, True)
    leaving.engine.start()
    assert (cluster.folder / "agent/enrolment.json").exists()
    assert cluster.agent.running
    assert leaving.pids() == before
