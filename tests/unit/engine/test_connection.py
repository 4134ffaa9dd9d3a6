"""How an engine is known, by a server at a socket that answers as one would."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Optional

import pytest

from hullmark.engine.connection import Connection
from hullmark.errors import EngineUnavailable

PODMAN = {"Server": "Libpod/4.3.1 (linux)", "Api-Version": "1.41"}
DOCKER = {"Server": "Docker/20.10.24+dfsg1 (linux)", "Api-Version": "1.41"}


def version(*components: str, number: str = "20.10.24") -> dict[str, Any]:
    named = [{"Name": name} for name in components]
    return {"Version": number, "ApiVersion": "1.41", "Components": named}


class Answering(BaseHTTPRequestHandler):
    headers_of_all: ClassVar[Mapping[str, str]] = {}
    told: ClassVar[Optional[object]] = None
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        is_told = self.path == "/version" and self.told is not None
        body = json.dumps(self.told).encode() if is_told else b"[]"
        self.send_response_only(404 if self.path == "/version" and not is_told else 200)
        for name, value in self.headers_of_all.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """It has no address that could be named."""


@contextlib.contextmanager
def engine(
    folder: Path, headers: Mapping[str, str], told: Optional[object]
) -> Iterator[tuple[Connection, list[str]]]:
    """A connection to it, and the paths that it was asked for."""
    asked: list[str] = []
    kind = type("Kind", (Answering,), {"headers_of_all": headers, "told": told, "asked": asked})
    path = folder / "engine.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        connection = Connection(f"unix://{path}")
        try:
            yield connection, asked
        finally:
            connection.close()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("headers", "told", "name", "number"),
    [
        (PODMAN, None, "podman", "4.3.1"),
        (DOCKER, None, "docker", "20.10.24+dfsg1"),
        ({}, version("Podman Engine", "Conmon", number="4.3.1"), "podman", "4.3.1"),
        ({}, version("Engine", "containerd"), "docker", "20.10.24"),
        ({"Server": "nginx/1.22 (linux)"}, version(), "docker", "20.10.24"),
        ({"Server": "Libpod/4.3.1"}, version("Podman Engine", number="4.4"), "podman", "4.4"),
    ],
)
@pytest.mark.parametrize("systemd", [True, False])
def test_which_engine_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    headers: Mapping[str, str],
    told: Optional[object],
    name: str,
    number: str,
    systemd: bool,
) -> None:
    folder = tmp_path / "system"
    if systemd:
        folder.mkdir()
    monkeypatch.setattr("hullmark.engine.connection.SYSTEMD", folder)
    with engine(tmp_path, headers, told) as (connection, asked):
        info = connection.info()
        assert (info.name, info.version) == (name, number)
        assert info.runs_health_checks == (systemd or name == "docker")
        assert connection.get("/containers/json") == []
    first = ["/_ping"] if told is None else ["/_ping", "/version"]
    assert asked == [*first, "/v1.41/containers/json"], "asked once, and by its own version then"


@pytest.mark.parametrize("told", [None, [], {"Version": "1"}, "1.41"])
def test_what_does_not_say_which_engine_it_is_is_none(tmp_path: Path, told: object) -> None:
    with engine(tmp_path, {"Server": "nginx/1.22"}, told) as (connection, asked):
        with pytest.raises(EngineUnavailable, match="does not answer"):
            connection.info()
        assert asked == ["/_ping", "/version"]


def test_no_call_reaches_one_that_is_too_old(tmp_path: Path) -> None:
    headers = {"Server": "Libpod/3.4.4 (linux)", "Api-Version": "1.40"}
    with engine(tmp_path, headers, None) as (connection, asked):
        with pytest.raises(EngineUnavailable, match=r"too old: podman 3\.4\.4"):
            connection.get("/containers/json")
        assert asked == ["/_ping"]
