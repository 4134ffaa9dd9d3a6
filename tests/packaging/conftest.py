"""Stock hosts for the tests of a file, and packages to install on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts import Bed


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One for each file; a test names its hosts so that they don't collide."""
    with Bed() as bed:
        yield bed
