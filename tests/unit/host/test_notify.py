"""What a service manager hears, and from whom."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.host.notify import ServiceManager, service_manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def heard(manager: socket.socket) -> list[str]:
    """All that has come so far."""
    manager.setblocking(False)
    found = []
    try:
        while True:
            found.append(manager.recv(1000).decode())
    except BlockingIOError:
        return found


def test_each_word_is_a_datagram(manager: socket.socket) -> None:
    told = service_manager({"NOTIFY_SOCKET": manager.getsockname()})
    told.ready()
    told.status("Waits.\nFor you.")
    told.status("Waits.\nFor you.")
    told.status("Serves.")
    told.reloading()
    told.stopping()
    ready, first, second, reloading, stopping = heard(manager)
    assert ready == "READY=1"
    assert (first, second) == ("STATUS=Waits. For you.", "STATUS=Serves.")
    word, since = reloading.splitlines()
    assert word == "RELOADING=1"
    assert int(since.partition("MONOTONIC_USEC=")[2]) > 0
    assert stopping == "STOPPING=1"


def test_a_socket_without_a_file_is_reached_too() -> None:
    name = f"\0hullmark-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        service_manager({"NOTIFY_SOCKET": f"@{name[1:]}"}).ready()
        assert heard(listening) == ["READY=1"]


def test_it_beats_at_half_the_time_and_not_more_often(manager: socket.socket) -> None:
    now = [100.0]
    told = ServiceManager(manager.getsockname(), 15.0, clock=lambda: now[0])
    for at in (100.0, 101.0, 113.0, 114.9, 116.0, 129.9):
        now[0] = at
        told.beat()
    assert heard(manager) == ["WATCHDOG=1"] * 3


def test_processes_that_we_start_do_not_speak_in_our_name() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "PATH": "/bin"}
    environment["WATCHDOG_PID"] = str(os.getpid())
    assert service_manager(environment).beat_s == 15.0
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "/x"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "30000000"},
    ],
)
def test_no_sign_of_life_where_none_is_wanted_of_us(environment: dict[str, str]) -> None:
    assert service_manager(environment).beat_s is None


def test_nobody_there_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager().ready()
    assert not caplog.records
    with caplog.at_level("WARNING", "hullmark"):
        ServiceManager(str(tmp_path / "gone")).ready()
    assert [record.message for record in caplog.records] == ["the service manager was not told"]


def test_one_that_listens_until_we_are_ready_is_no_trouble_afterwards(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    told = ServiceManager(manager.getsockname())
    told.ready()
    manager.close()
    with caplog.at_level("INFO", "hullmark"):
        told.status("Serves.")
        told.stopping()
    assert not caplog.records
