"""A master that was taken over has a certificate of the cluster and orders what it likes: what a host's policy forbids is neither
made nor started there, whatever the fields of the order say, and each refusal is in the host's own audit log."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from hullmark.model import names
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    FileRef,
    Logging,
    Mount,
    MountKind,
    Network,
    Resources,
    Secret,
    Volume,
)
from hullmark.model.orders import Assignment, InstanceId, Orders, PublishedPort, Task
from hullmark.model.wire import digest
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper
from tests.e2e.conftest import IMAGE
from tests.e2e.leader import FalseLeader
from tests.e2e.test_stale_orders import accepted
from tests.integration.engines import Engine
from tests.sdk import api_client

POLICY = """\
privileged: false
host_namespaces: []
join_namespaces: false
capabilities: {add: []}
devices: []
mounts: {read: [/usr/share], write: []}
volumes: {drivers: [local], types: [], external: []}
networks: {drivers: [bridge], options: [], external: []}
images: {from: [localhost]}
user: {root: false}
seccomp: [default]
apparmor: [default]
selinux: [default]
system_paths: false
limits: {memory: 64MiB, pids: 100, require: [memory]}
ports: {published: [], addresses: []}
sysctls: []
annotations: []
logging: {drivers: [json-file, k8s-file], addresses: []}
"""
GOOD = ContainerSpec(
    IMAGE,
    command=("sleep", "100000"),
    user="1000:1000",
    stop_grace_s=1.0,
    limits=Resources(memory_bytes=32 << 20, pids=50),
)
IN = Mount(MountKind.BIND, "/x", "/usr/share", read_only=True, create_host_path=False)


def binding(source: str, *, write: bool = False, create: bool = False) -> dict[str, Any]:
    mount = replace(IN, source=source, read_only=not write, create_host_path=create)
    return {"mounts": (mount,)}


EVIL: dict[str, dict[str, Any]] = {
    "privileged": {"privileged": True},
    "hostpid": {"pid": "host"},
    "hostipc": {"ipc": "host"},
    "hostnet": {"network_mode": "host"},
    "hostuts": {"uts": "host"},
    "joined": {"pid": "container:victim"},
    "capability": {"cap_add": ("SYS_ADMIN",)},
    "lowercase": {"cap_add": ("cap_sys_admin",)},
    "rawsockets": {"cap_add": ("NET_RAW",)},
    "device": {"devices": ("/dev/full:/dev/full:rwm",)},
    "etc": binding("/etc"),
    "dots": binding("/usr/share/../../etc"),
    "written": binding("/usr/share", write=True),
    "made": binding("/srv/hullmark-never-made", write=True, create=True),
    "relabelled": {"mounts": (replace(IN, selinux="Z"),)},
    "commas": {"mounts": (replace(IN, create_host_path=True, propagation="rshared,rw"),)},
    "colons": {"mounts": (replace(IN, target="/x:rw,rshared", create_host_path=True),)},
    "slashproc": binding("/proc/self/root/etc"),
    "socket": binding("SOCKET"),
    "socketfolder": binding("FOLDER"),
    "root": {"user": "0"},
    "rootbyzeros": {"user": "00:00"},
    "nouser": {"user": ""},
    "unconfined": {"security_opt": ("seccomp=unconfined",)},
    "unmasked": {"security_opt": ("systempaths=unconfined",)},
    "elsewhere": {"image": "registry.example.com/shop/web:1"},
    "unlimited": {"limits": Resources()},
    "greedy": {"limits": Resources(memory_bytes=1 << 30)},
    "sysctl": {"sysctls": {"kernel.shm_rmid_forced": "1"}},
    "annotated": {"annotations": {"run.oci.hooks.stdout": "/x"}},
    "logged": {"logging": Logging("syslog", {"syslog-address": "tcp://192.0.2.1:1"})},
    "steered": {"labels": {"io.podman.annotations.privileged": "TRUE"}},
    "nobodys": {"network_mode": "container:victim"},
    # Podman makes text of these and parts it anew: a mount of /etc, a container of app fine.
    "parted": {"mounts": (replace(IN, propagation="rprivate,source=/etc"),)},
    "renamed": {"labels": {"io.hullmark.app=fine": ""}},
}
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "secret": (
        {"secrets": (FileRef("s", "/run/secrets/s"),)},
        {"secrets": {"s": Secret("/etc/shadow")}},
    ),
    "volume": (
        {"mounts": (Mount(MountKind.VOLUME, "/x", "v"),)},
        {"volumes": {"v": Volume(driver_options={"type": "none", "o": "bind", "device": "/etc"})}},
    ),
    "capitals": (
        {"mounts": (Mount(MountKind.VOLUME, "/x", "v"),)},
        {"volumes": {"v": Volume(driver_options={"Type": "none", "O": "bind", "Device": "/etc"})}},
    ),
    "others": (
        {"mounts": (Mount(MountKind.VOLUME, "/x", "v"),)},
        {"volumes": {"v": Volume(external="kept")}},
    ),
    "hostnetwork": (
        {"networks": (Attachment("n"),)},
        {"networks": {"n": Network(external="host")}},
    ),
    "lan": ({"networks": (Attachment("n"),)}, {"networks": {"n": Network(external="lan9")}}),
    "options": (
        {"networks": (Attachment("n"),)},
        {"networks": {"n": Network(driver_options={"com.docker.network.bridge.name": "docker0"})}},
    ),
}


OTHERWISE = {
    "elsewhere": "registry.example.com/shop/web:1",
    "volume": "evil_v",
    "capitals": "evil_v",
    "options": "evil_n",
}
"""What is refused before there is a container to be made."""


def bundles(socket: str) -> dict[str, Bundle]:
    made = {}
    for name, changes in EVIL.items():
        spec = replace(GOOD, **changes)
        mounts = tuple(
            replace(
                one,
                source={"SOCKET": socket, "FOLDER": str(Path(socket).parent)}.get(
                    one.source, one.source
                ),
            )
            for one in spec.mounts
        )
        made[name] = Bundle("evil", name, replace(spec, mounts=mounts))
    for name, (changes, parts) in PARTS.items():
        made[name] = Bundle("evil", name, replace(GOOD, **changes), **parts)
    return made


def ordered(before: Orders, made: dict[str, Bundle]) -> Orders:
    """All of them, and one that is allowed, in the words of the leader that the agent obeys."""
    fine = Bundle("fine", "web", replace(GOOD, mounts=(IN,)))
    port = (PublishedPort(8080, 18080),)
    assigned = [
        Assignment(InstanceId(one.app, one.service, 1, 1), digest(one)) for one in made.values()
    ]
    return dataclasses.replace(
        before,
        revision=before.revision + 1000,
        assignments=(
            *assigned,
            Assignment(InstanceId("fine", "web", 1, 1), digest(fine)),
            Assignment(InstanceId("fine", "web", 2, 1), digest(fine), port),
        ),
        bundles={digest(one): one for one in (*made.values(), fine)},
    )


@pytest.fixture
def policed(engine: Engine, tmp_path: Path) -> Iterator[OneHostCluster]:
    engine.load_image(IMAGE)
    policies = tmp_path / "policy.d"
    policies.mkdir(mode=0o755)
    (policies / "10-host.yaml").write_text(POLICY)
    options = f"policy_dir: {policies}\n"
    with OneHostCluster(tmp_path / "c", engine.socket, agent_options=options) as cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()


def refusals(cluster: OneHostCluster) -> dict[tuple[str, str], str]:
    """By what was to be done and to whom: the reason."""
    return {
        (one["kind"], one["subject"]): one["reason"]
        for one in records(cluster)
        if one["outcome"] == "refused"
    }


def records(cluster: OneHostCluster) -> list[dict[str, Any]]:
    """The host's own audit log."""
    lines = (cluster.folder / "agent-audit" / "audit.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def by_hand(client: docker.APIClient, cluster: OneHostCluster, bundle: Bundle, epoch: Any) -> None:
    """A container that exists already, not as its spec says: privileged."""
    instance = InstanceId(bundle.app, bundle.service, 1, 1)
    labels = names.instance_labels(cluster.cluster_id, instance, digest(bundle), epoch)
    client.create_container(
        IMAGE,
        ["sleep", "100000"],
        name=instance.container_name,
        labels=labels,
        user="1000:1000",
        host_config=client.create_host_config(pid_mode="host", mem_limit=32 << 20, pids_limit=50),
    )


def tampered(
    policed: OneHostCluster,
    folder: Path,
    before: Orders,
    orders: Orders,
    tasks: tuple[Task, ...] = (),
) -> FalseLeader:
    """In place of the leader whose orders the agent has accepted."""
    return FalseLeader(
        folder / "false",
        policed.folder / "master",
        policed.cluster_id,
        policed.agents_port,
        name=before.leader,
        polled_epoch=before.epoch,
        orders=orders,
        tasks=tasks,
    )


def test_nothing_that_is_forbidden_is_made_or_started(
    policed: OneHostCluster, engine: Engine, tmp_path: Path
) -> None:
    socket = engine.socket.partition("://")[2]
    client = api_client(engine.socket)
    client.create_network("lan9")
    client.create_volume("kept", driver="local")
    wait_until(lambda: accepted(policed).leader, "the agent obeys its leader")
    before, made = accepted(policed), bundles(socket)
    there = Bundle("evil", "there", GOOD)
    by_hand(client, policed, there, before.epoch)
    policed.master.kill()
    orders = ordered(before, {**made, "there": there})
    with tampered(policed, tmp_path, before, orders):
        wait_until(lambda: accepted(policed).revision == orders.revision, "the orders are taken")
        if engine.name == "podman":
            del made["hostnetwork"]  # it has no network of this name, so there is nothing to judge
        wanted = {OTHERWISE.get(name, f"evil/{name}.1") for name in made}
        wait_until(
            lambda: wanted <= {subject for _, subject in refusals(policed)}, "all are refused", 90
        )
        wait_until(lambda: running(policed) == {"fine.web.1.g1"}, "what is allowed runs", 30)
        wait_until(
            lambda: ("container.start", "evil/there.1") in refusals(policed), "the start is refused"
        )
    assert set(policed.containers()) == {"fine.web.1.g1", "evil.there.1.g1"}
    assert [one for one in client.volumes()["Volumes"] or () if one["Name"] != "kept"] == []
    assert not Path("/srv/hullmark-never-made").exists()
    told = refusals(policed)
    assert "ports.published" in told["container.create", "fine/web.2"]
    assert "host_namespaces" in told["container.start", "evil/there.1"]
    client.remove_network("lan9")
    client.remove_volume("kept")
    client.close()


@pytest.mark.one_engine
def test_no_command_is_run_that_the_host_does_not_allow(
    policed: OneHostCluster, engine: Engine, tmp_path: Path
) -> None:
    """By a task, which is no order: with any user, and in the name of any person."""
    apply_sleeper(policed, IMAGE, name="kept", wait=False)
    wait_until(lambda: accepted(policed).assignments, "the agent has orders")
    before = accepted(policed)
    policed.master.kill()
    orders = ordered(before, {})
    command = {
        "app": "fine",
        "service": "web",
        "slot": "1",
        "generation": "1",
        "command": json.dumps(["touch", "/tmp/was-here"]),
        "user": "0",
        "limit_s": "5",
        "epoch": str(before.epoch),
        "by": "alice",
        "request_id": "r1",
    }
    with tampered(policed, tmp_path, before, orders):
        wait_until(lambda: running(policed) == {"fine.web.1.g1"}, "what is allowed runs", 30)
    tasks = (Task("t1", "exec", command), Task("t2", "commit", command))
    with tampered(policed, tmp_path, before, orders, tasks) as false:
        wait_until(lambda: "error" in false.told.get("t1", ""), "the command is refused", 30)
        wait_until(lambda: "t2" in false.told, "the other task is answered")
    assert "exec.allowed" in false.told["t1"]
    assert "does not know tasks of kind" in false.told["t2"]
    (refused,) = [one for one in records(policed) if one["kind"] == "container.exec"]
    assert (refused["outcome"], refused["by"], refused["subject"]) == (
        "refused",
        "alice",
        "fine/web.1",
    )


def running(cluster: OneHostCluster) -> set[str]:
    return {name for name, found in cluster.containers().items() if found["State"]["Running"]}
