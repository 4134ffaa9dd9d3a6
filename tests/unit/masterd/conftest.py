"""For the tests that speak TLS: on Python before 3.11 asyncio does not know that the other side closed."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
QUIET = pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(str(item.fspath)).parents:
            item.add_marker(QUIET)
