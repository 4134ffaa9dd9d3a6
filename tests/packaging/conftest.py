"""Stock hosts for the tests of a file, packages to install on them, and the order of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import Bed

LONGEST = (
    *("pair_ansible", "lifecycle", "silent_failures", "interrupted", "beside", "footprint"),
    *("services", "ansible", "pair_page", "hardening", "repo", "configuration", "rpm", "eject"),
    "readme",
)
"""Files that take longest come first: one of them that begins last would keep the other workers waiting."""


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One for each file; a test names its hosts so that they don't collide."""
    with Bed() as bed:
        yield bed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only files change places. By itself the plugin for workers begins with those that have most tests, which are short:
    --no-loadscope-reorder keeps it from that."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(Path(str(item.fspath)).stem, len(places)))
