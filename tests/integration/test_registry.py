"""The registry and the relay that the tests of pulling stand on."""

from __future__ import annotations

import threading
import time

import docker.errors
import pytest
import requests

from tests.integration.engines import Engine
from tests.integration.registry import Registry
from tests.integration.relay import Relay


@pytest.fixture
def pushed(registry: Registry) -> str:
    """`team/web:1` is in the registry; its digest."""
    return registry.push("team/web:1", files={"/stone": bytes(range(256)) * 256})


def forget(engine: Engine) -> None:
    """Remove what the engine has of these images, so that the next pull is a real one."""
    client = engine.client()
    for each in client.images.list():
        client.images.remove(str(each.id), force=True)


def test_pull_by_tag_gives_the_digest(engine: Engine, registry: Registry, pushed: str) -> None:
    forget(engine)
    image = engine.client().images.pull(registry.ref("team/web"), tag="1")
    assert image.attrs["RepoDigests"] == [f"{registry.ref('team/web')}@{pushed}"]


def test_wrong_password(engine: Engine, locked_registry: Registry) -> None:
    locked_registry.push("team/secret:1")
    pull = engine.client().images.pull
    name = locked_registry.ref("team/secret")
    with pytest.raises(docker.errors.APIError):
        pull(name, tag="1", auth_config={"username": locked_registry.user, "password": "wrong"})
    right = {"username": locked_registry.user, "password": locked_registry.password}
    assert f"{name}:1" in pull(name, tag="1", auth_config=right).tags


def test_deleted_tag(registry: Registry, pushed: str) -> None:
    assert registry.digest("team/web:1") == pushed
    registry.delete("team/web:1")
    with pytest.raises(requests.HTTPError, match="404"):
        registry.digest("team/web:1")


def test_slow_and_paused_pull(engine: Engine, registry: Registry, pushed: str) -> None:
    forget(engine)
    done = threading.Event()

    def pull(host: str) -> None:
        engine.client().images.pull(f"{host}/team/web", tag="1")
        done.set()

    with Relay(registry.port, bytes_per_s=2_000_000) as relay:
        relay.pause()
        began = time.monotonic()
        threading.Thread(target=pull, args=(relay.host,), daemon=True).start()
        assert not done.wait(1.0)
        relay.resume()
        assert done.wait(30)
        assert time.monotonic() - began > 1.3
