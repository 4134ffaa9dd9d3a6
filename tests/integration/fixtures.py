"""The fixtures of suites that need real engines. A suite's conftest imports them by name.

Engines and registries are started once a session, when a test first asks for one, in a network and mount
namespace of the session's own. What a test makes in an engine is removed when it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import docker.errors
import pytest

from tests.integration import registry as registries
from tests.integration.engines import ENGINES, DockerEngine, Engine, PodmanEngine, docker_engine
from tests.integration.engines import podman_engine as make_podman
from tests.integration.namespaces import enter_private_network

__all__ = [
    "private_network",
    "docker_daemon",
    "podman_service",
    "session_engine",
    "engine",
    "image",
    "fresh_engine",
    "registry",
    "locked_registry",
]

IMAGE = "localhost/hullmark-test:1"


@pytest.fixture(scope="session")
def private_network() -> None:
    """From here on this process and its children see only their own interfaces and mounts."""
    enter_private_network()


@pytest.fixture(scope="session")
def docker_daemon(private_network: None) -> Iterator[DockerEngine]:
    """The session's dockerd."""
    with docker_engine() as engine:
        assert isinstance(engine, DockerEngine)
        yield engine


@pytest.fixture(scope="session")
def podman_service(private_network: None) -> Iterator[PodmanEngine]:
    """The session's podman service."""
    with make_podman() as engine:
        assert isinstance(engine, PodmanEngine)
        yield engine


@pytest.fixture(scope="session", params=["docker", "podman"])
def session_engine(request: pytest.FixtureRequest) -> Engine:
    wanted = {"docker": "docker_daemon", "podman": "podman_service"}[request.param]
    engine: Engine = request.getfixturevalue(wanted)
    return engine


@pytest.fixture
def engine(session_engine: Engine) -> Iterator[Engine]:
    """Both engines, one after the other, empty but for images at the start of each test."""
    if not session_engine.running:
        session_engine.start()
    yield session_engine
    if not session_engine.running:
        session_engine.start()
    empty(session_engine)


@pytest.fixture
def image(engine: Engine) -> str:
    """The reference of a small image that `engine` has: busybox, serving HTTP on port 8080 by default."""
    return engine.load_image(IMAGE)


@pytest.fixture
def fresh_engine(private_network: None) -> Iterator[Callable[[str], Engine]]:
    """`fresh_engine("docker")`: a running engine for this test alone, beside the session's."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(ENGINES[name]())


@pytest.fixture(scope="session")
def registry(private_network: None) -> Iterator[registries.Registry]:
    """A registry on loopback that anyone may push to."""
    with registries.Registry() as each:
        yield each


@pytest.fixture(scope="session")
def locked_registry(private_network: None) -> Iterator[registries.Registry]:
    """A registry on loopback that asks for its `user` and `password`."""
    with registries.Registry(user="robot", password="s3cret-of-the-test") as each:
        yield each


def empty(engine: Engine) -> None:
    """Remove every container, network and volume."""
    client = engine.client()
    for container in client.containers.list(all=True, ignore_removed=True):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in client.networks.list():
        if network.name not in {"bridge", "host", "none", "podman"}:
            network.remove()
    for volume in client.volumes.list():
        volume.remove(force=True)
    engine.close_clients()
