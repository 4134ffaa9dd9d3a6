"""Ports that others listen on, from what the kernel would say."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple, Optional

import psutil
import pytest

from hullmark.host import listeners as module
from hullmark.host.listeners import (
    LISTENERS_MAX,
    Lasting,
    Ours,
    ephemeral_from,
    listeners,
    open_ports,
)
from hullmark.model.host import PROXY, Listener

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
NAMES = {1: "nginx", 2: "docker-proxy", 3: "chronyd", 70: "haproxy", 71: "haproxy", 72: "haproxy"}
FOLDER = "/var/lib/hullmark-proxy"
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

    def cmdline(self) -> list[str]:
        """Of the proxy's processes, and of an HAProxy that is the shop's."""
        folder = FOLDER if self.pid in (70, 71) else "/etc/haproxy"
        return ["haproxy", "-W", "-f", f"{folder}/haproxy.cfg"]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    found: list[Connection] = []
    monkeypatch.setattr(psutil, "net_connections", lambda kind: found)
    monkeypatch.setattr(psutil, "Process", Process)
    return found


def test_what_listens_is_listed_and_a_callers_udp_port_is_not(
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
        Listener(40000, "tcp", "0.0.0.0", "nginx"),
    )


def test_a_port_that_the_kernel_may_have_given_away_is_told_once_it_stays(tmp_path: Path) -> None:
    now = 100.0
    lasting = Lasting(lambda: now, tmp_path)
    fixed, early, late = (Listener(port, "tcp", "::", "x") for port in (8080, 40001, 40002))
    proxys = Listener(40443, "tcp", "192.0.2.1", PROXY)
    assert lasting.of((fixed, early)) == (fixed, early), "the first look tells all"
    now += 20.0
    assert lasting.of((fixed, early, late, proxys)) == (fixed, early, proxys)
    now += 20.0
    assert lasting.of((early, late)) == (early,), "two looks of one minute"
    now += 35.0
    assert lasting.of((early, late)) == (early, late)
    assert lasting.of((late,)) == (late,)
    assert lasting.of((early, late)) == (late,), "it was away in between"


def test_the_kernels_own_range_says_what_has_to_stay(tmp_path: Path) -> None:
    folder = tmp_path / "proc/sys/net/ipv4"
    folder.mkdir(parents=True)
    (folder / "ip_local_port_range").write_text("50000 60999\n")
    lasting = Lasting(lambda: 0.0, tmp_path)
    below, within = (Listener(port, "tcp", "::", "x") for port in (40000, 50000))
    assert lasting.of(()) == ()
    assert lasting.of((below, within)) == (below,)


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
        (40444, "haproxy"),
    ]


def test_what_is_published_on_loopback_alone_is_told_and_what_is_beside_others_is_not(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(port, 71, "127.0.0.1") for port in (443, 8080)]
    kernel.append(listening(443, 71, "192.0.2.1"))
    found = listeners(tmp_path, Ours(proxy=70, local={("127.0.0.1", 8080)}))
    assert [(one.port, one.address) for one in found] == [(443, "192.0.2.1"), (8080, "127.0.0.1")]


def test_a_proxy_that_is_not_known_yet_is_not_taken_for_another_program(
    kernel: list[Connection], tmp_path: Path
) -> None:
    kernel += [listening(7443, 71, "192.0.2.1"), listening(8443, 72, "192.0.2.1")]
    found = listeners(tmp_path, Ours(proxy_folder=FOLDER))
    assert [(one.port, one.process) for one in found] == [(8443, "haproxy")]
    before_its_restart = Ours(proxy=60, proxy_folder=FOLDER)
    found = listeners(tmp_path, before_its_restart)
    assert [(one.port, one.process) for one in found] == [(7443, ""), (8443, "haproxy")]


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


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
PROC = {
    # 22 listens, and so does 40095; 443 has a caller.
    "tcp": ("00000000:0016 00000000:0000 0A", "0100007F:9C9F 00000000:0000 0A", "0100007F:01BB 0100007F:9C40 01"),
    # 123 is bound, 68 is connected.
    "udp": ("00000000:007B 00000000:0000 07", "0100007F:0044 0100007F:0043 01"),
}  # fmt: skip


def proc(root: Path, more: str = "") -> Path:
    """As proc_pid_net(5) has it."""
    folder = root / "proc/net"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in PROC.items():
        told = [*([more] if more and name == "tcp" else []), *rows]
        lines = [f"  {at}: {row} 00000000:00000000 00:0 0 0 0 1\n" for at, row in enumerate(told)]
        (folder / name).write_text(HEAD + "".join(lines))
    return root


def test_what_is_open_is_told_from_what_is_not(tmp_path: Path) -> None:
    before = open_ports(proc(tmp_path))
    assert before == {("tcp", "00000000:0016"), ("udp", "00000000:007B")}
    after = open_ports(proc(tmp_path, "00000000:1F90 00000000:0000 0A"))
    assert after - before == {("tcp", "00000000:1F90")}


def test_where_nothing_can_be_seen_nothing_is_open(tmp_path: Path) -> None:
    assert open_ports(tmp_path) == frozenset()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("kind", [TCP, UDP])
def test_the_kernel_tells_of_a_port_that_is_opened(
    family: socket.AddressFamily, kind: socket.SocketKind
) -> None:
    here = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.socket(family, kind) as program:
        try:
            port = next(one for one in range(20000, 32768) if _taken(program, here, one))
        except StopIteration:
            pytest.skip("this machine has no such address")
        if kind == TCP:
            assert not _is_open(port)
            program.listen()
        assert _is_open(port)
    assert not _is_open(port)


def _is_open(port: int) -> bool:
    return any(int(place.rpartition(":")[2], 16) == port for _, place in open_ports())


def _taken(program: socket.socket, here: str, port: int) -> bool:
    try:
        program.bind((here, port))
    except OSError:
        return False
    return True
