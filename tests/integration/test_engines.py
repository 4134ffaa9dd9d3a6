"""The engines that the other suites stand on: they work, survive, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import requests

from tests.cluster import wait_until
from tests.integration import process, workspace
from tests.integration.engines import ENGINES, Engine
from tests.integration.namespaces import HOST_ADDRESS

ROOT = Path(__file__).resolve().parents[2]


def test_runs_a_container(clean_engine: Engine, image: str) -> None:
    output = clean_engine.run(image, ["echo", "aboard"])
    assert output == b"aboard\n"


def test_image_configuration(clean_engine: Engine) -> None:
    ref = clean_engine.load_image(
        "localhost/configured:1",
        config={
            "Env": ["PATH=/bin", "COLOUR=blue"],
            "User": "app",
            "ExposedPorts": {"8080/tcp": {}},
            "Healthcheck": {"Test": ["CMD", "/bin/true"], "Interval": 2_000_000_000},
        },
        files={"/bin/greet": b'#!/bin/sh\necho "$(id -un) $COLOUR"\n'},
    )
    client = clean_engine.client()
    assert clean_engine.run(ref, ["greet"]) == b"app blue\n"
    container = client.containers.create(ref)
    assert container.attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "/bin/true"]


def test_published_port_answers_on_the_hosts_address(clean_engine: Engine, image: str) -> None:
    container = clean_engine.client().containers.run(image, detach=True, ports={"8080/tcp": None})
    container.reload()
    port = container.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
    wait_until(lambda: container.exec_run("test -s /tmp/index.html").exit_code == 0, "httpd")
    for host in ("127.0.0.1", HOST_ADDRESS):
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=5) as answer:
            assert answer.read().decode().strip() == str(container.id)[:12]


def test_names_resolve_on_a_user_network(clean_engine: Engine, image: str) -> None:
    client = clean_engine.client()
    client.networks.create("sea")
    client.containers.run(image, detach=True, name="ship", network="sea")
    fetch = "for try in 1 2 3 4 5; do timeout 3 wget -qO- http://ship:8080/ && break; sleep 1; done"
    command = ["sh", "-c", fetch]
    assert len(clean_engine.run(image, command, network="sea")) == 13


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_container_survives_its_engine(clean_engine: Engine, image: str, end: str) -> None:
    container = clean_engine.client().containers.run(image, detach=True, name="survivor")
    container.reload()
    before = container.attrs["State"]
    getattr(clean_engine, end)()
    assert process.identity(before["Pid"]) is not None
    with pytest.raises(requests.ConnectionError):
        clean_engine.client()
    clean_engine.start()
    after = clean_engine.client().containers.get("survivor").attrs["State"]
    assert (after["Running"], after["Pid"]) == (True, before["Pid"])


def test_several_beside_each_other(clean_engine: Engine, image: str, fresh_engine) -> None:
    other = fresh_engine(clean_engine.name)
    other.load_image(image)
    for each in (clean_engine, other):
        each.client().containers.run(image, detach=True, name="twin")
    other.stop()
    assert clean_engine.client().containers.get("twin").status == "running"


def traces(record: Path, content: dict) -> list[str]:
    """Everything that an engine could leave on the machine."""
    left = [f"process {pid}" for pid in process.of_workspace(Path(content["path"]))]
    left += [path for path in (content["path"], str(record)) if Path(path).exists()]
    left += [str(one) for one in Path("/sys/fs/cgroup").glob(f"*/hullmark-test-{record.stem}")]
    if content["path"] in Path("/proc/self/mountinfo").read_text():
        left.append("mounts")
    prefix = content["addresses"].rpartition(".0.0/16")[0] + "."
    for command in ("ip address", "iptables -S", "iptables -t nat -S"):
        output = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
        if f" {prefix}" in output:
            left.append(command)
    return left


STRANDED = """\
import sys, time
from tests.integration.engines import ENGINES, load_image
engine = ENGINES[sys.argv[1]]().__enter__()
client = engine.client()
image = load_image(engine.socket, "localhost/stranded:1")
client.networks.create("sea")
client.containers.run(image, detach=True, network="sea", ports={"8080/tcp": None})
print(engine.workspace.record, engine.workspace.watchdog.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(params=sorted(ENGINES))
def stranded(request):
    """An engine with a container, made by another process: (that process, record, its watchdog's pid)."""
    owner = subprocess.Popen(
        [sys.executable, "-c", STRANDED, request.param], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert owner.stdout is not None
    with owner.stdout:
        record, watchdog = owner.stdout.readline().split()
    yield owner, Path(record), int(watchdog)
    owner.kill()
    owner.wait()


def test_killing_the_tester_leaves_nothing(stranded) -> None:
    owner, record, _ = stranded
    content = json.loads(record.read_text())
    assert len(traces(record, content)) > 5
    owner.kill()
    owner.wait()
    wait_until(lambda: not traces(record, content), "the watchdog has cleaned up")


def test_the_next_one_sweeps_what_a_killed_watchdog_left(stranded) -> None:
    owner, record, watchdog = stranded
    content = json.loads(record.read_text())
    os.kill(watchdog, signal.SIGKILL)
    owner.kill()
    owner.wait()
    assert len(traces(record, content)) > 5
    workspace.sweep()
    assert traces(record, content) == []


def test_a_missing_program_is_an_error_that_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(FileNotFoundError, match="make setup-engines"), ENGINES["docker"]():
        pass
