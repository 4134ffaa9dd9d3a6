"""Real engines and registries for every test here."""

from __future__ import annotations

import pytest

from tests.integration.firewallroom import room  # noqa: F401
from tests.integration.fixtures import (  # noqa: F401
    clean_engine,
    engine,
    fresh_engine,
    image,
    locked_registry,
    registry,
    yard,
)
from tests.integration.namespaces import enter_private_network


@pytest.fixture(scope="session", autouse=True)
def _apart() -> None:
    """No test here sees the machine's own interfaces."""
    enter_private_network()
