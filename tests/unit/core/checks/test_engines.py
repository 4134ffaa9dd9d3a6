"""What engines say of themselves, hardened and not."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest
from hypothesis import given

from hullmark.core.checks.engines import _DOCKERS
from hullmark.model.checkkinds.engines import RULES
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import judged, looks_of, missing, reading

KIND = "engines.settings"
INFO: dict[str, Any] = {
    "CgroupVersion": "2",
    "Debug": False,
    "Driver": "overlay2",
    "ExperimentalBuild": False,
    "LiveRestoreEnabled": True,
    "LoggingDriver": "json-file",
    "RegistryConfig": {
        "IndexConfigs": {"docker.io": {"Name": "docker.io", "Secure": True}},
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
    },
    "SecurityOptions": [
        "name=apparmor",
        "name=seccomp,profile=default",
        "name=cgroupns",
        "name=userns",
    ],
    "Swarm": "inactive",
    "Warnings": None,
}
SETTINGS: dict[str, Any] = {
    "userland-proxy": False,
    "no-new-privileges": True,
    "default-ulimits": {"nofile": {"Hard": 1024}},
}
ARGUMENTS = "/usr/bin/dockerd\0-H\0fd://\0--containerd=/run/containerd/containerd.sock\0"
SOCKET = reading("socket", mode="0660", uid=0, gid=105)
ICC = {"Options": {"com.docker.network.bridge.enable_icc": "false"}}


def docker(
    info: Optional[dict[str, Any]] = None,
    settings: Optional[dict[str, Any]] = None,
    arguments: str = ARGUMENTS,
    others: tuple[Reading, ...] = (),
    rules: tuple[str, ...] = tuple(RULES),
    excused: tuple[str, ...] = (),
) -> Finding:
    """`others` stand in for those of their name."""
    readings = {
        "engine": reading("engine", '{"name": "docker", "version": "20.10"}'),
        "info": reading("info", json.dumps({**INFO, **(info or {})})),
        "bridge": reading("bridge", json.dumps(ICC)),
        "settings": reading(
            "settings", json.dumps({**SETTINGS, **(settings or {})}), mode="0644", uid=0
        ),
        "folder": reading("folder", mode="0755", uid=0),
        "arguments": reading("arguments", arguments),
        "socket": SOCKET,
        **{each.name: each for each in others},
    }
    chosen: dict[str, Any] = {"rules": rules, "except": excused}
    return judged(KIND, *readings.values(), **chosen)


def test_a_hardened_engine() -> None:
    found = docker()
    assert (found.status, found.level, found.reason) == (Status.PASS, 2, "")
    assert set(_DOCKERS) == set(RULES)


def options(*names: str) -> dict[str, Any]:
    return {"SecurityOptions": list(names)}


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("seccomp", {"info": options("name=seccomp,profile=unconfined", "name=apparmor")}),
        ("seccomp", {"info": options("name=apparmor")}),
        ("mac", {"info": options("name=seccomp,profile=default")}),
        ("no-new-privileges", {"settings": {"no-new-privileges": False}}),
        ("no-new-privileges", {"arguments": ARGUMENTS + "--no-new-privileges=false\0"}),
        ("cgroup-namespaces", {"settings": {"default-cgroupns-mode": "host"}}),
        ("cgroup-namespaces", {"info": {"CgroupVersion": "1", **options("name=userns")}}),
        ("user-namespaces", {"info": options("name=seccomp,profile=default")}),
        ("tcp", {"arguments": ARGUMENTS + "-H\0tcp://0.0.0.0:2375\0"}),
        ("tcp", {"arguments": ARGUMENTS + "--host=tcp://0.0.0.0:2376\0--tls\0"}),
        ("tcp", {"settings": {"hosts": ["tcp://10.0.0.1:2375"]}}),
        ("tcp", {"info": {"Warnings": ["WARNING: API is accessible on http://0.0.0.0:2375 without encryption."]}}),
        ("registries", {"info": {"RegistryConfig": {"IndexConfigs": {}, "InsecureRegistryCIDRs": ["10.0.0.0/8"]}}}),
        ("registries", {"info": {"RegistryConfig": {"IndexConfigs": {"r:5000": {"Secure": False}}, "InsecureRegistryCIDRs": []}}}),
        ("files", {"others": (reading("socket", mode="0666", uid=0),)}),
        ("files", {"others": (reading("settings", "{}", mode="0664", uid=0),)}),
        ("files", {"others": (reading("folder", mode="0755", uid=1000),)}),
        ("icc", {"others": (reading("bridge", '{"Options": {}}'),)}),
        ("iptables", {"arguments": ARGUMENTS + "--iptables=false\0"}),
        ("live-restore", {"info": {"LiveRestoreEnabled": False}}),
        ("userland-proxy", {"settings": {"userland-proxy": True}}),
        ("logging", {"info": {"LoggingDriver": "none"}}),
        ("experimental", {"info": {"ExperimentalBuild": True}}),
        ("debug", {"info": {"Debug": True}}),
        ("swarm", {"info": {"Swarm": "active"}}),
        ("storage", {"info": {"Driver": "devicemapper"}}),
        ("ulimits", {"settings": {"default-ulimits": {}}}),
    ],
)  # fmt: skip
def test_each_rule_that_is_broken(rule: str, changed: dict[str, Any]) -> None:
    found = docker(rules=(rule,), **changed)
    assert found.status is Status.FAIL
    assert found.reason.endswith(f"({rule})")
    assert docker(excused=(rule,), rules=(rule, "storage" if rule != "storage" else "debug"), **changed).status is Status.PASS  # fmt: skip


def test_tcp_to_clients_with_a_certificate_passes() -> None:
    arguments = ARGUMENTS + "-H\0tcp://0.0.0.0:2376\0--tlsverify\0"
    assert docker(arguments=arguments).status is Status.PASS


def test_many_reasons_are_one_sentence() -> None:
    found = docker(
        info={
            "Debug": True,
            "Swarm": "active",
            "ExperimentalBuild": True,
            "Driver": "aufs",
            "LoggingDriver": "none",
        }
    )
    assert found.reason.endswith("; and 1 more")


def test_podman_has_no_daemon() -> None:
    readings = (
        reading("engine", '{"name": "podman", "version": "4.3.1"}'),
        reading("info", json.dumps({**INFO, "LoggingDriver": ""})),
        reading(
            "podman", json.dumps({"logDriver": "k8s-file", "registries": {"search": ["docker.io"]}})
        ),
        reading("socket", mode="0600", uid=0),
    )
    found = judged(KIND, *readings)
    assert found.status is Status.PASS
    assert found.reason.startswith("not on Podman: no-new-privileges, ")
    assert judged(KIND, *readings, rules=("icc", "live-restore")).status is Status.NOT_APPLICABLE
    insecure = reading(
        "podman",
        json.dumps({"logDriver": "k8s-file", "registries": {"r:5000": {"Insecure": True}}}),
    )
    assert judged(KIND, *readings[:2], insecure, readings[3]).status is Status.FAIL


def test_no_engine_and_one_that_does_not_answer() -> None:
    assert judged(KIND, missing("engine")).status is Status.NOT_APPLICABLE
    silent = reading("engine", trouble=Trouble.FAILED, errors="the engine does not answer")
    assert judged(KIND, silent).status is Status.ERROR


@pytest.mark.parametrize(
    "others",
    [
        (reading("info", "gibberish"),),
        (reading("info", "{}"),),
        (reading("engine", "gibberish"),),
        (reading("bridge", "gibberish"),),
        (reading("settings", "gibberish", mode="0644", uid=0),),
        (reading("arguments", "/usr/bin/somethingelse\0"),),
        (missing("arguments"),),
        (missing("socket"),),
        (reading("socket", mode="gibberish", uid=0),),
    ],
)
def test_what_is_not_understood_is_no_pass(others: tuple[Reading, ...]) -> None:
    assert docker(others=others).status is Status.ERROR


@pytest.mark.parametrize("key", sorted(INFO))
def test_an_info_without_a_word_is_no_pass(key: str) -> None:
    info = reading("info", json.dumps({name: one for name, one in INFO.items() if name != key}))
    if key != "RegistryConfig":
        assert docker(others=(info,)).status is Status.ERROR
    changed = reading("info", json.dumps({**INFO, key: 7}))
    assert docker(others=(changed,)).status is not Status.NOT_APPLICABLE


def test_a_rule_that_is_not_known() -> None:
    assert docker(rules=("icc", "magic")).status is Status.ERROR
    assert docker(excused=("magic",)).status is Status.ERROR


@given(
    looks_of(("engine", "info", "bridge", "settings", "folder", "arguments", "socket", "podman"))
)
def test_nonsense_never_passes(readings: tuple[Reading, ...]) -> None:
    assert judged(KIND, *readings).status is not Status.PASS


@given(looks_of(("bridge", "settings", "arguments", "socket", "folder")))
def test_nonsense_beside_an_engine_never_passes(readings: tuple[Reading, ...]) -> None:
    found = docker(others=readings)
    if {"settings", "arguments"} <= {each.name for each in readings}:
        assert found.status is not Status.PASS
