from __future__ import annotations

import json

import docker.errors
import pytest
import requests
import urllib3.exceptions

from hullmark.engine import boundary
from hullmark.errors import Conflict, EngineUnavailable, NotFound, Refused

SOCKET = "unix:///run/docker.sock"


def answer(status: int, body: bytes = b"") -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.reason = "Because"
    made._content = body
    return made


@pytest.mark.parametrize("status", [200, 201, 204, 304])
def test_a_good_answer(status: int) -> None:
    assert boundary.checked(answer(status)).status_code == status


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No such container", NotFound),
        (500, "container 77 does not exist in database: no such container", NotFound),
        (409, "removal in progress", Conflict),
        (400, "bad parameter", Refused),
        (500, "no space left on device", Refused),
        (500, "the container name x is already in use by y", Conflict),
        (500, "running or paused containers cannot be removed without force", Conflict),
    ],
)
def test_a_no_in_the_engines_own_words(status: int, message: str, kind: type[Refused]) -> None:
    with pytest.raises(Refused) as raised:
        boundary.checked(answer(status, json.dumps({"message": message}).encode()))
    assert type(raised.value) is kind
    assert raised.value.message == message


@pytest.mark.parametrize(
    "said",
    [
        "no available IPv4 addresses on this network's address pools: x",
        "IPAM error: failed to find free IP in range: 10.213.0.1 - 10.213.0.126",
    ],
)
def test_a_network_without_room_names_the_key_that_gives_it_more(said: str) -> None:
    with pytest.raises(Refused, match=r"engine\.subnet_prefix"):
        boundary.checked(answer(500, json.dumps({"message": said}).encode()))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"plain words\n", "plain words"),
        (b'{"cause": "x"}', '{"cause": "x"}'),
        (b"[1]", "[1]"),
        (b"", "status 500 Because"),
    ],
)
def test_a_no_in_other_forms(body: bytes, said: str) -> None:
    with pytest.raises(Refused) as raised:
        boundary.checked(answer(500, body))
    assert raised.value.message == said


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("refused"), EngineUnavailable),
        (requests.exceptions.ChunkedEncodingError("broken"), EngineUnavailable),
        (urllib3.exceptions.ProtocolError("broken"), EngineUnavailable),
        (docker.errors.DockerException("no version"), EngineUnavailable),
        (ConnectionResetError("reset"), EngineUnavailable),
        (ValueError("not json"), EngineUnavailable),
        (requests.ReadTimeout("slow"), boundary.EngineSilent),
        (BlockingIOError("the queue for connections is full"), boundary.EngineSilent),
        (
            requests.ConnectionError(
                urllib3.exceptions.ReadTimeoutError(None, "/x", "slow")  # type: ignore[arg-type]
            ),
            boundary.EngineSilent,
        ),
    ],
)
def test_no_answer(error: Exception, kind: type[EngineUnavailable]) -> None:
    with pytest.raises(EngineUnavailable, match=SOCKET) as raised, boundary.translated(SOCKET):
        raise error
    assert type(raised.value) is kind
    assert raised.value.__cause__ is error
    start = "start it: systemctl start docker, or: service docker start, or start dockerd"
    if kind is EngineUnavailable:
        assert raised.value.remedy == start
    else:
        assert raised.value.remedy.startswith("it may only be busy: see its log")


def test_our_own_errors_pass() -> None:
    with pytest.raises(Conflict, match="as it is"), boundary.translated(SOCKET):
        raise Conflict("as it is")


def test_what_to_do_about_it() -> None:
    with pytest.raises(EngineUnavailable) as raised, boundary.translated("unix:///run/podman/x"):
        raise requests.ConnectionError("gone")
    assert raised.value.remedy.startswith("start it: systemctl start podman.socket, or without")
    assert "podman system service -t 0 unix://" in raised.value.remedy
    with pytest.raises(EngineUnavailable) as raised, boundary.translated(SOCKET):
        raise requests.ConnectionError("x") from PermissionError(13, "Permission denied")
    assert "has to run as root" in raised.value.remedy
    assert "Permission denied" in raised.value.message
