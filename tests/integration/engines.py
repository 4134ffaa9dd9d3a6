"""Real container engines of our own, beside whatever runs on the machine.

    with docker_engine() as engine:            # or podman_engine(), or ENGINES["docker"]()
        load_image(engine.socket, "localhost/web:1")
        engine.client().containers.run("localhost/web:1", detach=True)
        engine.kill()                          # the daemon alone: its containers keep running
        engine.start()

Each has its own folder, socket, bridge and range of addresses. Leaving the context, or the death of the
process that started the engine, removes its processes, mounts, interfaces and packet filter rules
(`workspace`). Several dockerds in one network namespace disturb each other's rules, because each makes the chains anew
when it starts: tests run in a namespace of their own, and each host of several in one of its own (`namespaces`).

Needs root, and what `make setup-engines` installs; anything missing is an error.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional

from tests.integration.daemon import Engine, load_image, required
from tests.integration.dockerd import DockerEngine
from tests.integration.namespaces import HostNetwork
from tests.integration.podman import PodmanEngine
from tests.integration.workspace import Workspace

__all__ = [
    "Engine",
    "DockerEngine",
    "PodmanEngine",
    "ENGINES",
    "docker_engine",
    "podman_engine",
    "load_image",
    "docker_command",
    "required",
    "run_inside",
]


def docker_engine(
    folder: Optional[Path] = None,
    network: Optional[HostNetwork] = None,
    *,
    live_restore: bool = True,
) -> DockerEngine:
    """Not started yet. In `folder`, which must not exist (made here, removed at the end), or in one of its own;
    in the network namespace of `network`, or in this process's."""
    return DockerEngine(_workspace("docker", folder, network), network, live_restore=live_restore)


def podman_engine(
    folder: Optional[Path] = None,
    network: Optional[HostNetwork] = None,
    *,
    default_ulimits: bool = True,
) -> PodmanEngine:
    """Not started yet; `folder` and `network` as for `docker_engine`."""
    workspace = _workspace("podman", folder, network)
    return PodmanEngine(workspace, network, default_ulimits=default_ulimits)


def _workspace(kind: str, folder: Optional[Path], network: Optional[HostNetwork]) -> Workspace:
    return Workspace.make(kind, folder, network.namespace if network is not None else None)


ENGINES: Mapping[str, Callable[..., Engine]] = {"docker": docker_engine, "podman": podman_engine}


def docker_command() -> str:
    """The path of the `docker` command."""
    return required("docker")


def run_inside(socket: str, container: str, script: str) -> tuple[int, str]:
    """The exit code of a script in a container, and all that it writes. By the command, which the engines of both kinds
    answer: the SDK loses output that comes in one piece with the head of the engine's answer."""
    done = subprocess.run(
        [docker_command(), "-H", socket, "exec", container, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    return done.returncode, done.stdout.decode(errors="replace")
