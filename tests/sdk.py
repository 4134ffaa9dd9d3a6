"""The Docker SDK's clients, with which tests look at engines past Hullmark.

By itself the SDK asks for /version first, for which Podman runs nine programs: half a second of a processor each time. A ping says
the same.
"""

from __future__ import annotations

import contextlib

import docker


def api_client(socket: str, timeout_s: int = 60) -> docker.APIClient:
    """`socket`: a URL. Raises as the SDK does, and requests.RequestException."""
    return docker.APIClient(base_url=socket, version=_version(socket, timeout_s), timeout=timeout_s)


def docker_client(socket: str, timeout_s: int = 60) -> docker.DockerClient:
    return docker.DockerClient(
        base_url=socket, version=_version(socket, timeout_s), timeout=timeout_s
    )


def _version(socket: str, timeout_s: int) -> str:
    with contextlib.closing(
        docker.APIClient(base_url=socket, version="1.40", timeout=timeout_s)
    ) as client:
        answer = client.get(f"{client.base_url}/_ping", timeout=timeout_s)
        answer.raise_for_status()
        return str(answer.headers["Api-Version"])
