"""Checks of time against chronyd itself: one that serves, one that follows it. Neither sets a clock (-x), and no packet leaves the
machine: all is on loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status
from tests.integration.toolprocess import started, stopped, wait_for

KIND = "clocks.chrony_tracking"


class Chrony(NamedTuple):
    process: subprocess.Popen[bytes]
    command_port: int

    def look(self, **changed: object) -> Finding:
        given = {name: one.default for name, one in KINDS[KIND].parameters.items()}
        given.update(address="127.0.0.1", port=self.command_port, **changed)
        return judge(KIND, PROBES[KIND](Eye(timeout_s=10), given), given)


def judge(kind: str, readings: tuple[Reading, ...], given: dict[str, object]) -> Finding:
    return JUDGES[kind](Seen(readings, given, time.time(), KINDS[kind].level))


@contextlib.contextmanager
def chronyd(folder: Path, name: str, *lines: str) -> Iterator[Chrony]:
    port = free_port()
    configuration = folder / f"{name}.conf"
    own = ("bindcmdaddress /", f"cmdport {port}", f"pidfile {folder}/{name}.pid")
    configuration.write_text("\n".join([*lines, *own]) + "\n")
    command = ["/usr/sbin/chronyd", "-x", "-n", "-u", "root", "-f", str(configuration)]
    with started(command, folder / f"{name}.log") as process:
        yield Chrony(process, port)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory, server_port) -> Iterator[Chrony]:
    lines = ("local stratum 3", "allow 127.0.0.0/8", "bindaddress 127.0.0.1", f"port {server_port}")
    with chronyd(tmp_path_factory.mktemp("server"), "server", *lines) as one:
        yield one


@pytest.fixture(scope="module")
def client(tmp_path_factory, server, server_port) -> Iterator[Chrony]:
    source = f"server 127.0.0.1 port {server_port} iburst minpoll -3 maxpoll -3"
    with chronyd(tmp_path_factory.mktemp("client"), "client", source, "port 0") as one:
        yield one


def test_one_that_follows_a_server(client) -> None:
    found = wait_for(client.look, lambda found: found.status is Status.PASS)
    assert found.level == 2
    assert "stratum 4" in found.reason


def test_one_whose_clock_is_far(tmp_path, server, server_port) -> None:
    """Told to take the server's time for one that is 2.5 s off, and not allowed to set the clock."""
    source = f"server 127.0.0.1 port {server_port} iburst minpoll -3 maxpoll -3 offset 2.5"
    with chronyd(tmp_path, "far", source, "port 0") as far:
        found = wait_for(far.look, lambda found: "ms off" in found.reason)
        assert (found.status, found.reason) == (
            Status.FAIL,
            "the clock is 2500 ms off, more than 1000 ms",
        )


def test_its_process(client) -> None:
    kind = "clocks.chrony_running"
    assert judge(kind, PROBES[kind](Eye(), {}), {}) == Finding(Status.PASS, 1)
    with stopped(client.process.pid):
        found = judge(kind, PROBES[kind](Eye(), {}), {})
        assert found.status is Status.FAIL
        assert f"process {client.process.pid} is stopped" in found.reason


def test_one_that_is_stopped_does_not_answer(client) -> None:
    with stopped(client.process.pid):
        assert client.look().status is Status.FAIL


def test_a_server_that_falls_silent(client, server) -> None:
    """What it measured last is still young: it is the sources that tell."""
    wait_for(client.look, lambda found: found.status is Status.PASS)
    with stopped(server.process.pid):
        found = wait_for(client.look, lambda found: found.status is Status.FAIL)
        assert found.reason == "0 of 1 time sources answer"
    wait_for(client.look, lambda found: found.status is Status.PASS)


def test_one_with_its_own_clock_only(server) -> None:
    assert server.look().reason == "chronyd takes the host's own clock for its reference"
    assert server.look(local_allowed=True).status is Status.PASS


def test_one_without_a_source(tmp_path) -> None:
    with chronyd(tmp_path, "alone", "port 0") as alone:
        found = wait_for(alone.look, lambda found: "not synchronised" in found.reason)
        assert found.status is Status.FAIL


def test_none_runs(tmp_path) -> None:
    with chronyd(tmp_path, "gone", "port 0") as gone:
        wait_for(gone.look, lambda found: "not synchronised" in found.reason)
    found = gone.look()
    assert (found.status, "506 Cannot talk to daemon" in found.reason) == (Status.FAIL, True)


def test_systemd_without_a_manager() -> None:
    """timedatectl can say nothing where systemd is not the host's first process."""
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs here")
    seen = Eye().run("timedatectl", ["timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"])
    program = Reading("program", "systemd-timesyncd")
    alive = Reading("processes", "", text="7\tS\t0\t/lib/systemd/systemd-timesyncd\t-")
    found = judge("clocks.timesyncd_synchronized", (program, alive, seen), {})
    assert found.status is Status.ERROR
    assert "not understood, exit code 1" in found.reason
