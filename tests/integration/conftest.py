"""Real engines and registries for every test here."""

from __future__ import annotations

import pytest

from tests.integration.fixtures import (  # noqa: F401
    docker_daemon,
    engine,
    fresh_engine,
    image,
    locked_registry,
    podman_service,
    private_network,
    registry,
    session_engine,
)


@pytest.fixture(scope="session", autouse=True)
def _apart(private_network: None) -> None:
    """No test here sees the machine's own interfaces."""
