"""Moments in the forms that engines, masters and people give them."""

from __future__ import annotations

from typing import Optional

import pytest

from hullmark.model.moments import day, just_after, moment, nanoseconds, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01t00:00:01.5z", 1_500_000_000),
        ("1970-01-01T01:00:01.000000001+01:00", 1_000_000_001),
        ("0001-01-01T00:00:00Z", -62135596800 * 10**9),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-24T01:30:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, expected: Optional[int]) -> None:
    assert nanoseconds(text) == expected


def test_both_forms_are_taken() -> None:
    assert seconds("1795483801.5") == "1795483801.5"
    assert seconds("2026-11-24T01:30:01.25Z") == "1795483801.250000000"
    assert seconds("2026-11-24T02:30:01+01:00") == "1795483801.000000000"
    for text in (
        "",
        "yesterday",
        "-1",
        "2026-13-01T00:00:00Z",
        "2026-11-24",
        "1969-01-01T00:00:00Z",
    ):
        with pytest.raises(ValueError, match="seconds since 1970"):
            seconds(text)


def test_just_after() -> None:
    assert just_after("2026-11-24T01:30:01.999999999Z") == "1795483802.000000000"
    assert just_after("1795483801.5") == "1795483801.500000001"
    assert just_after("now") == ""


def test_what_is_written_is_read() -> None:
    assert moment(1795483801.25) == "2026-11-24T01:30:01.250000Z"
    assert nanoseconds(moment(1795483801.25)) == 1795483801_250000000


def test_for_people() -> None:
    assert day(1.8e9) == "2027-01-15 08:00 UTC"
