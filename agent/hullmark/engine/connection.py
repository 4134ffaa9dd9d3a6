"""The connection to an engine: calls of its HTTP API. The Docker SDK brings the socket, the version and the errors."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

import requests
from docker.api.client import APIClient

from hullmark.engine.boundary import checked, translated
from hullmark.engine.protocol import EngineInfo
from hullmark.errors import EngineUnavailable

CALL_TIMEOUT_S = 60.0
ANY_API = "1.40"
"""Of a client for what has no version in its path."""
OLDEST = {"docker": (20, 10), "podman": (4, 0)}
"""Podman 3.4 takes an app's network, and then starts no container on it."""
_NAMES = {"Docker": "docker", "Libpod": "podman"}
_SERVER = re.compile(r"(Docker|Libpod)/(\S+)")
SYSTEMD = Path("/run/systemd/system")
"""There where systemd is the init system: sd_booted(3)."""


class Stream:
    """An answer that goes on. `cut` may be called from any thread, and ends what blocks in `chunks`."""

    def __init__(self, answer: requests.Response, socket_url: str) -> None:
        self._answer = answer
        self._socket_url = socket_url
        # Closing a socket doesn't wake who reads from it; shutting it down does, also by a copy of its number.
        self._socket = socket.socket(fileno=os.dup(answer.raw.fileno()))
        self.was_cut = False

    def chunks(self) -> Iterator[bytes]:
        """As they come. Ends quietly after a cut; raises EngineUnavailable where the answer breaks off."""
        try:
            with translated(self._socket_url):
                yield from self._answer.iter_content(None)
        except EngineUnavailable:
            if not self.was_cut:
                raise

    def read(self, most: int) -> bytes:
        """As many bytes, of an answer without a length; fewer only where it ends, or was cut."""
        try:
            with translated(self._socket_url):
                return bytes(self._answer.raw.read(most))
        except EngineUnavailable:
            if not self.was_cut:
                raise
            return b""

    def cut(self) -> None:
        self.was_cut = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """By the thread that reads, when it is done."""
        self._socket.close()
        self._answer.close()


class Connection:
    """May be used from any thread. Nothing is contacted before the first call; an engine that went away is
    asked for its version again, as another one may answer at the same socket.

    Every call raises EngineUnavailable where no answer came, and NotFound, Conflict or Refused for a "no"."""

    def __init__(self, socket_url: str) -> None:
        self.socket_url = socket_url
        self._lock = threading.Lock()
        self._connected: Optional[tuple[APIClient, EngineInfo]] = None
        self._streams: set[Stream] = set()

    def info(self) -> EngineInfo:
        return self._connect()[1]

    def ping(self, timeout_s: int) -> None:
        """By a connection of its own, whatever the others wait for."""
        with translated(self.socket_url):
            client = APIClient(self.socket_url, version=ANY_API, timeout=timeout_s)
            try:
                client.ping()
            finally:
                client.close()

    def close(self) -> None:
        """Ends streams in other threads too. The connection may be used again afterwards."""
        for stream in list(self._streams):
            stream.cut()
        with self._lock:
            connected, self._connected = self._connected, None
        if connected:
            connected[0].close()

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON value of the answer."""
        answer = self.call("GET", path, parameters)
        with translated(self.socket_url):
            return answer.json()

    def post(self, path: str, body: Optional[Mapping[str, Any]] = None, **parameters: Any) -> Any:
        """The JSON value of the answer, None where it has none."""
        answer = self.call("POST", path, parameters, body=body)
        with translated(self.socket_url):
            return answer.json() if answer.content.startswith(b"{") else None

    def delete(self, path: str, **parameters: Any) -> None:
        self.call("DELETE", path, parameters)

    def call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        *,
        body: Optional[Mapping[str, Any]] = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> requests.Response:
        """`path` without the API's version."""
        return self._request(method, path, params=parameters, json=body, timeout=timeout_s)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        *,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Mapping[str, Any]] = None,
        silence_s: Optional[float] = None,
    ) -> Iterator[Stream]:
        """`silence_s`: raise EngineSilent when nothing comes for so long; None waits for good."""
        answer = self._request(
            method,
            path,
            params=parameters,
            headers=dict(headers or {}),
            json=body,
            stream=True,
            timeout=(CALL_TIMEOUT_S, silence_s),
        )
        stream = Stream(answer, self.socket_url)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            stream.close()

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        client = self._connect()[0]
        # Podman's own API has a version of its own in its paths.
        version = "" if path.startswith("/v") else f"/v{client.api_version}"
        try:
            with translated(self.socket_url):
                answer = client.request(method, f"{client.base_url}{version}{path}", **options)
        except EngineUnavailable:
            self._forget(client)
            raise
        return checked(answer)

    def _forget(self, client: APIClient) -> None:
        with self._lock:
            if self._connected and self._connected[0] is client:
                self._connected = None

    def _connect(self) -> tuple[APIClient, EngineInfo]:
        with self._lock:
            if self._connected is None:
                with translated(self.socket_url):
                    api, info = self._asked()
                refuse_old(info)
                with translated(self.socket_url):
                    client = APIClient(self.socket_url, version=api, timeout=int(CALL_TIMEOUT_S))
                self._connected = client, info
            return self._connected

    def _asked(self) -> tuple[str, EngineInfo]:
        """The version of its API, and which engine it is."""
        asking = APIClient(self.socket_url, version=ANY_API, timeout=int(CALL_TIMEOUT_S))
        with contextlib.closing(asking):
            ping, told = (f"{asking.base_url}/{name}" for name in ("_ping", "version"))
            headers = asking.get(ping, timeout=CALL_TIMEOUT_S).headers
            known = by_headers(headers)
            if known is None:
                known = by_version(asking.get(told, timeout=CALL_TIMEOUT_S).json())
        api, name, version = known
        # Podman leaves health checks to timers of systemd.
        checks = name != "podman" or SYSTEMD.is_dir()
        return api, EngineInfo(name, version, self.socket_url, runs_health_checks=checks)


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def refuse_old(info: EngineInfo) -> None:
    """Raises EngineUnavailable. A version that can't be read is none that is known to be too old, nor is the `0.0.0-20240101…` of a
    development build of Docker."""
    found, oldest = re.match(r"(\d+)\.(\d+)", info.version), OLDEST[info.name]
    if found and (0, 0) < (int(found[1]), int(found[2])) < oldest:
        wanted = ", or ".join(
            f"{name.capitalize()} {least[0]}.{least[1]} or later" for name, least in OLDEST.items()
        )
        raise EngineUnavailable(
            f"the engine at {info.socket} is too old: {info.name} {info.version}, and containers "
            f"need {wanted}",
            remedy="install one that is new enough: docs/engines.md",
        )


def by_headers(headers: Mapping[str, str]) -> Optional[tuple[str, str, str]]:
    """The API's version, the engine's name and its version, by the headers of any answer; None where they don't say it. For /version Podman runs
    nine programs, which search the host's database of packages."""
    found = _SERVER.match(headers.get("Server", ""))
    api = headers.get("Api-Version", "")
    return (api, _NAMES[found[1]], found[2]) if found and api else None


def by_version(told: Any) -> tuple[str, str, str]:
    """The same, by the answer to /version. Raises ValueError where it isn't one."""
    if not isinstance(told, dict) or "ApiVersion" not in told:
        raise ValueError("it does not say which version its API has")
    components = {str(part.get("Name", "")).lower() for part in told.get("Components") or ()}
    podman = any("podman" in name for name in components)
    return str(told["ApiVersion"]), "podman" if podman else "docker", str(told.get("Version", ""))
