"""Resource limits that an engine has to be given."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path

PID_MAX = Path("/proc/sys/kernel/pid_max")


def defaults(engine_name: str) -> Mapping[str, tuple[int, int]]:
    """Soft and hard ulimits of containers that name none; -1 is none.

    Podman's own are above the machine's where it lacks CAP_SYS_RESOURCE, and then it can't start the
    container; told the machine's, it can. For itself it lowers the number of processes to the kernel's
    highest pid (containers/common, `getDefaultProcessLimits`), and can't give its containers more.
    """
    if engine_name != "podman":
        return {}
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, processes = resource.getrlimit(resource.RLIMIT_NPROC)
    return bounded(files, processes, _pid_max())


def bounded(files: int, processes: int, pid_max: int) -> Mapping[str, tuple[int, int]]:
    """From hard limits, with RLIM_INFINITY for none; `pid_max` 0 where the kernel doesn't tell."""
    if pid_max:
        processes = pid_max if processes == resource.RLIM_INFINITY else min(processes, pid_max)
    found = {"nofile": files, "nproc": processes}
    return {
        name: (-1, -1) if limit == resource.RLIM_INFINITY else (limit, limit)
        for name, limit in found.items()
    }


def _pid_max() -> int:
    try:
        return int(PID_MAX.read_text())
    except (OSError, ValueError):
        return 0
