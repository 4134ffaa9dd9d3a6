"""Namespaces where packet filters, /run and the tools' files are the test's own; with ufw and firewalld in them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until

LOOK = """
import json, sys
from hullmark.core.checks import JUDGES, Seen
from hullmark.host.eye import Eye
from hullmark.host.probes import PROBES
from hullmark.model.checkkinds import KINDS
kind, changed = sys.argv[1], json.loads(sys.argv[2])
given = {**{name: one.default for name, one in KINDS[kind].parameters.items()}, **changed}
found = JUDGES[kind](Seen(PROBES[kind](Eye(timeout_s=15), given), given, 0.0, KINDS[kind].level))
print(json.dumps([found.status.value, found.level, found.reason]))
"""


class Room:
    """Namespaces where rules, /run and the tools' files are the test's own."""

    def __init__(self, pid: int) -> None:
        self.inside = ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt", "--"]

    def run(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            [*self.inside, *words], input=given, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.inside, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def look(self, kind: str, **changed: Any) -> tuple[str, int, str]:
        printed = self.run(sys.executable, "-c", LOOK, kind, json.dumps(changed))
        status, level, reason = json.loads(printed)
        return status, level, reason


@pytest.fixture
def room() -> Iterator[Room]:
    script = "mount --make-rprivate /; mount -t tmpfs none /run; ip link set lo up; echo ready; exec sleep infinity"
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-ec", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    try:
        with holder.stdout:
            assert holder.stdout.readline() == "ready\n"
        yield Room(holder.pid)
    finally:
        holder.kill()
        holder.wait()


@contextlib.contextmanager
def firewalld(room: Room, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    room.run("cp", "-r", "/etc/firewalld", str(folder))
    room.run("mount", "--bind", str(folder / "firewalld"), "/etc/firewalld")
    room.run("mkdir", "-p", "/run/dbus", "/run/systemd/system")
    bus = room.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
    try:
        socket = "/run/dbus/system_bus_socket"
        wait_until(
            lambda: "yes" in room.run("sh", "-c", f"[ -S {socket} ] && echo yes || true"), "a bus"
        )
        assert room.look("firewalls.firewalld") == ("fail", -1, "firewalld does not run")
        daemon = room.start("/usr/sbin/firewalld", "--nofork", "--nopid")
        try:
            wait_until(lambda: room.look("firewalls.firewalld")[0] == "pass", "firewalld")
            yield daemon
        finally:
            room.run("kill", "-CONT", str(daemon.pid))
            daemon.terminate()
            daemon.wait()
    finally:
        bus.terminate()
        bus.wait()
