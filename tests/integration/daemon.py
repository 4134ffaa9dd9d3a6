"""What a Docker and a Podman of our own have in common: a process with a socket, in a workspace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional

import docker
import docker.errors
import requests

from tests.integration import image
from tests.integration.namespaces import HostNetwork
from tests.integration.workspace import Workspace
from tests.sdk import api_client, docker_client

START_TIMEOUT_S = 40.0


class Engine(ABC):
    """`name` is `docker` or `podman`; `socket` is a URL for the Docker API, valid also while the engine is down.
    `network`: the network namespace that it runs in; None: the tests' own."""

    name: str

    def __init__(self, workspace: Workspace, network: Optional[HostNetwork] = None) -> None:
        self.workspace = workspace
        self.network = network
        self.folder = workspace.path
        self.socket = f"unix://{self.folder}/{self.name}.sock"
        self.log = self.folder / "engine.log"
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._clients = contextlib.ExitStack()

    @abstractmethod
    def command(self) -> list[str]:
        """The daemon's command line."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.workspace.marker}

    @property
    def inside(self) -> list[str]:
        """Before a command: run it in the engine's network namespace."""
        return self.network.inside if self.network is not None else []

    @property
    def pid(self) -> int:
        """The daemon's. Raises AssertionError where it was never started."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the daemon; return when it answers. Containers from before are still there."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.inside, *self.command()],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def terminate(self, timeout_s: float = 30.0) -> None:
        """End the daemon in good order; its containers keep running. One that is down is fine."""
        self._signal(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End the daemon with SIGKILL; its containers keep running."""
        self._signal(signal.SIGKILL, 10.0)

    def restart(self) -> None:
        """Down in good order, and up again, around running containers."""
        self.terminate()
        self.start()

    def stop(self) -> None:
        """The end: containers, daemon, files, networks. Idempotent."""
        self.close_clients()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._signal(signal.SIGKILL, 10.0)
        self.workspace.remove()

    def client(self, timeout_s: float = 60.0) -> docker.DockerClient:
        """A new one. It is closed by `close_clients`, and when the engine is stopped."""
        client = docker_client(self.socket, int(timeout_s))
        self._clients.callback(client.close)
        return client

    def run(self, image: str, command: list[str], **options: Any) -> bytes:
        """The output (both streams) of a container that is run to its end and removed.

        Not `containers.run`, which follows the log: Podman 4.3 now and then never ends that where the
        container has ended just before. Raises ContainerError for an exit code that is not 0.
        """
        container = self.client().containers.run(image, command, detach=True, **options)
        try:
            code = container.wait(timeout=60)["StatusCode"]
            output: bytes = container.logs()
        finally:
            container.remove(force=True, v=True)
        if code:
            raise docker.errors.ContainerError(container, code, command, image, output.decode())
        return output

    def close_clients(self) -> None:
        self._clients.close()

    def load_image(
        self,
        ref: str,
        config: Optional[Mapping[str, Any]] = None,
        files: Optional[Mapping[str, bytes]] = None,
    ) -> str:
        """See the function of this name."""
        return load_image(self.socket, ref, config, files)

    def __enter__(self) -> Engine:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{self.name} {self.socket}>"

    def _signal(self, number: int, timeout_s: float) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout_s)

    def _answers(self) -> bool:
        try:
            with contextlib.closing(api_client(self.socket, 5)) as client:
                return bool(client.ping())
        except (docker.errors.DockerException, requests.RequestException, OSError):
            return False

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self._answers():
                return
            if not self.running or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{self.name} did not start:\n{end}")
            time.sleep(0.03)


def load_image(
    socket: str,
    ref: str,
    config: Optional[Mapping[str, Any]] = None,
    files: Optional[Mapping[str, bytes]] = None,
) -> str:
    """Give an engine a busybox image; returns `ref`. See `image.build` for `config` and `files`."""
    with contextlib.closing(api_client(socket)) as client:
        list(client.load_image(image.archive(ref, image.build(config or {}, files or {}))))
        client.inspect_image(ref)
    return ref


def required(program: str) -> str:
    """The path of a program. Raises FileNotFoundError with what to do about it."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise FileNotFoundError(f"{program}: run `make setup-engines`")
    return found
