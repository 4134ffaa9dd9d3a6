"""Ports of the host that something else than our containers' engine listens on, so that nothing is placed where it can't start, and people
can see what is open. Those of service addresses are left out: they are many, and nobody outside this host reaches them.

Fixed ports only: TCP ports in LISTEN and bound UDP ports, below the range from which the kernel gives ports away (ip(7),
ip_local_port_range). Ports within it come and go with every connection, and would be news each minute; but the proxy's are as declared.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Optional

import psutil

from hullmark import log
from hullmark.model.host import PROXY, Listener

_log = log.get("host")

LISTENERS_MAX = 512
PUBLISHED_MAX = 2048
EPHEMERAL_FROM = 32768
"""Where the kernel doesn't tell: its usual value."""
PROXIES = ("docker-proxy", "rootlessport", "conmon")
"""What engines start to listen for their containers."""

_CONTAINER = re.compile(r"[0-9a-f]{64}")

Ports = Collection[tuple[str, int]]
"""(protocol, port) of each."""


@dataclass(frozen=True)
class Ours:
    """What is known of our own on this host. `published`: ports that its engine holds for our containers; on one of `expected` it may
    do so for a container that was not seen yet. `containers`: names by id. `proxy`: the number of the proxy's main process, 0 where there
    is none; `service_addresses` are what it listens on for containers."""

    published: Ports = ()
    expected: Ports = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    proxy: int = 0
    service_addresses: Collection[str] = ()


NOTHING_OURS = Ours()


@dataclass(frozen=True)
class _Who:
    process: str = ""
    container: str = ""


def listeners(root: Path = Path("/"), ours: Ours = NOTHING_OURS) -> tuple[Listener, ...]:
    """The lowest first, no more than LISTENERS_MAX beside the proxy's. Empty where this user may not see any."""
    below = ephemeral_from(root)
    try:
        connections = psutil.net_connections("inet")
    except (psutil.Error, OSError) as error:
        _say_unseen(str(error) or type(error).__name__)
        return ()
    known: dict[int, _Who] = {}
    found = set()
    for one in connections:
        tcp = one.type == socket.SOCK_STREAM
        bound = one.status == psutil.CONN_LISTEN if tcp else not one.raddr
        protocol = "tcp" if tcp else "udp"
        if not (bound and one.laddr and one.laddr.port):
            continue
        port, address = one.laddr.port, one.laddr.ip
        moves = port >= below
        if (protocol, port) in ours.published or (moves and not (tcp and ours.proxy)):
            continue
        who = _who(one.pid, known, root, ours)
        if moves and who.process != PROXY:
            continue
        expected = who.process in PROXIES and (protocol, port) in ours.expected
        if not expected and not (who.process == PROXY and _is_for_here(address, ours)):
            found.add(Listener(port, protocol, address, who.process, who.container))
    return _bounded(sorted(_one_for_each(found)))


def _is_for_here(address: str, ours: Ours) -> bool:
    """What the proxy has beside each published port, and for containers."""
    return address in ours.service_addresses or address.startswith("127.")


def _bounded(found: list[Listener]) -> tuple[Listener, ...]:
    """The proxy's are as many as the cluster publishes."""
    proxys = [one for one in found if one.process == PROXY][:PUBLISHED_MAX]
    others = [one for one in found if one.process != PROXY][:LISTENERS_MAX]
    return tuple(sorted(proxys + others))


def of_containers(containers: Mapping[str, str]) -> Optional[tuple[Listener, ...]]:
    """What processes of these containers (names by id) listen on in the host's network, on any port. None where this user may not see any."""
    try:
        connections = psutil.net_connections("inet")
    except (psutil.Error, OSError) as error:
        _say_unseen(str(error) or type(error).__name__)
        return None
    known: dict[int, _Who] = {}
    found = set()
    for one in connections:
        tcp = one.type == socket.SOCK_STREAM
        bound = one.status == psutil.CONN_LISTEN if tcp else not one.raddr
        if bound and one.laddr:
            who = _who(one.pid, known, Path("/"), Ours(containers=containers))
            if who.container:
                protocol = "tcp" if tcp else "udp"
                port, address = one.laddr.port, one.laddr.ip
                found.add(Listener(port, protocol, address, who.process, who.container))
    return tuple(sorted(found))


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


def _who(pid: object, known: dict[int, _Who], root: Path, ours: Ours) -> _Who:
    """Empty where it can't be seen."""
    if not isinstance(pid, int):
        return _Who()
    if pid not in known:
        try:
            process = psutil.Process(pid)
            if ours.proxy and ours.proxy in (pid, process.ppid()):
                known[pid] = _Who(PROXY)
            else:
                known[pid] = _Who(process.name(), _container(pid, root, ours.containers))
        except (psutil.Error, OSError):
            known[pid] = _Who()
    return known[pid]


def _container(pid: int, root: Path, containers: Mapping[str, str]) -> str:
    """The name of ours whose control group the process is in (cgroups(7)); engines put the container's id into the group's name."""
    if not containers:
        return ""
    try:
        text = (root / f"proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((containers[one] for one in _CONTAINER.findall(text) if one in containers), "")


@lru_cache(maxsize=8)
def _say_unseen(why: str) -> None:
    """Once for each reason, not once a minute."""
    _log.warning("the ports that this host's processes listen on can't be seen", why=why)
