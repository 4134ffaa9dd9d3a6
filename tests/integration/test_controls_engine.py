"""Checks of an engine and its containers against real engines: as it should be, and broken for real."""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker.types
import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.engine import probes
from hullmark.engine.docker_api import DockerApiEngine
from hullmark.host.eye import Eye
from hullmark.model.app import ContainerSpec, Mount, MountKind, Resources
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Status
from tests.integration.dockerd import DockerEngine
from tests.integration.namespaces import enter_private_network
from tests.integration.shipyard import IMAGE, Yard, single
from tests.integration.workspace import Workspace

HERE = ("seccomp", "tcp", "registries", "files", "live-restore", "logging", "debug", "swarm")
"""Rules that an engine of the tests keeps, on a machine like this."""


class Looker:
    """Looks at one engine, as an agent does that stays up."""

    def __init__(self, engine: DockerApiEngine, folder: Path) -> None:
        self._looks = probes.looks(engine)
        self._files = {
            "settings": str(folder / "daemon.json"),
            "pid_file": str(folder / "docker.pid"),
        }

    def look(self, kind: str, **changed: Any) -> Finding:
        given: dict[str, Any] = {name: one.default for name, one in KINDS[kind].parameters.items()}
        given.update(self._files if kind == "engines.settings" else {})
        given.update(changed)
        readings = self._looks[kind](Eye(timeout_s=KINDS[kind].timeout_s), given)
        return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))


@pytest.fixture
def looker(yard: Yard) -> Looker:
    return Looker(yard.engine, yard.daemon.folder)


def test_the_engines_settings(yard: Yard, looker: Looker) -> None:
    podman = yard.engine.info().name == "podman"
    # The tests' Podman takes their own registries without TLS.
    rules = tuple(each for each in HERE if not (podman and each == "registries"))
    found = looker.look("engines.settings", rules=rules)
    assert (found.status, found.level) == (Status.PASS, 2), found
    assert found.reason == ("not on Podman: live-restore, debug, swarm" if podman else "")
    socket = Path(yard.engine.socket_url.replace("unix://", ""))
    mode = stat.S_IMODE(socket.stat().st_mode)
    socket.chmod(0o666)
    try:
        found = looker.look("engines.settings", rules=rules)
        assert found.status is Status.FAIL
        assert found.reason.endswith("has mode 0666, more than 0660 (files)")
    finally:
        socket.chmod(mode)
    assert looker.look("engines.settings", rules=rules).status is Status.PASS
    found = looker.look("engines.settings", rules=("icc", "userland-proxy"))
    assert found.status is (Status.NOT_APPLICABLE if podman else Status.FAIL)
    found = looker.look("engines.settings", rules=("registries",))
    assert found.status is (Status.FAIL if podman else Status.PASS)


class _Changed(DockerEngine):
    """With words of its own on dockerd's command line."""

    words: tuple[str, ...] = ()

    def command(self) -> list[str]:
        return [*super().command(), *self.words]


def test_a_hardened_docker_and_one_that_everybody_may_use() -> None:
    enter_private_network()
    rules = ("icc", "userland-proxy", "no-new-privileges", "tcp", "live-restore")
    engine = _Changed(Workspace.make("docker", None, None), None, live_restore=True)
    engine.words = ("--icc=false", "--userland-proxy=false", "--no-new-privileges")
    with engine:
        api = DockerApiEngine(engine.socket)
        looker = Looker(api, engine.folder)
        assert looker.look("engines.settings", rules=rules).status is Status.PASS
        engine.kill()
        assert looker.look("engines.settings", rules=rules).status is Status.ERROR
        engine.words = ("--host=tcp://127.0.0.1:23750",)
        engine.live_restore = False
        engine.start()
        found = looker.look("engines.settings", rules=rules)
        assert found.status is Status.FAIL
        for rule in rules:
            assert f"({rule})" in found.reason or "and 1 more" in found.reason
        assert "127.0.0.1:23750" in looker.look("engines.settings", rules=("tcp",)).reason
        api.close()


HARDENED = ContainerSpec(
    IMAGE,
    command=("sleep", "600"),
    read_only=True,
    user="1000",
    cap_drop=("ALL",),
    security_opt=("no-new-privileges:true",),
    limits=Resources(memory_bytes=64 << 20, pids=50),
    stop_grace_s=0,
)


def test_containers_settings(yard: Yard, looker: Looker, tmp_path: Path) -> None:
    yard.run(single("sea", HARDENED))
    found = looker.look("containers.settings")
    assert (found.status, found.level) == (Status.PASS, 2), found
    socket = yard.engine.socket_url.replace("unix://", "")
    yard.sdk.containers.run(
        IMAGE,
        ["sleep", "600"],
        name="byhand",
        detach=True,
        pid_mode="host",
        network_mode="host",
        cap_add=["NET_ADMIN"],
        security_opt=["seccomp=unconfined"],
        volumes={"/etc": {"bind": "/x"}, socket: {"bind": "/run/engine.sock"}},
    )
    found = looker.look("containers.settings")
    assert found.status is Status.FAIL
    assert all(each.startswith("byhand ") for each in found.reason.split("; ")[:5])
    for rule in ("namespaces", "capabilities", "unconfined", "engine-socket", "host-paths"):
        one = looker.look("containers.settings", rules=(rule,))
        assert (one.status, one.reason[-len(rule) - 1 : -1]) == (Status.FAIL, rule)
    excused: Mapping[str, Any] = {"except": ("byhand *",)}
    assert looker.look("containers.settings", **excused).status is Status.PASS


def test_drift(yard: Yard, looker: Looker) -> None:
    container_id = yard.run(single("sea", HARDENED))
    assert looker.look("containers.drift").status is Status.PASS
    name = yard.engine.container(container_id).name
    pid = yard.engine.inspected(container_id)["State"]["Pid"]
    # Behind the engine's back, as anybody with root can.
    limit = _limit(int(pid))
    before = limit.read_text()
    limit.write_text("max")
    found = looker.look("containers.drift")
    assert found.reason.startswith(f"{name}: pids: the kernel's limit is max"), found
    limit.write_text(before)
    assert looker.look("containers.drift").status is Status.PASS
    if yard.engine.info().name == "docker":  # this Podman can't change a container that exists
        yard.sdk.containers.get(container_id).update(mem_limit="128m", memswap_limit="256m")
        # Also by an agent that was not there before it.
        for each in (looker, Looker(yard.engine, yard.daemon.folder)):
            found = each.look("containers.drift")
            assert found.status is Status.FAIL
            assert f"{name}: Memory: made with 67108864, 134217728 now" in found.reason


def test_one_made_by_hand_with_our_labels(yard: Yard, looker: Looker, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    bind = Mount(MountKind.BIND, "/data", str(tmp_path / "data"))
    container_id = yard.run(single("sea", replace(HARDENED, mounts=(bind,))))
    assert looker.look("containers.drift").status is Status.PASS
    ours = yard.sdk.containers.get(container_id)
    yard.sdk.containers.run(
        IMAGE,
        ["sleep", "600"],
        name="forged",
        detach=True,
        labels=ours.labels,
        volumes={"/etc": {"bind": "/x"}},
    )
    found = looker.look("containers.drift")
    assert found.status is Status.FAIL
    for reason in (
        "ReadonlyRootfs: made with True",
        "user: made with 1000",
        "mounts: /etc besides",
    ):
        assert f"forged: {reason}" in found.reason


@contextlib.contextmanager
def forward_policy(policy: str, command: str = "iptables") -> Iterator[None]:
    """Of what no rule of the tests' namespace accepts; the former one afterwards."""
    said = subprocess.run([command, "-w", "-S", "FORWARD"], check=True, stdout=subprocess.PIPE)
    former = said.stdout.decode().splitlines()[0].split()[-1]
    subprocess.run([command, "-w", "-P", "FORWARD", policy], check=True)
    try:
        yield
    finally:
        subprocess.run([command, "-w", "-P", "FORWARD", former], check=True)


def test_neighbours_that_route_containers_networks(yard: Yard, looker: Looker) -> None:
    own = {"range": "10.213.0.0/16"}
    six = "fd00:db8:1::/64"
    pool = docker.types.IPAMPool(subnet=six)
    with forward_policy("DROP"):
        assert looker.look("engines.routing", **own).status is Status.PASS
    with forward_policy("ACCEPT"), forward_policy("ACCEPT", "ip6tables"):
        network = yard.sdk.networks.create(
            "six", enable_ipv6=True, ipam=docker.types.IPAMConfig(pool_configs=[pool])
        )
        try:
            yard.sdk.containers.run(IMAGE, ["sleep", "600"], network="six", detach=True)
            found = looker.look("engines.routing", **own)
            assert found.status is Status.FAIL
            assert f"ct original ip6 daddr {six} " in found.remedy
            table = found.remedy[found.remedy.index("table inet") :]
            four = re.sub(r"ct original ip6 daddr [^;]*;", "", table)
            assert four != table
            with loaded(four):
                found = looker.look("engines.routing", **own)
            assert (found.status, "forwards IPv6" in found.reason) == (Status.FAIL, True), found
            with loaded(table):
                found = looker.look("engines.routing", **own)
            assert found.status is Status.PASS, found
        finally:
            for container in yard.sdk.containers.list(filters={"network": "six"}):
                container.remove(force=True)
            network.remove()


@contextlib.contextmanager
def loaded(table: str) -> Iterator[None]:
    subprocess.run(["nft", table], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "containers"], check=True)


def _limit(pid: int) -> Path:
    """The file of its limit of processes, in either version of control groups."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        for folder in ("pids" if "pids" in kinds.split(",") else "", ""):
            found = Path("/sys/fs/cgroup", folder, path.strip("/"), "pids.max")
            if (folder or not kinds) and found.exists():
                return found
    raise AssertionError(f"no limit of processes for {pid}")


def test_executables_that_are_not_the_images(yard: Yard, looker: Looker) -> None:
    spec = ContainerSpec(IMAGE, command=("sleep", "600"), stop_grace_s=0)
    container_id = yard.run(single("sea", spec))
    name = yard.engine.container(container_id).name
    in_it = yard.sdk.containers.get(container_id)
    in_it.exec_run(["sh", "-c", "echo data > /tmp/data"])
    assert looker.look("containers.files").status is Status.PASS
    in_it.exec_run(["sh", "-c", "cp /bin/busybox /tmp/tool; chmod 4755 /tmp/tool"])
    found = looker.look("containers.files")
    assert (found.status, found.reason) == (Status.FAIL, f"{name}: /tmp/tool was added, mode 4755")
    in_it.exec_run(["rm", "/tmp/tool"])
    assert looker.look("containers.files").status is Status.PASS
    assert looker.look("containers.files", most=0).status is Status.ERROR
