"""The proxy's processes, as the kernel has them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_GONE = " (deleted)"
_PROGRAMS = (".so", "haproxy")


SOCKETS = 2
"""That HAProxy makes anew with each reload: the main process's and the worker's, under other names first."""
_STARTED = 19
"""Of /proc/PID/stat the 22nd field: the 20th after the name, which may hold anything (proc(5))."""


def started_at(pid: int, root: Path = Path("/proc")) -> float:
    """In the kernel's ticks since the boot, which no step of the clock makes another; 0 where there is no such process."""
    try:
        text = (root / str(pid) / "stat").read_text("utf-8", "replace") if pid else ""
        return float(text.rpartition(")")[2].split()[_STARTED])
    except (OSError, IndexError, ValueError):
        return 0.0


def shut(folder: Path, pid: int, root: Path = Path("/proc")) -> str:
    """Why this process could make no sockets in the folder; empty where it could, and where nobody can tell. By its own mounts: an agent's may let it
    write there or not, whatever the disk does."""
    try:
        seen = os.statvfs(f"{root / str(pid) / 'root'}{folder}")
    except OSError:
        return ""
    if seen.f_flag & os.ST_RDONLY:
        return "it can only be read"
    if seen.f_files and seen.f_favail < SOCKETS:
        return "there is room for no more files"
    return ""


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
