"""Ports of the host that something else than our containers listens on, so that nothing is placed where it can't start.

Fixed ports only: TCP ports in LISTEN and bound UDP ports, below the range from which the kernel gives ports away (ip(7),
ip_local_port_range). Ports within it come and go with every connection, and would be news each minute.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import psutil

from hullmark import log
from hullmark.model.host import Listener

_log = log.get("host")

LISTENERS_MAX = 512
EPHEMERAL_FROM = 32768
"""Where the kernel doesn't tell: its usual value."""
PROXIES = ("docker-proxy", "rootlessport", "conmon")
"""What engines start to listen for their containers."""

Ports = Collection[tuple[str, int]]
"""(protocol, port) of each."""


def listeners(
    root: Path = Path("/"), published: Ports = (), expected: Ports = ()
) -> tuple[Listener, ...]:
    """The lowest first, no more than LISTENERS_MAX. `published` are those of our containers; on one of `expected` an engine
    may listen for a container of ours that was not seen yet. Empty where this user may not see any."""
    below = ephemeral_from(root)
    try:
        connections = psutil.net_connections("inet")
    except (psutil.Error, OSError) as error:
        _say_unseen(str(error) or type(error).__name__)
        return ()
    names: dict[int, str] = {}
    found = set()
    for one in connections:
        tcp = one.type == socket.SOCK_STREAM
        bound = one.status == psutil.CONN_LISTEN if tcp else not one.raddr
        protocol = "tcp" if tcp else "udp"
        if not (bound and one.laddr) or not 0 < one.laddr.port < below:
            continue
        if (protocol, one.laddr.port) in published:
            continue
        process = _process(one.pid, names)
        if process not in PROXIES or (protocol, one.laddr.port) not in expected:
            found.add(Listener(one.laddr.port, protocol, one.laddr.ip, process))
    return tuple(sorted(_one_for_each(found))[:LISTENERS_MAX])


def ephemeral_from(root: Path = Path("/")) -> int:
    """The first port that the kernel gives away by itself."""
    try:
        words = (root / "proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(words[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_FROM


def _one_for_each(found: Collection[Listener]) -> list[Listener]:
    """Of the processes that share one address and port the first by name: workers come and go."""
    chosen: dict[tuple[int, str, str], Listener] = {}
    for one in sorted(found, reverse=True):
        key = one.port, one.protocol, one.address
        if one.process or key not in chosen:
            chosen[key] = one
    return list(chosen.values())


def _process(pid: object, names: dict[int, str]) -> str:
    """Empty where it can't be seen."""
    if not isinstance(pid, int):
        return ""
    if pid not in names:
        try:
            names[pid] = psutil.Process(pid).name()
        except (psutil.Error, OSError):
            names[pid] = ""
    return names[pid]


@lru_cache(maxsize=8)
def _say_unseen(why: str) -> None:
    """Once for each reason, not once a minute."""
    _log.warning("the ports that this host's processes listen on can't be seen", why=why)
