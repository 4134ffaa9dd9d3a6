"""The body of a container's creation, part by part. What it does is seen in tests/integration/test_engine_keys.py."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hullmark.engine import request
from hullmark.engine.protocol import CreateRequest
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    FileRef,
    Healthcheck,
    Logging,
    Mount,
    MountKind,
    Network,
    Resources,
    Secret,
    Ulimit,
    Volume,
)
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId, PublishedPort

DIGEST = "sha256:" + "a" * 64
PLAIN = ContainerSpec("web:1")
ENGINES = ("docker", "podman")


def body(
    spec: ContainerSpec = PLAIN,
    engine: str = "docker",
    ports: tuple[PublishedPort, ...] = (),
    ulimits: Any = None,
    hosts: str = "",
    addresses: tuple[str, ...] = (),
    **parts: Any,
) -> dict[str, Any]:
    bundle = Bundle("shop", "web", spec, **parts)
    instance = InstanceId("shop", "web", 2, 7)
    files = {"/etc/web.conf": "/var/lib/configs/1"}
    made = CreateRequest(
        "c1", instance, "f" * 64, Epoch(1, 4), bundle, ports, files, hosts, addresses
    )
    return request.body(made, engine, ulimits or {})


def host(spec: ContainerSpec = PLAIN, engine: str = "docker", **parts: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(spec, engine, **parts)["HostConfig"]
    return found


def test_a_plain_container_says_little() -> None:
    assert body() == {
        "Image": "docker.io/library/web:1",
        "Labels": {
            "io.hullmark.cluster": "c1",
            "io.hullmark.app": "shop",
            "io.hullmark.service": "web",
            "io.hullmark.slot": "2",
            "io.hullmark.generation": "7",
            "io.hullmark.spec-hash": "f" * 64,
            "io.hullmark.epoch": "1.4",
            "io.hullmark.made": '{"Mounts":[],"User":""}',
        },
        "StopTimeout": 10,
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": "none",
            "CapDrop": ["NET_RAW"],
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": "10m", "max-file": "3"},
            },
        },
    }


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ({}, ["NET_RAW"]),
        ({"cap_add": ("NET_ADMIN",)}, ["NET_RAW"]),
        ({"cap_drop": ("CAP_CHOWN",)}, ["CAP_CHOWN", "NET_RAW"]),
        ({"cap_drop": ("cap_net_raw",)}, ["cap_net_raw"]),
        ({"cap_drop": ("ALL",)}, ["ALL"]),
        ({"cap_add": ("NET_RAW",)}, None),
        ({"cap_add": ("cap_net_raw",)}, None),
        ({"cap_add": ("all",), "cap_drop": ("CHOWN",)}, ["CHOWN"]),
        ({"privileged": True}, None),
    ],
)
def test_raw_sockets_have_to_be_asked_for(changes: dict[str, Any], dropped: object) -> None:
    for engine in ENGINES:
        assert host(replace(PLAIN, **changes), engine).get("CapDrop") == dropped


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"digest": DIGEST}, "Image", f"docker.io/library/web@{DIGEST}"),
        ({"command": ("a", "b c")}, "Cmd", ["a", "b c"]),
        ({"entrypoint": ("x",)}, "Entrypoint", ["x"]),
        ({"entrypoint": ()}, "Entrypoint", [""]),
        ({"environment": {"A": "b=c", "E": ""}}, "Env", ["A=b=c", "E="]),
        ({"user": "1:2"}, "User", "1:2"),
        ({"working_dir": "/w"}, "WorkingDir", "/w"),
        ({"hostname": "mast"}, "Hostname", "mast"),
        ({"tty": True}, "Tty", True),
        ({"stdin_open": True}, "OpenStdin", True),
        ({"stop_signal": "SIGUSR1"}, "StopSignal", "SIGUSR1"),
        ({"stop_grace_s": 1.2}, "StopTimeout", 2),
        ({"stop_grace_s": 0.0}, "StopTimeout", 0),
        ({"expose": ("80", "53/udp")}, "ExposedPorts", {"80/tcp": {}, "53/udp": {}}),
    ],
)
def test_what_the_container_is(change: dict[str, Any], key: str, value: object) -> None:
    for engine in ENGINES:
        assert body(replace(PLAIN, **change), engine)[key] == value


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"privileged": True}, "Privileged", True),
        ({"read_only": True}, "ReadonlyRootfs", True),
        ({"init": True}, "Init", True),
        ({"init": False}, "Init", False),
        ({"cap_add": ("NET_ADMIN",)}, "CapAdd", ["NET_ADMIN"]),
        ({"cap_drop": ("ALL",)}, "CapDrop", ["ALL"]),
        ({"group_add": ("7",)}, "GroupAdd", ["7"]),
        ({"extra_hosts": ("a:192.0.2.1",)}, "ExtraHosts", ["a:192.0.2.1"]),
        ({"dns": ("192.0.2.1",)}, "Dns", ["192.0.2.1"]),
        ({"dns_search": ("example",)}, "DnsSearch", ["example"]),
        ({"dns_opt": ("ndots:2",)}, "DnsOptions", ["ndots:2"]),
        ({"pid": "host"}, "PidMode", "host"),
        ({"ipc": "host"}, "IpcMode", "host"),
        ({"uts": "host"}, "UTSMode", "host"),
        ({"userns_mode": "host"}, "UsernsMode", "host"),
        ({"cgroup": "private"}, "CgroupnsMode", "private"),
        ({"sysctls": {"a.b": "1"}}, "Sysctls", {"a.b": "1"}),
        ({"shm_size_bytes": 5}, "ShmSize", 5),
        ({"oom_score_adj": -5}, "OomScoreAdj", -5),
        ({"limits": Resources(cpus=0.5)}, "NanoCpus", 500_000_000),
        ({"limits": Resources(memory_bytes=9)}, "Memory", 9),
        ({"limits": Resources(pids=3)}, "PidsLimit", 3),
        ({"memory_swap_bytes": -1}, "MemorySwap", -1),
        ({"network_mode": "host"}, "NetworkMode", "host"),
    ],
)
def test_what_the_host_gives(change: dict[str, Any], key: str, value: object) -> None:
    for engine in ENGINES:
        assert host(replace(PLAIN, **change), engine)[key] == value


def test_own_labels_win() -> None:
    spec = replace(PLAIN, labels={"io.hullmark.app": "forged", "kind": "tall"})
    assert body(spec)["Labels"]["io.hullmark.app"] == "shop"
    assert body(spec)["Labels"]["kind"] == "tall"


def test_the_first_network_comes_with_creation() -> None:
    place = Attachment("front", ("mast",), "192.0.2.7", "", "02:00:00:00:00:01")
    spec = replace(PLAIN, networks=(place, Attachment("back")))
    made = body(spec, networks={"front": Network(), "back": Network()})
    assert made["MacAddress"] == "02:00:00:00:00:01"
    assert made["HostConfig"]["NetworkMode"] == "shop_front"
    assert made["NetworkingConfig"] == {
        "EndpointsConfig": {
            "shop_front": {
                "Aliases": ["mast", "web"],
                "IPAMConfig": {"IPv4Address": "192.0.2.7"},
                "MacAddress": "02:00:00:00:00:01",
            }
        }
    }


def test_an_external_network_has_its_own_name() -> None:
    spec = replace(PLAIN, networks=(Attachment("front"),))
    assert host(spec, networks={"front": Network(external="lan9")})["NetworkMode"] == "lan9"


def test_mounts() -> None:
    spec = replace(
        PLAIN,
        mounts=(
            Mount(MountKind.BIND, "/a", "/host/a"),
            Mount(
                MountKind.BIND, "/b", "/host/b", read_only=True, selinux="Z", propagation="rslave"
            ),
            Mount(MountKind.BIND, "/c", "/host/c", create_host_path=False, read_only=True),
            Mount(MountKind.BIND, "/p", "/host/p", create_host_path=False, propagation="shared"),
            Mount(MountKind.VOLUME, "/d", "data", no_copy=True),
            Mount(MountKind.VOLUME, "/e", "ext"),
            Mount(MountKind.VOLUME, "/f"),
        ),
        configs=(FileRef("conf", "/etc/web.conf"),),
        secrets=(FileRef("key", "/run/secrets/key"),),
    )
    found = host(
        spec,
        volumes={"data": Volume(), "ext": Volume(external="box")},
        secrets={"key": Secret("/etc/key")},
    )
    assert found["Binds"] == [
        "/host/a:/a:rw",
        "/host/b:/b:ro,Z,rslave",
        "shop_data:/d:rw,nocopy",
    ]
    assert found["Mounts"] == [
        {"Type": "bind", "Source": "/host/c", "Target": "/c", "ReadOnly": True},
        {
            "Type": "bind",
            "Source": "/host/p",
            "Target": "/p",
            "BindOptions": {"Propagation": "shared"},
        },
        {"Type": "volume", "Source": "box", "Target": "/e"},
        {"Type": "volume", "Target": "/f"},
        {
            "Type": "bind",
            "Source": "/var/lib/configs/1",
            "Target": "/etc/web.conf",
            "ReadOnly": True,
        },
        {"Type": "bind", "Source": "/etc/key", "Target": "/run/secrets/key", "ReadOnly": True},
    ]


def test_its_hosts_file_is_mounted_read_only() -> None:
    mount = {"Type": "bind", "Source": "/h/web", "Target": "/etc/hosts", "ReadOnly": True}
    assert host(hosts="/h/web")["Mounts"] == [mount]


def test_tmpfs() -> None:
    spec = replace(
        PLAIN,
        mounts=(
            Mount(MountKind.TMPFS, "/a"),
            Mount(MountKind.TMPFS, "/b", tmpfs_size_bytes=9, tmpfs_mode=0o1770, read_only=True),
        ),
    )
    assert host(spec)["Tmpfs"] == {"/a": "", "/b": "size=9,mode=1770,ro"}


def test_ports() -> None:
    ports = (
        PublishedPort(80, 8080),
        PublishedPort(80, 8081, host_ip="127.0.0.1"),
        PublishedPort(53, 0, "udp"),
    )
    made = body(ports=ports)
    assert made["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081", "HostIp": "127.0.0.1"}],
        "53/udp": [{"HostPort": ""}],
    }
    on_host = body(replace(PLAIN, network_mode="host"), ports=ports)
    assert "PortBindings" not in on_host["HostConfig"]


def test_a_port_that_names_no_address_is_bound_on_those_of_the_host() -> None:
    ports = (
        PublishedPort(80, 8080),
        PublishedPort(80, 8081, host_ip="127.0.0.1"),
        PublishedPort(81, 8082, host_ip="0.0.0.0"),
        PublishedPort(82, 0),
    )
    made = body(ports=ports, addresses=("192.0.2.1", "127.0.0.1"))
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [
            {"HostPort": "8080", "HostIp": "192.0.2.1"},
            {"HostPort": "8080", "HostIp": "127.0.0.1"},
            {"HostPort": "8081", "HostIp": "127.0.0.1"},
        ],
        "81/tcp": [{"HostPort": "8082", "HostIp": "0.0.0.0"}],
        "82/tcp": [{"HostPort": ""}],
    }


def test_ulimits_of_the_container_win_over_the_engines() -> None:
    spec = replace(PLAIN, ulimits={"nofile": Ulimit(1, 2)})
    found = host(spec, "podman", ulimits={"nofile": (9, 9), "nproc": (8, 8)})
    assert found["Ulimits"] == [
        {"Name": "nofile", "Soft": 1, "Hard": 2},
        {"Name": "nproc", "Soft": 8, "Hard": 8},
    ]


def test_devices() -> None:
    spec = replace(PLAIN, devices=("/dev/a", "/dev/b:/dev/c", "/dev/d:/dev/e:r"))
    assert host(spec)["Devices"] == [
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/b", "PathInContainer": "/dev/c", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/d", "PathInContainer": "/dev/e", "CgroupPermissions": "r"},
    ]


def test_podman_gets_words_with_spaces_as_json() -> None:
    def test_of(*words: str) -> object:
        return body(replace(PLAIN, healthcheck=Healthcheck(words)), "podman")["Healthcheck"]["Test"]

    assert test_of("CMD", "sh", "-c", "a  b") == ['["sh", "-c", "a  b"]']
    assert test_of("CMD", "test", "-e", "/x") == ["CMD", "test", "-e", "/x"]
    assert test_of("CMD-SHELL", "a  b") == ["CMD-SHELL", "a  b"]


def test_health_checks() -> None:
    check = Healthcheck(("CMD", "true"), 1.5, 2.0, 4, 0.25)
    assert body(replace(PLAIN, healthcheck=check))["Healthcheck"] == {
        "Test": ["CMD", "true"],
        "Interval": 1_500_000_000,
        "Timeout": 2_000_000_000,
        "StartPeriod": 250_000_000,
        "Retries": 4,
    }
    off = replace(PLAIN, healthcheck=Healthcheck(disabled=True))
    assert body(off)["Healthcheck"] == {"Test": ["NONE"]}
    own = body(replace(PLAIN, healthcheck=Healthcheck(interval_s=5)))["Healthcheck"]
    assert "Test" not in own
    assert own["Interval"] == 5_000_000_000


@pytest.mark.parametrize(
    ("engine", "logging", "expected"),
    [
        (
            "docker",
            Logging("local", {"max-size": "1m"}),
            ("local", {"max-size": "1m", "max-file": "3"}),
        ),
        ("docker", Logging("syslog", {"tag": "x"}), ("syslog", {"tag": "x"})),
        ("podman", Logging(), ("k8s-file", {"max-size": "10m"})),
        ("podman", Logging("json-file", {"max-size": "1m"}), ("k8s-file", {"max-size": "1m"})),
        ("podman", Logging("journald"), ("journald", {})),
    ],
)
def test_logging(engine: str, logging: Logging, expected: tuple[str, dict[str, str]]) -> None:
    found = host(replace(PLAIN, logging=logging), engine)["LogConfig"]
    assert (found["Type"], found.get("Config", {})) == expected


def test_its_label_says_what_it_was_made_with() -> None:
    spec = replace(
        PLAIN,
        user="1000",
        read_only=True,
        cap_add=("BPF",),
        limits=Resources(memory_bytes=9 << 20, pids=7),
        mounts=(
            Mount(MountKind.BIND, "/a", "/srv/a", create_host_path=False),
            Mount(MountKind.BIND, "/b", "/srv/b", read_only=True),
        ),
    )
    assert json.loads(body(spec)["Labels"]["io.hullmark.made"]) == {
        "CapAdd": ["BPF"],
        "Memory": 9 << 20,
        "PidsLimit": 7,
        "ReadonlyRootfs": True,
        "User": "1000",
        "Mounts": [["/srv/a", "/a"], ["/srv/b", "/b"]],
    }
