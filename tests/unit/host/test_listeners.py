"""Ports that others listen on, from what the kernel would say."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple, Optional

import psutil
import pytest

from hullmark.host import listeners as module
from hullmark.host.listeners import LISTENERS_MAX, Ours, ephemeral_from, listeners
from hullmark.model.host import Listener

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
NAMES = {1: "nginx", 2: "docker-proxy", 3: "chronyd", 70: "haproxy", 71: "haproxy", 72: "haproxy"}
ID = "5a" * 32


class Address(NamedTuple):
    ip: str
    port: int


class Connection(NamedTuple):
    type: int
    laddr: Address
    status: str = psutil.CONN_NONE
    pid: Optional[int] = None
    raddr: tuple[object, ...] = ()


def listening(port: int, pid: Optional[int] = None, ip: str = "0.0.0.0") -> Connection:
    return Connection(TCP, Address(ip, port), psutil.CONN_LISTEN, pid)


class Process:
    def __init__(self, pid: int) -> None:
        if pid not in NAMES:
            raise psutil.NoSuchProcess(pid)
        self.pid = pid

    def name(self) -> str:
        return NAMES[self.pid]

    def ppid(self) -> int:
        return 70 if self.pid == 71 else 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    found: list[Connection] = []
    monkeypatch.setattr(psutil, "net_connections", lambda kind: found)
    monkeypatch.setattr(psutil, "Process", Process)
    return found


def test_what_listens_is_listed_and_what_moves_is_not(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [
        listening(443, 1),
        listening(80, 9),
        listening(22),
        listening(40000, 1),
        Connection(TCP, Address("10.0.0.1", 90), "ESTABLISHED", 1, ("10.0.0.2", 5)),
        Connection(TCP, Address("10.0.0.1", 91), "TIME_WAIT"),
        Connection(UDP, Address("127.0.0.1", 323), pid=3),
        Connection(UDP, Address("10.0.0.1", 324), pid=3, raddr=("10.0.0.2", 123)),
        Connection(UDP, Address("0.0.0.0", 50000), pid=3),
    ]
    assert listeners(tmp_path) == (
        Listener(22, "tcp", "0.0.0.0", ""),
        Listener(80, "tcp", "0.0.0.0", ""),
        Listener(323, "udp", "127.0.0.1", "chronyd"),
        Listener(443, "tcp", "0.0.0.0", "nginx"),
    )


def test_ports_of_our_containers_are_theirs_and_of_others_not(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(port, 2) for port in (8080, 8081, 8082)]
    kernel.append(listening(8083, 1))
    found = listeners(tmp_path, Ours({("tcp", 8080)}, {("tcp", 8081), ("tcp", 8083)}))
    assert [(one.port, one.process) for one in found] == [(8082, "docker-proxy"), (8083, "nginx")]
    assert len(listeners(tmp_path, Ours({("udp", 8080)}))) == 4


def test_the_proxy_is_told_from_another_and_what_it_has_for_containers_is_left_out(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(443, 71, "192.0.2.1"), listening(8443, 72, "192.0.2.1")]
    kernel += [listening(5432, 70, "10.214.0.1"), listening(5433, 72, "10.214.0.1")]
    kernel += [listening(40443, 71, "192.0.2.1"), listening(40444, 72, "192.0.2.1")]
    found = listeners(tmp_path, Ours(proxy=70, service_addresses={"10.214.0.1"}))
    assert [(one.port, one.process) for one in found] == [
        (443, "hullmark-proxy"),
        (5433, "haproxy"),
        (8443, "haproxy"),
        (40443, "hullmark-proxy"),
    ]


def test_a_process_in_a_container_of_ours_is_told_with_its_container(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(80, 1), listening(81, 3)]
    for pid, group in ((1, f"0::/system.slice/docker-{ID}.scope"), (3, "0::/system.slice")):
        folder = tmp_path / "proc" / str(pid)
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text(group + "\n")
    assert listeners(tmp_path, Ours(containers={ID: "shop.web.1.g1"})) == (
        Listener(80, "tcp", "0.0.0.0", "nginx", "shop.web.1.g1"),
        Listener(81, "tcp", "0.0.0.0", "chronyd"),
    )


def test_one_port_is_listed_once_and_by_the_process_that_is_known(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(80, 9), listening(80, 1), listening(80, 3), listening(80, 9)]
    assert [one.process for one in listeners(tmp_path)] == ["chronyd"]


def test_there_are_no_more_than_a_report_can_hold(kernel: list[Connection], tmp_path: Path) -> None:
    kernel += [listening(port) for port in range(2000, 1000, -1)]
    found = listeners(tmp_path)
    assert [one.port for one in found] == list(range(1001, 1001 + LISTENERS_MAX))


def test_the_proxys_have_a_bound_of_their_own(kernel: list[Connection], tmp_path: Path) -> None:
    kernel += [listening(port, 70, "192.0.2.1") for port in range(2000, 3000)]
    kernel += [listening(port, 70, "127.0.0.1") for port in range(2000, 3000)]
    kernel += [listening(port) for port in range(5000, 6000)]
    found = listeners(tmp_path, Ours(proxy=70))
    assert len(found) == 1000 + LISTENERS_MAX
    assert {one.address for one in found if one.process == "hullmark-proxy"} == {"192.0.2.1"}


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), PermissionError(13, "denied")])
def test_where_they_cannot_be_seen_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def denied(_kind: str) -> list[Connection]:
        raise error

    said: list[str] = []
    monkeypatch.setattr(psutil, "net_connections", denied)
    monkeypatch.setattr(module._log, "warning", lambda message, **_: said.append(message))
    module._say_unseen.cache_clear()
    assert listeners() == listeners() == ()
    assert len(said) == 1


def test_the_range_of_the_kernel(tmp_path: Path) -> None:
    assert ephemeral_from(tmp_path) == 32768
    folder = tmp_path / "proc/sys/net/ipv4"
    folder.mkdir(parents=True)
    (folder / "ip_local_port_range").write_text("1024\t65000\n")
    assert ephemeral_from(tmp_path) == 1024
    (folder / "ip_local_port_range").write_text("none\n")
    assert ephemeral_from(tmp_path) == 32768
