"""A host with a policy, and containers that a master wants there: from specs through the engine room's own request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Optional

from hullmark.core import judging
from hullmark.engine import request
from hullmark.engine.protocol import CreateRequest
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
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.policy import (
    RULES,
    Guarded,
    ImageSight,
    NetworkSight,
    PathSight,
    Policy,
    Rule,
    Sights,
    VolumeSight,
)

FILE = "/etc/hullmark/policy.d/50-test.yaml"
DIGEST = "sha256:" + "a" * 64
MIB = 1 << 20
ENGINES = ("docker", "podman")

STRICT: Mapping[str, object] = {
    "privileged": False,
    "host_namespaces": (),
    "join_namespaces": False,
    "capabilities.add": ("NET_BIND_SERVICE",),
    "capabilities.drop": ("ALL",),
    "devices": ("/dev/fuse",),
    "mounts.read": ("/srv/read",),
    "mounts.write": ("/srv/write",),
    "mounts.propagation": ("private",),
    "volumes.drivers": ("local",),
    "volumes.types": ("tmpfs",),
    "volumes.external": (),
    "networks.drivers": ("bridge",),
    "networks.options": ("mtu",),
    "networks.subnets": ("10.213.0.0/16",),
    "networks.external": ("edge",),
    "images.from": ("registry.example.com/shop",),
    "images.digest": True,
    "user.root": False,
    "user.names": False,
    "user.root_group": False,
    "read_only_root": True,
    "no_new_privileges": True,
    "seccomp": ("default",),
    "apparmor": ("default", "docker-default"),
    "selinux": ("default",),
    "system_paths": False,
    "limits.require": ("memory", "cpus", "pids"),
    "limits.memory": 512 * MIB,
    "limits.memory_swap": 1024 * MIB,
    "limits.shm": 64 * MIB,
    "limits.cpus": 2.0,
    "limits.pids": 200,
    "limits.ulimits": {"nofile": 4096, "nproc": 100},
    "limits.oom_score_adj": 0,
    "ports.published": ("443", "8000-8999/tcp"),
    "ports.addresses": ("10.0.0.0/8",),
    "ports.approved": ("22",),
    "sysctls": ("net.*",),
    "annotations": ("com.example.*",),
    "logging.drivers": ("json-file", "journald"),
    "logging.addresses": (),
}
"""Each rule as strict as `GOOD` can bear, or stricter than anything needs."""

GOOD = ContainerSpec(
    "registry.example.com/shop/web:1",
    digest=DIGEST,
    user="1000:1000",
    group_add=("20",),
    read_only=True,
    cap_drop=("ALL",),
    cap_add=("NET_BIND_SERVICE",),
    security_opt=("no-new-privileges:true",),
    mounts=(
        Mount(MountKind.BIND, "/in", "/srv/read/a", read_only=True),
        Mount(MountKind.BIND, "/out", "/srv/write", create_host_path=False),
        Mount(MountKind.VOLUME, "/data", "data"),
        Mount(MountKind.VOLUME, "/bare", "data", no_copy=True),
        Mount(MountKind.VOLUME, "/anonymous"),
        Mount(MountKind.TMPFS, "/tmp", tmpfs_size_bytes=MIB, tmpfs_mode=0o1777),
    ),
    configs=(FileRef("conf", "/etc/web.conf"),),
    secrets=(FileRef("key", "/run/secrets/key"),),
    environment={"A": "b=c", "EMPTY": ""},
    labels={"com.example.team": "shop"},
    networks=(Attachment("default", ("www",)), Attachment("edge")),
    devices=("/dev/fuse:/dev/fuse:rw",),
    sysctls={"net.core.somaxconn": "1024"},
    annotations={"com.example.a": "b"},
    limits=Resources(1.5, 256 * MIB, 100),
    logging=Logging("json-file", {"max-size": "1m"}),
)
BUNDLE = Bundle(
    "shop",
    "web",
    GOOD,
    networks={"default": Network(), "edge": Network(external="edge")},
    volumes={"data": Volume()},
    secrets={"key": Secret("/srv/read/key")},
)
PORTS = (PublishedPort(8080, 443, "tcp", "10.0.0.7"), PublishedPort(8081, 8100, "tcp", "10.0.0.7"))
OWN_FILE = "/var/lib/hullmark/agent/configs/abc"


def policy(rules: Optional[Mapping[str, object]] = None, **changes: Any) -> Policy:
    """Each rule on the line of its place in RULES."""
    lines = {key: number for number, key in enumerate(RULES, 1)}
    given = {key: Rule(key, value, FILE, lines[key]) for key, value in (rules or {}).items()}
    return replace(Policy(given=given, files=(FILE,)), **changes)


def body(
    spec: ContainerSpec = GOOD,
    engine: str = "docker",
    ports: tuple[PublishedPort, ...] = PORTS,
    bundle: Bundle = BUNDLE,
) -> dict[str, Any]:
    """What the engine room would send."""
    made = CreateRequest(
        "c1",
        InstanceId("shop", "web", 1, 3),
        "hash",
        Epoch(1, 4),
        replace(bundle, container=spec),
        ports,
        {reference.target: OWN_FILE for reference in spec.configs},
    )
    ulimits = {"nofile": (1024, 1024), "nproc": (50, 50)} if engine == "podman" else {}
    return request.body(made, engine, ulimits)


def sights(
    made: Mapping[str, Any],
    engine: str = "docker",
    paths: Optional[Mapping[str, PathSight]] = None,
    volumes: Optional[Mapping[str, VolumeSight]] = None,
    **changes: Any,
) -> Sights:
    """Of a host on which every path is what it seems, but for `paths`, and that has the app's volume and networks."""
    needs = judging.needed(made)
    there = {"shop_data": VolumeSight(app="shop"), **(volumes or {})}
    named = (path for one in there.values() for path in judging.needed_by_volume(one))
    seen = {path: PathSight(path) for path in (*needs.paths, *named)}
    return replace(
        Sights(
            engine,
            "shop",
            "web",
            paths={**seen, **(paths or {})},
            volumes=there,
            networks={
                "shop_default": NetworkSight("shop_default", app="shop"),
                "edge": NetworkSight("edge"),
            },
            image=ImageSight("1000:1000", "sha256:" + "b" * 64, (request.image(GOOD),)),
            own_files=(OWN_FILE,),
            engine_sockets=("/run/other/engine.sock",),
            guarded=(
                Guarded("/etc/hullmark", "Hullmark's configuration"),
                Guarded("/var/lib/hullmark", "the keys of this host"),
                Guarded("/var/lib/docker", "the engine's data", readable=True),
            ),
        ),
        **changes,
    )


def refused(
    made: Mapping[str, Any],
    rules: Optional[Mapping[str, object]] = None,
    engine: str = "docker",
    **looks: Any,
) -> list[str]:
    """The rules that a creation breaks, each once, in order."""
    found = judging.judge_creation(made, sights(made, engine, **looks), policy(rules))
    return sorted({violation.rule for violation in found})


def without(keys: Iterable[str]) -> dict[str, object]:
    """The strict rules but for these."""
    return {key: value for key, value in STRICT.items() if key not in set(keys)}
