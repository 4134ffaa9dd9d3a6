"""The proxy's processes, as the kernel has them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

_GONE = " (deleted)"
_PROGRAMS = (".so", "haproxy")


def started_at(pid: int) -> float:
    """Seconds since 1970; 0 where there is no such process."""
    try:
        return float(psutil.Process(pid).create_time()) if pid else 0.0
    except psutil.Error:
        return 0.0


def replaced(pids: Iterable[int], root: Path = Path("/proc")) -> tuple[str, ...]:
    """Program and libraries of these processes that are no more what is on the disk under their names: an update came."""
    found = set()
    for pid in pids:
        try:
            lines = (root / str(pid) / "maps").read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            path = line.partition("/")[2]
            if path.endswith(_GONE) and any(part in path.rpartition("/")[2] for part in _PROGRAMS):
                found.add("/" + path[: -len(_GONE)])
    return tuple(sorted(found))
