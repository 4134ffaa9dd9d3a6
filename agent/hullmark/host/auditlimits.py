"""What a daemon's audit log may take, of the disk and of time."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
DAY_S = 86400.0


@dataclass(frozen=True)
class Limits:
    """`rotate_bytes`, `rotate_s`: of this size, or this old, a file is closed and another begun. `keep_s`: how long a closed one is kept after its
    last record. `patience_s`: how long `append` waits for the disk."""

    rotate_bytes: int = 64 * MIB
    keep_s: float = 400 * DAY_S
    reserve_bytes: int = 1 * MIB
    patience_s: float = 10.0
    rotate_s: float = 30 * DAY_S
