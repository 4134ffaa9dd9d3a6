"""A host leaves its cluster: its containers stay, their engine restarts them, and Compose takes them over."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.host.login import person
from hullmark.model.audit import Outcome, Stage
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.auditlog import breaks, records, unended
from tests.e2e.conftest import IMAGE
from tests.e2e.test_restarts import kill
from tests.integration.engines import Engine, docker_command, required, run_inside
from tests.sdk import api_client

APP = """\
name: shop
services:
  web:
    image: {image}
    environment: {{GREETING: 'cost: $$5 # "1e3"', COUNT: "0o17"}}
    ports: [{{target: 8080, mode: host}}, "18099:9090"]
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
JOB = "shop.migrate.1.g1"


class Leaving:
    """A cluster whose one host leaves."""

    def __init__(self, cluster: OneHostCluster, engine: Engine) -> None:
        self.cluster = cluster
        self.engine = engine
        self.out = cluster.folder / "left"
        self.draft = cluster.folder / ".left.new"
        self.state = cluster.folder / "agent"
        self.client = api_client(engine.socket)

    @property
    def can_set_policies(self) -> bool:
        """Podman can from 5.1 on."""
        version = self.client.version()["Version"].split(".")
        return self.engine.name == "docker" or (int(version[0]), int(version[1])) >= (5, 1)

    @property
    def always(self) -> str:
        return "unless-stopped" if self.engine.name == "docker" else "always"

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
        return self.cluster.run(*self._line, *options)

    def command(self) -> list[str]:
        return self.cluster.command(*self._line)

    @property
    def _line(self) -> tuple[str, ...]:
        config = str(self.cluster.agent_config)
        return ("eject", "--config", config, "--out", str(self.out), "--output", "json")

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
        """What it writes."""
        return run_inside(self.engine.socket, name, script)[1]

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
def leaving(own: OneHostCluster, engine: Engine) -> Iterator[Leaving]:
    made = Leaving(own, engine)
    yield made
    made.remove()
    made.client.close()


@pytest.mark.timeout(300)
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
        assert leaving.policies() == {**dict.fromkeys(WEB, leaving.always), JOB: "on-failure"}
    else:
        assert done["exit_code"] == 1
        assert any("from 5.1 on" in note and WEB[0] in note for note in done["notes"])
        assert set(leaving.policies().values()) == {"no"}

    _is_recorded(leaving)
    again = leaving.eject()
    assert (again["changed"], again["exit_code"]) == (False, done["exit_code"])
    _engine_restarts_alone(leaving)
    _compose_takes_over(leaving, ports)


def _is_recorded(leaving: Leaving) -> None:
    """By whom, and what came of each container's policy; after the agent's own end, in one chain with it."""
    log = leaving.cluster.folder / "agent-audit"
    found = records(log)
    kinds = [(one.entry.kind, one.entry.stage.value) for one in found]
    assert kinds.index(("agent.stopped", "event")) < kinds.index(("host.eject", "intent"))
    assert kinds[-1] == ("host.eject", "outcome")
    changed = {
        one.entry.fields["name"]: (one.entry.by, one.entry.outcome is Outcome.SUCCESS)
        for one in found
        if one.entry.kind == "container.update" and one.entry.stage is Stage.OUTCOME
    }
    assert changed == dict.fromkeys([*WEB, JOB], (person(), leaving.can_set_policies))
    assert breaks(log) == []
    assert unended(found) == []


def _engine_restarts_alone(leaving: Leaving) -> None:
    """Also beside an agent that somebody starts all the same."""
    agent = leaving.cluster.agent
    said = agent.log.read_text().count("was ejected")
    agent.start()
    wait_until(lambda: agent.log.read_text().count("was ejected") > said, "it sees that it left")
    kill(leaving.pids()[WEB[0]])
    if leaving.can_set_policies:
        wait_until(lambda: sorted(leaving.pids()) == WEB, "the engine starts it again")
    else:
        time.sleep(2.0)  # the agent would have waited for one
        assert list(leaving.pids()) == [WEB[1]]
    agent.kill(signal.SIGTERM)


def _compose_takes_over(leaving: Leaving, ports: dict[str, str]) -> None:
    leaving.paste(0)
    assert sorted(leaving.pids()) == WEB
    assert "io.hullmark.cluster" not in leaving.found()[WEB[0]]["Config"]["Labels"]
    assert leaving.inside(WEB[0], INSIDE) == leaving.inside(WEB[1], INSIDE) == SAID
    assert leaving.inside(WEB[0], "stat -c %u:%a /etc/site") == "1000:440\n"
    assert {leaving.policies()[name] for name in WEB} == {leaving.always}
    assert leaving.ports() == ports
    _compose_publishes(leaving)
    assert leaving.ports() == ports
    pid = leaving.pids()[WEB[0]]
    kill(pid)
    wait_until(lambda: leaving.pids().get(WEB[0], pid) != pid, "the engine restarts Compose's")

    leaving.paste(2)
    assert not leaving.pids()
    volumes = [volume["Name"] for volume in leaving.client.volumes()["Volumes"]]
    assert "shop_data" in volumes


def _compose_publishes(leaving: Leaving) -> None:
    """What the proxy answered, once the lines that stand there are no comment any more."""
    file = leaving.out / "shop/compose.yaml"
    file.write_text(file.read_text().replace('# - "18099:9090"', '- "18099:9090"', 1))
    leaving.paste(1)
    bound = {name: each["HostConfig"]["PortBindings"] for name, each in leaving.found().items()}
    assert [name for name in WEB if "9090/tcp" in bound[name]] == WEB[:1]
    assert bound[WEB[0]]["9090/tcp"][0]["HostPort"] == "18099"
    assert sorted(leaving.pids()) == WEB


@pytest.mark.timeout(300)
def test_coming_back_before_handing_over(leaving: Leaving) -> None:
    cluster = leaving.cluster
    leaving.apply()
    before = leaving.pids()
    cluster.agent.kill()
    leaving.eject()
    if leaving.can_set_policies:
        assert leaving.policies()[WEB[0]] == leaving.always
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
    wait_until(lambda: not (cluster.folder / "agent/ejected.json").exists(), "the mark is gone")
    assert cluster.json("orphans")["orphans"] == []


@pytest.mark.one_engine
@pytest.mark.timeout(300)
def test_trouble_on_the_way(leaving: Leaving) -> None:
    """Before the first step nothing is changed; cut off after it, all of it is done by another run."""
    leaving.apply()
    before = leaving.pids()
    _refused(leaving)
    assert (leaving.state / "enrolment.json").exists()
    assert leaving.cluster.agent.running
    assert leaving.pids() == before

    _cut_off(leaving, "os.rename", r"ejected[.]json")
    assert leaving.draft.exists()
    assert (leaving.state / "enrolment.json").exists()
    _cut_off(leaving, "http.client.send", "POST [^ ]*/update ")
    assert (leaving.state / "ejected.json").exists()
    assert set(leaving.policies().values()) == {"no"}
    if leaving.can_set_policies:
        _cut_off(leaving, "http.client.send", "POST [^ ]*/update ", 2)
        assert len(set(leaving.policies().values())) > 1
    _cut_off(leaving, "os.rename", rf"{leaving.draft.name}.*/{leaving.out.name}'")
    assert not leaving.out.exists()
    told = leaving.eject()
    assert told["changed"]
    assert any(note.endswith("ports: ['18099:9090']") for note in told["notes"])
    assert leaving.pids() == before
    assert '# - "18099:9090"' in (leaving.out / "shop/compose.yaml").read_text()
    assert not leaving.draft.exists()
    assert not leaving.eject()["changed"]


def _refused(leaving: Leaving) -> None:
    leaving.out.mkdir()
    taken = leaving.run("--force")
    assert (taken.returncode, "exists" in taken.stderr) == (2, True), taken.stderr
    leaving.out.rmdir()
    full = leaving.cluster.folder / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(full)], check=True)
    try:
        no_space = leaving.run("--out", str(full / "left"))
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert (no_space.returncode, "No space left" in no_space.stderr) == (2, True), no_space.stderr
    leaving.engine.kill()
    down = leaving.run()
    leaving.engine.start()
    assert (down.returncode, "does not answer" in down.stderr) == (3, True), down.stderr


def _cut_off(leaving: Leaving, event: str, pattern: str, number: int = 1) -> None:
    """Killed (SIGKILL) as soon as it has come so far."""
    before = ["-m", "tests.e2e.killed_before", event, pattern, str(number)]
    done = subprocess.run(
        [sys.executable, *before, *leaving.command()[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout
