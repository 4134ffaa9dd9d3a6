from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from hullmark.engine import images
from hullmark.engine.credentials import Credential
from hullmark.errors import ImageUnavailable, Refused
from hullmark.model.reference import parse

REFERENCE = parse("reg.example.com/team/web:1")
LOGIN = Credential("reg.example.com", "deploy", "pw+/?", "/etc/x.yaml", 0.0)


def follow(*lines: Any) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    images.follow([data], lambda done, total: seen.append((done, total)))
    return seen


def loading(layer: str, current: int, total: int) -> dict[str, Any]:
    return {
        "status": "Downloading",
        "id": layer,
        "progressDetail": {"current": current, "total": total},
    }


def test_progress_is_of_all_layers() -> None:
    assert follow(
        {"status": "Pulling from team/web", "id": "1"},
        loading("a", 1, 10),
        loading("b", 5, 20),
        loading("a", 10, 10),
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 99}},
        {"status": "Download complete", "progressDetail": {}, "id": "b"},
    ) == [(1, 10), (6, 30), (15, 30)]


@pytest.mark.parametrize(
    "line",
    [
        {"error": "manifest unknown"},
        {"errorDetail": {"message": "manifest unknown"}},
        {"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"},
    ],
)
def test_an_error_in_the_course_of_a_pull(line: dict[str, Any]) -> None:
    with pytest.raises(images.PullFailed, match="manifest unknown"):
        follow({"status": "Pulling"}, line)


def test_lines_that_are_none() -> None:
    seen: list[tuple[int, int]] = []
    good = json.dumps(loading("a", 1, 10)).encode()
    data = [b"\n\nnot json\n", good + b"\n"]
    images.follow(data, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 10)]


@pytest.mark.parametrize("error", [images.PullFailed("why"), Refused("why")])
def test_errors_name_registry_and_credential(error: Exception) -> None:
    named = images.named(REFERENCE, REFERENCE.pinned(""), LOGIN, 3 * 86400.0)
    with pytest.raises(ImageUnavailable) as raised, named:
        raise error
    assert raised.value.message == (
        "reg.example.com/team/web:1 from registry reg.example.com"
        " (user deploy from /etc/x.yaml, 3 d old): why"
    )
    named = images.named(REFERENCE, "x", None, 0.0)
    with pytest.raises(ImageUnavailable, match=r"\(no credential\): why"), named:
        raise error


def test_local_names_are_not_pulled() -> None:
    local = parse("localhost/web:1")
    named = images.named(local, local.pinned(""), None, 0.0)
    with pytest.raises(ImageUnavailable, match="never pulled"), named:
        pytest.fail("begun")


def test_login() -> None:
    known = {"username": "deploy", "password": "pw+/?"}
    assert json.loads(base64.urlsafe_b64decode(images._login(LOGIN))) == known
    assert json.loads(base64.urlsafe_b64decode(images._login(None))) == {}


@pytest.mark.parametrize(
    ("config", "ports"),
    [
        (
            {"ExposedPorts": {"443/tcp": {}, "80/tcp": {}, "53/udp": {}}},
            ("53/udp", "80/tcp", "443/tcp"),
        ),
        ({"ExposedPorts": {"80": {}}}, ("80/tcp",)),
        (
            {
                "ExposedPorts": {
                    "0/tcp": {},
                    "70000/tcp": {},
                    "80/icmp": {},
                    "a b": {},
                    "08/tcp": {},
                }
            },
            (),
        ),
        ({"ExposedPorts": None}, ()),
        ({"ExposedPorts": ["80/tcp"]}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_what_an_image_exposes(config: Any, ports: tuple[str, ...]) -> None:
    assert images.exposed_ports(config) == ports


def test_an_image_does_not_expose_without_end() -> None:
    many: dict[str, dict[str, str]] = {f"{port}/tcp": {} for port in range(1, 5000)}
    assert len(images.exposed_ports({"ExposedPorts": many})) == images.EXPOSED_MOST
