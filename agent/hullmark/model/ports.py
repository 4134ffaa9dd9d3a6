"""The ledger of host ports: which are held on which host, and by whom.

GET    /v1/ports   ?host=   -> PortList
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Holder(enum.Enum):
    """What holds a port of a host."""

    INSTANCE = "instance"
    REMOVING = "removing"  # an instance that has to go; its port is free once it is gone
    ORPHAN = "orphan"  # a container of ours that no order names
    PROCESS = "process"  # what the host itself runs


@dataclass(frozen=True)
class PortView:
    """`address` empty: every one of the host. `holder` is the instance, the container's name or the process's; empty
    for a process that can't be seen. `target` is the container's port, 0 for a process."""

    host: str
    port: int
    protocol: str
    address: str
    kind: Holder
    holder: str
    target: int = 0


@dataclass(frozen=True)
class PortList:
    ports: tuple[PortView, ...]
