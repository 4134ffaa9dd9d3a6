"""The ledger of host ports: which are declared on which host and by whom, which are really open, and what is allowed.

GET    /v1/ports            ?host=   -> PortList
GET    /v1/ports/firewall   ?host=   -> FirewallList
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional


class Holder(enum.Enum):
    """What a port of a host belongs to."""

    INSTANCE = "instance"  # bound by its engine, or by itself where it has the host's network
    REMOVING = "removing"  # an instance that has to go; its port is free once it is gone
    ORPHAN = "orphan"  # a container of ours that no order names
    CONTAINER = "container"  # one of ours with the host's network, which did not declare this port
    SERVICE = "service"  # a published port, which the host's proxy answers
    PROXY = "proxy"  # its port for other hosts' proxies, or one that nobody declared
    MASTER = "master"
    PROCESS = "process"  # what the host itself runs


class PortState(enum.Enum):
    """The first that is true, from the worst on."""

    UNDECLARED = "undeclared"  # something of ours listens where nobody declared it
    NOT_ALLOWED = "not allowed"  # by the host's policy
    TAKEN = "taken"  # declared, and something else listens there
    NOT_LISTENING = "not listening"
    UNKNOWN = "unknown"  # the host is not heard, or can't see who listens
    OK = "ok"

    @property
    def is_wrong(self) -> bool:
        """Whether it is a difference between what was declared, or allowed, and what is."""
        return self in (PortState.UNDECLARED, PortState.NOT_ALLOWED, PortState.TAKEN)


@dataclass(frozen=True)
class PortView:
    """`address` empty: every one of the host. `holder` is the instance, the service, the container's name or the process's; empty
    for a process that can't be seen. `target` is the container's port, 0 for a process. `declared`: by an app, or by Hullmark itself.
    `listening` None: not known. `by` is what listens: an engine, or a process. `allowed` is by the host's policy, None where it says nothing.
    `host_state` is that of the host, as `hullmark hosts` has it: of one that is not `ready` all of this is as it told it last, `told_s` seconds ago;
    None: it told this leader nothing."""

    host: str
    port: int
    protocol: str
    address: str
    kind: Holder
    holder: str
    target: int = 0
    declared: bool = False
    listening: Optional[bool] = None
    by: str = ""
    allowed: Optional[bool] = None
    state: PortState = PortState.UNKNOWN
    host_state: str = "ready"
    told_s: Optional[float] = None


@dataclass(frozen=True)
class PortList:
    ports: tuple[PortView, ...]


class Hook(enum.Enum):
    """Where a packet filter meets the packets of a path (nft(8), netfilter hooks)."""

    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"


@dataclass(frozen=True)
class FirewallRule:
    """A path that a host needs and a firewall that drops by default has to leave open. `sources` and `destinations` are addresses or networks,
    empty: any. `protocol` empty: any; `ports` of the destination, empty: any. `forwarded` are ports of the host that its engine hands on to `ports` of
    a container (DNAT), which is why the packet filter sees them forwarded. `why` says for whom it is."""

    hook: Hook
    why: str
    protocol: str = "tcp"
    ports: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    forwarded: tuple[int, ...] = ()


@dataclass(frozen=True)
class FirewallNeeds:
    """`unknown` says what could not be told for the host, each as a sentence."""

    host: str
    rules: tuple[FirewallRule, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirewallList:
    hosts: tuple[FirewallNeeds, ...]
