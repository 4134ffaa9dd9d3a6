"""Sizes for people."""

from __future__ import annotations


def in_words(size_bytes: int) -> str:
    """`512 MiB`, `1.5 GiB`: at most two decimals, so that what is asked for and what is free can be compared."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
