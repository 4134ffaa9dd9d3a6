"""What engine and kernel say of containers: hardened, unchanged, and not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from hullmark.model.checkkinds.containers import KINDS, RULES
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import judged, looks_of, missing, reading

ENGINE = reading("engine", '{"name": "docker", "version": "20.10"}')
SECURITY = reading("security", '["name=seccomp,profile=default", "name=apparmor"]')
DIGEST = "sha256:" + "ab" * 32
HOST: dict[str, Any] = {
    "Privileged": False,
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges:true"],
    "CapAdd": None,
    "CapDrop": ["ALL"],
    "Devices": None,
    "PidMode": "",
    "NetworkMode": "shop",
    "Memory": 64 << 20,
    "PidsLimit": 50,
    "NanoCpus": 500_000_000,
}
VOLUME = {
    "Type": "volume",
    "Source": "/var/lib/docker/volumes/x",
    "Destination": "/data",
    "RW": True,
}
STATUS = (
    "State:\tS (sleeping)\nUid:\t1000\t1000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2"
)


def container(prefix: str = "container", host: Any = None, **changed: Any) -> Reading:
    said = {
        "image": f"shop/web@{DIGEST}",
        "image_id": "sha256:1",
        "user": "1000",
        "apparmor": "docker-default",
        "host": {**HOST, **(host or {})},
        "mounts": [VOLUME],
        **changed,
    }
    return reading(f"{prefix}:web", json.dumps(said))


def settings(*readings: Reading, **changed: Any) -> Finding:
    return judged(
        "containers.settings", ENGINE, SECURITY, *readings, **{"rules": tuple(RULES), **changed}
    )


def test_hardened_containers_and_none() -> None:
    assert (settings(container()).status, settings(container()).level) == (Status.PASS, 2)
    assert settings().status is Status.PASS


def bind(source: str, **more: Any) -> dict[str, Any]:
    return {
        "mounts": [{"Type": "bind", "Source": source, "Destination": "/x", "RW": False, **more}]
    }


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("privileged", {"host": {"Privileged": True}}),
        ("namespaces", {"host": {"PidMode": "host"}}),
        ("namespaces", {"host": {"NetworkMode": "host"}}),
        ("namespaces", {"host": {"UsernsMode": "host"}}),
        ("capabilities", {"host": {"CapAdd": ["CAP_SYS_ADMIN"]}}),
        ("devices", {"host": {"Devices": [{"PathOnHost": "/dev/kmsg"}]}}),
        ("unconfined", {"host": {"SecurityOpt": ["seccomp=unconfined"]}}),
        ("unconfined", {"host": {"SecurityOpt": ["apparmor:unconfined"]}}),
        ("unconfined", {"apparmor": "unconfined"}),
        ("engine-socket", bind("/var/run/docker.sock")),
        ("engine-socket", bind("/run/podman/podman.sock")),
        ("host-paths", bind("/etc/")),
        ("host-paths", bind("/")),
        ("host-paths", bind("/var/lib/containerd")),
        ("propagation", bind("/srv/x", Propagation="rshared")),
        ("no-new-privileges", {"host": {"SecurityOpt": None}}),
        ("no-new-privileges", {"host": {"SecurityOpt": ["no-new-privileges:false"]}}),
        ("root", {"user": ""}),
        ("root", {"user": "0:1000"}),
        ("writable-root", {"host": {"ReadonlyRootfs": False}}),
        ("memory", {"host": {"Memory": 0}}),
        ("pids", {"host": {"PidsLimit": None}}),
        ("pids", {"host": {"PidsLimit": -1}}),
        ("cpu", {"host": {"NanoCpus": 0}}),
    ],
)
def test_each_rule_that_is_broken(rule: str, changed: dict[str, Any]) -> None:
    found = settings(container(**changed), rules=(rule,))
    assert found.status is Status.FAIL
    assert found.reason.startswith("web ")
    assert found.reason.endswith(f"({rule})")
    excused = {"except": (f"we* {rule}",)}
    assert settings(container(**changed), rules=(rule,), **excused).status is Status.PASS
    other = {"except": (f"db {rule}", "web other")}
    assert settings(container(**changed), rules=(rule,), **other).status is Status.FAIL


def drift(*readings: Reading, **changed: Any) -> Finding:
    found = {
        each.name: each
        for each in (
            ENGINE,
            SECURITY,
            container(),
            reading("status:web", STATUS),
            reading("memory:web", f"{64 << 20}\n"),
            reading("pids:web", "50\n"),
            reading("image:web", json.dumps({"digests": [f"shop/web@{DIGEST}"], "id": "sha256:1"})),
            *readings,
        )
    }
    return judged("containers.drift", *found.values(), **changed)


def test_a_container_as_it_was_made() -> None:
    assert (drift().status, drift().level) == (Status.PASS, 2)
    assert drift(container("first")).status is Status.PASS


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        ((container("first", host={"Memory": 32 << 20}),), "web: Memory: 33554432 at first, 67108864 now"),
        ((container("first", host={"PidsLimit": None}),), "web: PidsLimit: none at first, 50 now"),
        ((container("first", mounts=[]),), "web: mounts: otherwise than at first"),
        ((container("first", image_id="sha256:2"),), "web: image_id: otherwise than at first"),
        ((reading("status:web", STATUS.replace("CapBnd:\t00000000", "CapBnd:\t00000020").replace("0000002000000000", "0000000000200000")),), "web: capabilities: its process has SYS_ADMIN besides"),
        ((reading("status:web", STATUS.replace("Seccomp:\t2", "Seccomp:\t0")),), "web: seccomp: its process has no filter"),
        ((reading("status:web", STATUS.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0")),), "web: no-new-privileges: its process can gain them"),
        ((reading("status:web", STATUS.replace("1000", "0")),), "web: user: its process is root's, and should be 1000's"),
        ((reading("memory:web", "max\n"),), "web: memory: the kernel's limit is max, and should be 67108864"),
        ((reading("memory:web", "999999999\n"),), "web: memory: the kernel's limit is 999999999"),
        ((reading("pids:web", "51\n"),), "web: pids: the kernel's limit is 51, and should be 50"),
        ((reading("image:web", '{"digests": ["shop/web@sha256:00"]}'),), "web: image: it is not sha256:abababababab..."),
    ],
)  # fmt: skip
def test_a_container_that_drifted(readings: tuple[Reading, ...], reason: str) -> None:
    found = drift(*readings)
    assert found.status is Status.FAIL, found
    assert found.reason.startswith(reason)
    excused = "web " + reason.split(": ")[1]
    assert drift(*readings, **{"except": (excused,)}).status is Status.PASS


MADE = {"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 50, "ReadonlyRootfs": True}


def made(**changed: Any) -> str:
    return json.dumps({**MADE, "User": "1000", "Mounts": [["/srv/x/", "/x"]], **changed})


def test_a_container_as_its_label_says() -> None:
    assert drift(container(made=made())).status is Status.PASS
    assert drift(container(made=made(), **bind("/srv/x"))).status is Status.PASS
    unsaid = {key: one for key, one in MADE.items() if key != "PidsLimit"}
    label = json.dumps({**unsaid, "User": "", "Mounts": []})
    assert drift(container(made=label)).status is Status.PASS  # Podman's own limit


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"made": made(Memory=1)}, "Memory: made with 1, 67108864 now"),
        ({"made": made(), "host": {"Memory": 0}}, "Memory: made with 67108864, none now"),
        ({"made": made(), "host": {"PidsLimit": 0}}, "PidsLimit: made with 50, none now"),
        ({"made": made(), "host": {"Privileged": True}}, "Privileged: made with none, True now"),
        (
            {"made": made(), "host": {"ReadonlyRootfs": False}},
            "ReadonlyRootfs: made with True, none now",
        ),
        ({"made": made(), "host": {"PidMode": "host"}}, "PidMode: made with none, host now"),
        ({"made": made(), "host": {"CapAdd": ["CAP_BPF"]}}, "CapAdd: BPF besides"),
        ({"made": made(), "user": "0"}, "user: made with 1000, 0 now"),
        ({"made": made(), **bind("/etc")}, "mounts: /etc besides"),
        ({"made": "gibberish"}, "settings: its label says not in a known form"),
        ({"made": "[]"}, "settings: its label says not in a known form"),
        ({"made": json.dumps({"User": "", "Mounts": [7]})}, "settings: its label"),
    ],
)
def test_a_container_that_is_not_what_its_label_says(changed: dict[str, Any], reason: str) -> None:
    found = drift(container(**changed))
    assert found.status is Status.FAIL
    assert found.reason.startswith(f"web: {reason}"), found


def test_capabilities_by_docker_and_by_podman() -> None:
    usual = reading("status:web", STATUS.replace("0000000000000000", "00000000a80425fb"))
    plain = container(host={"CapDrop": None})
    assert drift(plain, usual).status is Status.PASS
    assert drift(usual).status is Status.FAIL
    told = container(bounding=["CAP_NET_RAW", "CAP_KILL"])
    assert (
        drift(told, reading("status:web", STATUS.replace("00\nNo", "20\nNo"))).status is Status.PASS
    )
    assert drift(told, usual).status is Status.FAIL
    every = reading("status:web", STATUS.replace("0000000000000000", "000001ffffffffff"))
    assert drift(container(host={"Privileged": True}), every).status is Status.PASS
    assert drift(container(host={"CapAdd": ["ALL"], "CapDrop": None}), every).status is Status.PASS


def test_what_ended_meanwhile_is_nothing() -> None:
    gone = (missing("status:web"), missing("memory:web"), missing("pids:web"), missing("image:web"))
    assert drift(*gone).status is Status.PASS
    assert drift(reading("status:web", "State:\tZ (zombie)")).status is Status.PASS


@pytest.mark.parametrize(
    "garbled",
    [
        *(reading(name, "gibberish") for name in ("engine", "security", "container:web")),
        *(reading(name, "gibberish") for name in ("first:web", "status:web", "memory:web")),
        *(reading(name, "gibberish") for name in ("pids:web", "image:web")),
        reading("status:web", trouble=Trouble.DENIED),
        reading("container:web", '{"host": {}, "mounts": []}'),
    ],
)
def test_drift_garbled(garbled: Reading) -> None:
    assert drift(garbled).status is Status.ERROR
    if garbled.name in ("engine", "security", "container:web"):
        found = {one.name: one for one in (ENGINE, SECURITY, container(), garbled)}
        assert judged("containers.settings", *found.values()).status is Status.ERROR


def changes(*executables: dict[str, Any], changed: int = 3, looked: int = 3) -> Reading:
    said = {"changed": changed, "looked": looked, "executables": list(executables)}
    return replace(reading("changes:web", json.dumps(said)), cut=looked < changed)


def files(*readings: Reading, **changed: Any) -> Finding:
    return judged("containers.files", ENGINE, *readings, **changed)


def test_executables_are_the_images() -> None:
    assert (files(changes()).status, files(changes()).level) == (Status.PASS, 2)


def test_executables_that_changed() -> None:
    evil = {"path": "/tmp/evil", "kind": 1, "mode": "4755", "size": 9}
    found = files(changes(evil, {"path": "/bin/sh", "kind": 0, "mode": "0755"}))
    assert found.status is Status.FAIL
    assert found.reason == "web: /tmp/evil was added, mode 4755; web: /bin/sh was changed"
    assert files(changes(evil), **{"except": ("web /tmp/*",)}).status is Status.PASS


def test_an_empty_file_is_no_executable() -> None:
    """Docker makes one in each container that has `init: true`, to mount its own there."""
    init = {"path": "/sbin/docker-init", "kind": 1, "mode": "0755", "size": 0}
    assert files(changes(init)).status is Status.PASS
    assert files(changes({**init, "size": 1})).status is Status.FAIL
    assert files(changes({**init, "size": None})).status is Status.FAIL
    assert files(changes({**init, "size": "0"})).status is Status.FAIL


def test_more_changes_than_are_looked_at_are_no_pass() -> None:
    found = files(changes(changed=900, looked=200))
    assert (found.status, found.reason) == (Status.ERROR, "web: 900 files changed, 200 looked at")


@pytest.mark.parametrize(
    "text", ["gibberish", "[]", '{"changed": 1, "looked": 1, "executables": [7]}']
)
def test_changes_garbled(text: str) -> None:
    assert files(reading("changes:web", text)).status is Status.ERROR


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_engine_and_one_that_does_not_answer(kind: str) -> None:
    assert judged(kind, missing("engine")).status is Status.NOT_APPLICABLE
    assert judged(kind, reading("engine", trouble=Trouble.FAILED)).status is Status.ERROR


NAMES = (
    "engine",
    "security",
    "container:web",
    "first:web",
    "status:web",
    "memory:web",
    "changes:web",
)


@given(looks_of(NAMES))
def test_nonsense_never_passes(readings: tuple[Reading, ...]) -> None:
    for kind in KINDS:
        assert judged(kind, *readings).status is not Status.PASS


@given(looks_of(("first:web", "status:web", "image:web")))
def test_nonsense_of_a_container_passes_only_where_it_is_gone(
    readings: tuple[Reading, ...],
) -> None:
    found = drift(*readings)
    gone = all(each.trouble is Trouble.MISSING for each in readings)
    assert gone or found.status is not Status.PASS
