"""What an engine is given beyond the spec, and what it can't do."""

from __future__ import annotations

import errno
import resource
from pathlib import Path
from typing import Any

import pytest

from hullmark.engine import abilities, docker_api, limits
from hullmark.engine.connection import refuse_old
from hullmark.engine.protocol import EngineInfo
from hullmark.errors import EngineUnavailable, Refused
from hullmark.model.app import Attachment, ContainerSpec

NONE = resource.RLIM_INFINITY


def lacking(engine: str, v2: bool = False, **changes: Any) -> list[str]:
    return list(abilities.lacking(ContainerSpec("web", **changes), engine, cgroups_v2=v2))


def test_docker_can_all() -> None:
    assert lacking("docker", domainname="x", cgroup="private") == []
    abilities.check(ContainerSpec("web", domainname="x"), "docker")


def test_what_podman_leaves_out_is_named() -> None:
    assert lacking("podman") == lacking("podman", cgroup="host") == []
    assert lacking("podman", v2=True, cgroup="private") == []
    assert [
        text.partition(":")[0] for text in lacking("podman", domainname="x", cgroup="private")
    ] == [
        "domainname",
        "cgroup private",
    ]
    with pytest.raises(Refused, match="domainname") as raised:
        abilities.check(ContainerSpec("web", domainname="x"), "podman")
    assert raised.value.remedy


def test_name_servers_beside_those_of_a_network() -> None:
    places = (Attachment("front"),)
    assert lacking("podman", dns=("192.0.2.1",)) == []
    assert lacking("docker", dns=("192.0.2.1",), networks=places) == []
    assert len(lacking("podman", dns=("192.0.2.1",), networks=places)) == 1


def test_platforms() -> None:
    image = {"Os": "linux", "Architecture": "arm64"}
    for platform in ("", "linux/arm64", "linux/arm64/v8"):
        abilities.check_platform(ContainerSpec("web", platform=platform), image)
    with pytest.raises(Refused, match="is of platform linux/arm64, not linux/amd64"):
        abilities.check_platform(ContainerSpec("web", platform="linux/amd64"), image)


@pytest.mark.parametrize(
    ("files", "processes", "pid_max", "expected"),
    [
        (100, 200, 150, {"nofile": (100, 100), "nproc": (150, 150)}),
        (100, 200, 500, {"nofile": (100, 100), "nproc": (200, 200)}),
        (NONE, NONE, 500, {"nofile": (-1, -1), "nproc": (500, 500)}),
        (NONE, NONE, 0, {"nofile": (-1, -1), "nproc": (-1, -1)}),
    ],
)
def test_limits(files: int, processes: int, pid_max: int, expected: dict[str, Any]) -> None:
    assert limits.bounded(files, processes, pid_max) == expected


def test_limits_are_for_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.defaults("docker") == {}
    monkeypatch.setattr(limits, "PID_MAX", tmp_path / "absent")
    assert set(limits.defaults("podman")) == {"nofile", "nproc"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("podman", "3.4.4"),
        ("podman", "3.99"),
        ("docker", "19.03.15"),
        ("docker", "20.9"),
        ("docker", "0.12.0"),
    ],
)
def test_an_engine_that_is_too_old_is_as_good_as_none(name: str, found: str) -> None:
    with pytest.raises(EngineUnavailable) as raised:
        refuse_old(EngineInfo(name, found, "unix:///x"))
    assert raised.value.message == (
        f"the engine at unix:///x is too old: {name} {found}, and containers need "
        "Docker 20.10 or later, or Podman 4.0 or later"
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        *(("podman", "4.0.0-rc1"), ("podman", "5.7"), ("podman", "")),
        *(("docker", "20.10.5+dfsg1"), ("docker", "29.1.3"), ("docker", "dev")),
        *(("docker", "0.0.0-20240612093117-dc5ba58"), ("docker", "0.0.0-dev"), ("podman", "0.0.0")),
    ],
)
def test_one_that_is_new_enough_or_does_not_say_is_taken(name: str, found: str) -> None:
    refuse_old(EngineInfo(name, found, "unix:///x"))


def test_an_engine_is_found_by_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "SOCKETS", (str(tmp_path / "docker.sock"),))
    assert docker_api.find_engine("unix:///else") == "unix:///else"
    (tmp_path / "docker.sock").touch()
    with pytest.raises(EngineUnavailable, match="no container engine found") as raised:
        docker_api.find_engine()
    assert "engine.socket" in raised.value.remedy
    monkeypatch.setattr(Path, "is_socket", lambda self: self.name == "docker.sock")
    assert docker_api.find_engine() == f"unix://{tmp_path}/docker.sock"


def test_a_socket_that_this_user_may_not_look_for_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "podman" / "podman.sock"
    monkeypatch.setattr(docker_api, "SOCKETS", (str(hidden),))

    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_socket", refused)
    with pytest.raises(EngineUnavailable, match=f"{hidden} .*Permission denied") as raised:
        docker_api.find_engine()
    assert raised.value.remedy == "run it as root"
