"""Old, young, and impossible."""

from __future__ import annotations

import pytest

from hullmark.core.checks import ages
from hullmark.model.control import Status
from tests.unit.core.checks.looks import NOW, reading


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (NOW - 10, None),
        (NOW - 101, Status.FAIL),
        (NOW + 200, None),
        (NOW + 301, Status.ERROR),
        (None, Status.ERROR),
    ],
)
def test_ages(at, status) -> None:
    found = ages.unlike("the report", at, NOW, 100)
    assert (found.status if found else None) is status


def test_any_age_will_do() -> None:
    assert ages.unlike("the report", 1.0, NOW, 0) is None


def test_reasons() -> None:
    old = ages.unlike("the report", NOW - 86400 * 9, NOW, 86400 * 7)
    assert old is not None
    assert old.reason == "the report is 9 d old, more than 7 d"


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e999"])
def test_no_time(text) -> None:
    assert ages.mtime(reading("file", mtime=text)) is None


def test_a_time() -> None:
    assert ages.mtime(reading("file", mtime="12.500")) == 12.5
    assert ages.mtime(reading("file")) is None
