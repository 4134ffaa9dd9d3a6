"""For the tests that speak TLS: on Python before 3.11 asyncio does not know that the other side closed.

And for those that start a whole master, hundreds of times.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from hullmark.config import load_framework

HERE = Path(__file__).parent
QUIET = pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(str(item.fspath)).parents:
            item.add_marker(QUIET)


@pytest.fixture(autouse=True, scope="package")
def _the_framework_is_read_once() -> Iterator[None]:
    with mock.patch("hullmark.masterd.alarm.load_framework", functools.cache(load_framework)):
        yield
