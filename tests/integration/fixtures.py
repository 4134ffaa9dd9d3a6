"""The fixtures of suites that need real engines. A suite's conftest imports them by name.

Engines and registries are started once a session, when a test first asks for one, in a network and mount
namespace of the session's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import docker.errors
import pytest

from tests.cluster import is_gone
from tests.integration.engines import ENGINES, Engine
from tests.integration.namespaces import enter_private_network
from tests.integration.registry import Registry
from tests.integration.shipyard import IMAGE, Yard, yard_for

__all__ = [
    "engine",
    "clean_engine",
    "image",
    "fresh_engine",
    "yard",
    "registry",
    "locked_registry",
    "empty",
]


@pytest.fixture(scope="session", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Docker for all tests that ask for an engine, then Podman for all of them again."""
    enter_private_network()
    with ENGINES[request.param]() as each:
        yield each


@pytest.fixture
def clean_engine(engine: Engine) -> Iterator[Engine]:
    """`engine`, for a test that may leave containers, networks and volumes in it, or leave it killed."""
    yield engine
    if not engine.running:
        engine.start()
    empty(engine)


@pytest.fixture
def image(engine: Engine) -> str:
    """The reference of a small image that `engine` has: busybox, serving HTTP on port 8080 by default."""
    return engine.load_image(IMAGE)


@pytest.fixture
def yard(clean_engine: Engine, image: str, tmp_path: Path) -> Iterator[Yard]:
    """The engine room over `engine`, which has `image`; emptied afterwards."""
    each = yard_for(clean_engine, tmp_path)
    yield each
    each.engine.close()


@pytest.fixture
def fresh_engine() -> Iterator[Callable[[str], Engine]]:
    """`fresh_engine("docker")`: a running engine for this test alone, beside the session's."""
    enter_private_network()
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(ENGINES[name]())


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A registry on loopback that anyone may pull from."""
    enter_private_network()
    with Registry() as each:
        yield each


@pytest.fixture(scope="session")
def locked_registry() -> Iterator[Registry]:
    """A registry on loopback that asks for its `user` and `password`."""
    enter_private_network()
    with Registry(user="robot", password="s3cret-of-the-test") as each:
        yield each


def empty(engine: Engine) -> None:
    """Remove every container, network and volume. Images stay."""
    client = engine.client()
    found = client.containers.list(all=True, ignore_removed=True)
    # The newest first: Podman removes none whose namespaces another one has joined.
    for container in sorted(found, key=lambda one: str(one.attrs["Created"]), reverse=True):
        # Podman, told to remove one by force, first waits as long as its grace says.
        with contextlib.suppress(docker.errors.APIError):
            container.kill()
        try:
            container.remove(force=True, v=True)
        except docker.errors.APIError as error:
            if not is_gone(error):
                raise
    for network in client.networks.list():
        if network.name not in {"bridge", "host", "none", "podman"}:
            network.remove()
    for volume in client.volumes.list():
        volume.remove(force=True)
    engine.close_clients()
