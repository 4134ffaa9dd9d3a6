"""Durations as people write them."""

from __future__ import annotations

from typing import Optional

import pytest

from hullmark.model.durations import in_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1.5d", 129600.0),
        ("1w", 604800.0),
        ("100ms250us", 0.10025),
        ("3µs", 0.000003),
        ("0s", 0.0),
        ("90", None),
        ("s", None),
        ("-1s", None),
        ("1s ", None),
        ("1 s", None),
        ("1y", None),
        ("٣s", None),
        ("", None),
    ],
)
def test_durations(text: str, expected: Optional[float]) -> None:
    assert in_seconds(text) == expected
