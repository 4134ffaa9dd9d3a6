"""Ports of the host that something else than our containers' engine listens on, so that nothing is placed where it can't start, and people
can see what is open. Those of service addresses are left out: they are many, and nobody outside this host reaches them.

TCP ports in LISTEN, and bound UDP ports below the range from which the kernel gives ports away (ip(7), ip_local_port_range). A UDP port within it
is a caller's as often as a listener's. A TCP port within it is listened on, but maybe for a moment only, and would be news each minute: see Lasting.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable, Optional

import psutil

from hullmark import log
from hullmark.model.host import PROXY, Listener

_log = log.get("host")

LISTENERS_MAX = 512
PUBLISHED_MAX = 2048
EPHEMERAL_FROM = 32768
"""Where the kernel doesn't tell: its usual value."""
PROXY_PROGRAM = "haproxy"
PROXIES = ("docker-proxy", "rootlessport", "conmon")
"""What engines start to listen for their containers."""
LASTS_S = 55.0
"""What is seen twice so far apart stays. Hosts are looked at once a minute, and within seconds when something changed."""

_LISTENS = "0A"  # TCP_LISTEN in include/net/tcp_states.h
_CONTAINER = re.compile(r"[0-9a-f]{64}")

Ports = Collection[tuple[str, int]]
"""(protocol, port) of each."""


@dataclass(frozen=True)
class Ours:
    """What is known of our own on this host. `published`: ports that its engine holds for our containers; on one of `expected` it may
    do so for a container that was not seen yet. `containers`: names by id. `proxy`: the number of the proxy's main process, 0 where there
    is none, or it is not known yet; `proxy_folder` is where its files are. `service_addresses` are what it listens on for containers, `local`
    what is published on a loopback address alone, by (address, port)."""

    published: Ports = ()
    expected: Ports = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    proxy: int = 0
    proxy_folder: str = ""
    service_addresses: Collection[str] = ()
    local: Ports = ()


NOTHING_OURS = Ours()


@dataclass(frozen=True)
class _Who:
    """`maybe_proxy`: it can't be told from the proxy yet."""

    process: str = ""
    container: str = ""
    maybe_proxy: bool = False


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
        if (protocol, port) in ours.published or (port >= below and not tcp):
            continue
        who = _who(one.pid, known, root, ours)
        if who.maybe_proxy and not ours.proxy:
            continue  # the host's proxy isn't told either
        expected = who.process in PROXIES and (protocol, port) in ours.expected
        if not expected and not (who.process == PROXY and _is_beside(address, port, ours)):
            found.add(Listener(port, protocol, address, who.process, who.container))
    return _bounded(sorted(_one_for_each(found)))


def open_ports(root: Path = Path("/")) -> frozenset[tuple[str, str]]:
    """Tells whether anything began or ceased to listen, and costs less than who it is: (file, address and port) of proc_pid_net(5), as they stand there. TCP and
    UDP ports below the range from which the kernel gives ports away."""
    below = ephemeral_from(root)
    found: set[tuple[str, str]] = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(OSError), (root / "proc/net" / name).open(encoding="ascii") as lines:
            next(lines, "")
            for line in lines:
                _, local, remote, state, *_ = line.split()
                if name.startswith("tcp") and state != _LISTENS:
                    break  # the kernel tells of those that listen first, and maybe of many others
                if _port(remote) == 0 and _port(local) < below:
                    found.add((name, local))
    return frozenset(found)


def _port(place: str) -> int:
    return int(place.rpartition(":")[2], 16)


class Lasting:
    """Of what listens the part that stays. A program that asked the kernel for any free TCP port may have it for a moment only, so a port of that range
    is told once it was there in two looks, LASTS_S apart; the first look tells all, and the proxy's are as declared. One thread's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, root: Path = Path("/")) -> None:
        self._clock = clock
        self._root = root
        self._since: Optional[dict[tuple[int, str, str], float]] = None

    def of(self, found: Collection[Listener]) -> tuple[Listener, ...]:
        """`found`: all of one look."""
        now, known, below = self._clock(), self._since, ephemeral_from(self._root)
        newest = float("-inf") if known is None else now
        since = {_place(one): (known or {}).get(_place(one), newest) for one in found}
        self._since = since
        return tuple(
            one
            for one in found
            if one.port < below or one.process == PROXY or now - since[_place(one)] >= LASTS_S
        )


def _place(one: Listener) -> tuple[int, str, str]:
    return one.port, one.protocol, one.address


def _is_beside(address: str, port: int, ours: Ours) -> bool:
    """What the proxy has for containers, and on loopback beside each published port."""
    if address in ours.service_addresses:
        return True
    return address.startswith("127.") and (address, port) not in ours.local


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
        key = _place(one)
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
            elif _may_be_proxy(process, ours):
                known[pid] = _Who(maybe_proxy=True)
            else:
                known[pid] = _Who(process.name(), _container(pid, root, ours.containers))
        except (psutil.Error, OSError):
            known[pid] = _Who()
    return known[pid]


def _may_be_proxy(process: psutil.Process, ours: Ours) -> bool:
    """One that was just started is not known by its number yet. Its command line alone doesn't make it the proxy: anybody can choose that."""
    if not ours.proxy_folder or process.name() != PROXY_PROGRAM:
        return False
    return any(word.startswith(f"{ours.proxy_folder}/") for word in process.cmdline())


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
