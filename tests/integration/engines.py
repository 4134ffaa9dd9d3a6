"""Real container engines of our own, beside whatever runs on the machine.

    with docker_engine() as engine:            # or podman_engine(), or ENGINES["docker"]()
        load_image(engine.socket, "localhost/web:1")
        engine.client().containers.run("localhost/web:1", detach=True)
        engine.kill()                          # the daemon alone: its containers keep running
        engine.start()

Each has its own folder, socket, bridge and range of addresses. Leaving the context, or the death of the
process that started the engine, removes its processes, mounts, interfaces and packet filter rules
(`workspace`). Several dockerds in one network namespace disturb each other's rules, because each makes the chains anew
when it starts: tests run in a namespace of their own (`namespaces`).

Needs root, and what `make setup-engines` installs; anything missing is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional

from tests.integration.daemon import Engine, load_image, required
from tests.integration.dockerd import DockerEngine
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
]


def docker_engine(folder: Optional[Path] = None, *, live_restore: bool = True) -> DockerEngine:
    """Not started yet. In `folder`, which must not exist (made here, removed at the end), or in one of its own."""
    return DockerEngine(Workspace.make("docker", folder), live_restore=live_restore)


def podman_engine(folder: Optional[Path] = None, *, default_ulimits: bool = True) -> PodmanEngine:
    """Not started yet; `folder` as for `docker_engine`."""
    return PodmanEngine(Workspace.make("podman", folder), default_ulimits=default_ulimits)


ENGINES: Mapping[str, Callable[[], Engine]] = {"docker": docker_engine, "podman": podman_engine}


def docker_command() -> str:
    """The path of the `docker` command."""
    return required("docker")
