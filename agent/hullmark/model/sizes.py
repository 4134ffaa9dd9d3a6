"""Sizes as people write them, `64MiB`, and as they are told: `64 MiB`."""

from __future__ import annotations

import re
from typing import Optional

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_WHOLE = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB)")


def in_bytes(text: str) -> Optional[int]:
    """None for what is no size. A number without a unit is none."""
    found = _WHOLE.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def compact(size_bytes: int) -> str:
    """As it is written in files: `64MiB`."""
    return in_words(size_bytes).replace(" ", "")


def in_words(size_bytes: int) -> str:
    """`512 MiB`, `1.5 GiB`: at most two decimals, so that what is asked for and what is free can be compared."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
