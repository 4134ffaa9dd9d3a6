"""Resource limits that an engine has to be given."""

from __future__ import annotations

import resource
from collections.abc import Mapping

_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}


def defaults(engine_name: str) -> Mapping[str, tuple[int, int]]:
    """Soft and hard ulimits of containers that name none.

    Podman's own are above the machine's where it lacks CAP_SYS_RESOURCE, and then it can't start the
    container; told the machine's, it can.
    """
    if engine_name != "podman":
        return {}
    found = {}
    for name, number in _LIMITS.items():
        _, hard = resource.getrlimit(number)
        hard = -1 if hard == resource.RLIM_INFINITY else hard
        found[name] = (hard, hard)
    return found
