"""The judgement before a start: by what both engines say of a container that exists (shortened answers of Docker 20.10 and Podman 4.3)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hullmark.core import judging
from hullmark.model.policy import (
    ImageSight,
    NetworkSight,
    PathSight,
    Policy,
    Sights,
    VolumeSight,
)
from tests.unit.core.policyworld import DIGEST, STRICT, policy

LABELS = {"io.hullmark.app": "shop", "io.hullmark.service": "web"}
IMAGE = f"registry.example.com/shop/web@{DIGEST}"
ANONYMOUS = "9" * 64
SHARED: dict[str, Any] = {
    "ReadonlyRootfs": True,
    "GroupAdd": ["20"],
    "IpcMode": "private",
    "Memory": 64 << 20,
    "MemorySwap": 128 << 20,
    "NanoCpus": 500_000_000,
    "PidsLimit": 50,
    "PortBindings": {"8080/tcp": [{"HostIp": "10.0.0.7", "HostPort": "8000"}]},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "ShmSize": 1 << 20,
    "Privileged": False,
    "Annotations": None,
    "Sysctls": None,
}
DOCKER: dict[str, Any] = {
    "Config": {"Image": IMAGE, "Labels": LABELS, "User": "1000:1000"},
    "Image": "sha256:" + "b" * 64,
    "HostConfig": {
        **SHARED,
        "Binds": ["/srv/read/a:/in:ro"],
        "CapAdd": ["NET_BIND_SERVICE"],
        "CapDrop": ["ALL"],
        "CgroupnsMode": "host",
        "Devices": [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rw"}
        ],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "MaskedPaths": ["/proc/kcore"],
        "NetworkMode": "shop_default",
        "Runtime": "runc",
        "SecurityOpt": ["no-new-privileges:true"],
        "Tmpfs": {"/tmp": ""},
        "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 1000}],
        "SomethingOfALaterRelease": {"On": True},
    },
    "Mounts": [
        {
            "Type": "bind",
            "Source": "/srv/write",
            "Destination": "/out",
            "RW": True,
            "Propagation": "rprivate",
        },
        {
            "Type": "bind",
            "Source": "/srv/read/a",
            "Destination": "/in",
            "RW": False,
            "Propagation": "rprivate",
        },
        {
            "Type": "bind",
            "Source": "/conf/x",
            "Destination": "/c",
            "RW": False,
            "Propagation": "rprivate",
        },
        {
            "Type": "volume",
            "Name": "shop_data",
            "Source": "/d/_data",
            "Driver": "local",
            "RW": True,
            "Propagation": "",
        },
        {
            "Type": "volume",
            "Name": ANONYMOUS,
            "Source": "/e/_data",
            "Driver": "local",
            "RW": True,
            "Propagation": "",
        },
        {"Type": "tmpfs", "Source": "", "Destination": "/t", "RW": True},
    ],
    "NetworkSettings": {"Networks": {"shop_default": {}, "edge": {}}},
}
PODMAN: dict[str, Any] = {
    **DOCKER,
    "BoundingCaps": ["CAP_NET_BIND_SERVICE"],
    "HostConfig": {
        **SHARED,
        "Binds": [
            "/srv/read/a:/in:ro,rprivate,rbind",
            "shop_data:/d:rw,rprivate,nosuid,nodev,rbind",
        ],
        "CapDrop": ["AUDIT_WRITE", "CHOWN"],
        "CpuPeriod": 100000,
        "CpuQuota": 50000,
        "Devices": [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": ""}
        ],
        "IpcMode": "shareable",
        "LogConfig": {"Type": "json-file", "Config": None},
        "MaskedPaths": None,
        "NetworkMode": "bridge",
        "PidMode": "private",
        "UTSMode": "private",
        "Runtime": "oci",
        "SecurityOpt": ["no-new-privileges"],
        "Tmpfs": {"/run": "rw,rprivate,nosuid,nodev,tmpcopyup"},
        "Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 1000, "Hard": 1000}],
    },
}
SAID = {"docker": DOCKER, "podman": PODMAN}


def start(said: dict[str, Any], engine: str, rules: Policy, **looks: Any) -> list[str]:
    needs = judging.needed_to_start(said)
    volumes = {"shop_data": VolumeSight(app="shop"), ANONYMOUS: VolumeSight()}
    seen = {
        "paths": {path: PathSight(path) for path in needs.paths},
        "volumes": {name: volumes.get(name, VolumeSight()) for name in needs.volumes},
        "networks": {
            name: NetworkSight(name, app="shop" if name.startswith("shop_") else "")
            for name in needs.networks
        },
        "image": ImageSight(),
        "own_files": ("/conf/x",),
        **looks,
    }
    found = judging.judge_start(said, Sights(engine, "shop", "web", **seen), rules)
    return sorted({violation.rule for violation in found})


@pytest.mark.parametrize("engine", sorted(SAID))
def test_what_a_strict_policy_let_be_made_is_started_again(engine: str) -> None:
    """Also where the engine says more than was asked, and fields that nobody here knows."""
    assert start(SAID[engine], engine, policy(STRICT)) == []
    assert start(SAID[engine], engine, Policy()) == []


CHANGES: list[tuple[str, str, object]] = [
    ("privileged", "Privileged", True),
    ("host_namespaces", "PidMode", "host"),
    ("host_namespaces", "UTSMode", "host"),
    ("host_namespaces", "UsernsMode", "host"),
    ("host_namespaces", "NetworkMode", "host"),
    ("join_namespaces", "IpcMode", "container:abc"),
    ("join_namespaces", "NetworkMode", "container:abc"),
    ("join_namespaces", "PidMode", "ns:/proc/1/ns/pid"),
    ("join_namespaces", "VolumesFrom", ["other"]),
    ("no_new_privileges", "SecurityOpt", None),
    ("seccomp", "SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
    ("selinux", "SecurityOpt", ["no-new-privileges", "label=disable"]),
    ("read_only_root", "ReadonlyRootfs", False),
    ("devices", "Devices", [{"PathOnHost": "/dev/sda", "CgroupPermissions": "rwm"}]),
    ("devices", "DeviceCgroupRules", ["b 8:* rwm"]),
    ("devices", "DeviceRequests", [{"Driver": "gpu"}]),
    ("limits.require", "Memory", 0),
    ("limits.pids", "PidsLimit", None),
    ("ports.published", "PortBindings", {"80/tcp": [{"HostIp": "10.0.0.7", "HostPort": "80"}]}),
    ("sysctls", "Sysctls", {"kernel.msgmax": "1"}),
    ("logging.drivers", "LogConfig", {"Type": "syslog", "Config": {}}),
]


@pytest.mark.parametrize("engine", sorted(SAID))
@pytest.mark.parametrize(("rule", "field", "value"), CHANGES, ids=lambda each: str(each)[:40])
def test_what_became_forbidden_is_not_started(
    rule: str, field: str, value: object, engine: str
) -> None:
    said = copy.deepcopy(SAID[engine])
    said["HostConfig"][field] = value
    assert rule in start(said, engine, policy(STRICT))
    assert start(said, engine, Policy()) == []


@pytest.mark.parametrize("engine", sorted(SAID))
@pytest.mark.parametrize(
    ("rule", "mount"),
    [
        ("mounts.read", {"Type": "bind", "Source": "/opt", "RW": False}),
        ("mounts.write", {"Type": "bind", "Source": "/srv/read", "RW": True}),
        (
            "mounts.propagation",
            {"Type": "bind", "Source": "/srv/write", "RW": True, "Propagation": "rshared"},
        ),
        ("engine_socket", {"Type": "bind", "Source": "/run/docker.sock", "RW": True}),
        ("engine_socket", {"Type": "bind", "Source": "/", "RW": True}),
        ("volumes.external", {"Type": "volume", "Name": "bank_data", "RW": True}),
    ],
)
def test_mounts_of_a_container_that_exists(rule: str, mount: dict[str, Any], engine: str) -> None:
    said = copy.deepcopy(SAID[engine])
    said["Mounts"].append({"Destination": "/x", **mount})
    assert rule in start(said, engine, policy(STRICT))


def test_uncovered_files_of_the_kernel_are_seen() -> None:
    said = copy.deepcopy(DOCKER)
    said["HostConfig"]["MaskedPaths"] = []
    assert start(said, "docker", policy(STRICT)) == ["system_paths"]
    assert start(said, "docker", Policy()) == []


def test_a_link_that_was_changed_since_the_creation_is_seen() -> None:
    paths = {
        "/srv/write": PathSight("/opt"),
        "/srv/read/a": PathSight("/srv/read/a"),
        "/dev/fuse": PathSight("/dev/fuse"),
    }
    assert start(DOCKER, "docker", policy(STRICT), paths=paths) == ["mounts.write"]


def test_net_raw_of_before_there_were_policies_stays_until_a_file_says_otherwise() -> None:
    said = copy.deepcopy(DOCKER)
    said["HostConfig"].update(CapAdd=None, CapDrop=None)
    assert start(said, "docker", Policy()) == []
    assert start(said, "docker", policy({"capabilities.add": ()})) == ["capabilities.add"]


@pytest.mark.parametrize(
    ("caps", "rules"),
    [
        ([], []),
        (["CAP_CHOWN"], ["capabilities.add", "capabilities.drop"]),
        (["CAP_NET_RAW"], ["capabilities.add", "capabilities.drop"]),
    ],
)
def test_podmans_capabilities_are_those_that_it_has(caps: list[str], rules: list[str]) -> None:
    said = {**PODMAN, "BoundingCaps": caps}
    assert set(start(said, "podman", policy(STRICT))) <= set(rules)
    assert bool(start(said, "podman", policy(STRICT))) == bool(rules)


def test_docker_takes_selinux_away_from_who_shares_processes_with_the_host() -> None:
    said = copy.deepcopy(DOCKER)
    said["HostConfig"].update(PidMode="host")
    said["HostConfig"]["SecurityOpt"].append("label=disable")
    rules = policy({**STRICT, "host_namespaces": ("pid",)})
    assert start(said, "docker", rules) == []


@pytest.mark.parametrize("engine", sorted(SAID))
def test_an_adopted_container_may_have_an_image_by_a_short_name(engine: str) -> None:
    said = copy.deepcopy(SAID[engine])
    said["Config"]["Image"] = "nginx"
    assert start(said, engine, Policy()) == []
    assert start(said, engine, policy(STRICT)) == ["images.digest", "images.from"]
    for other in ("sha256:" + "b" * 64, "No Image"):
        said["Config"]["Image"] = other
        assert start(said, engine, Policy()) == []
        assert start(said, engine, policy(STRICT)) == ["images.digest", "images.from"]


@pytest.mark.parametrize("name", ["run.oci.handler", "org.systemd.property.DeviceAllow"])
def test_an_image_of_podmans_steers_its_runtime_by_no_annotation(name: str) -> None:
    """The image's own annotations stand in no request; Podman's, beside them, are in every container."""
    podmans = {
        "io.podman.annotations.init": "FALSE",
        "io.kubernetes.cri-o.TTY": "false",
        "org.systemd.property.KillSignal": "15",
        "org.opencontainers.image.base.name": "",
    }
    said = {**PODMAN, "Annotations": podmans}
    assert start(said, "podman", policy(STRICT)) == []
    said["Annotations"] = {**podmans, name: "x"}
    assert start(said, "podman", policy()) == ["annotations"]
    assert start(said, "podman", policy({"annotations": (name,)})) == []


@pytest.mark.parametrize("engine", sorted(SAID))
def test_an_image_begins_in_no_folder_of_the_runtimes_own(engine: str) -> None:
    """What an image says stands in no request. Runtimes before runc 1.1.12 left a way out of the container there."""
    said = copy.deepcopy(SAID[engine])
    said["Config"]["WorkingDir"] = "/srv"
    assert start(said, engine, policy(STRICT)) == []
    said["Config"]["WorkingDir"] = "/proc/self/fd/8"
    assert start(said, engine, policy()) == ["request"]


@pytest.mark.parametrize("mode", ["z", "ro,Z"])
def test_relabelling_at_a_start_is_writing_too(mode: str) -> None:
    said = copy.deepcopy(DOCKER)
    said["Mounts"][1]["Mode"] = mode
    assert start(said, "docker", policy(STRICT)) == ["mounts.write"]
    said["Mounts"][1]["Mode"] = "ro"
    assert start(said, "docker", policy(STRICT)) == []
