"""Sizes for people."""

from __future__ import annotations

import pytest

from hullmark.model.sizes import in_words


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1000 << 20, "1000 MiB"),
        (5 << 28, "1.25 GiB"),
        (3 << 50, "3072 TiB"),
    ],
)
def test_sizes(size_bytes: int, expected: str) -> None:
    assert in_words(size_bytes) == expected
