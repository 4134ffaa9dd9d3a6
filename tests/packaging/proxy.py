"""The proxy of a booted host: which processes it has, whether it answers, and how long it is away when one is killed."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from dataclasses import dataclass

from tests.cluster import wait_until
from tests.hosts import Host

STATE = "/var/lib/hullmark-proxy"
RUN = "/run/hullmark-proxy"
BACK_S = 2.0
SETTLED_S = 3.0
"""More than the agent lets pass between two looks at it."""
RANGE = "10.214."


@dataclass(frozen=True)
class Proxy:
    host: Host

    def first(self) -> str:
        """The process id of HAProxy's first process; empty where there is none. While it is reloaded it writes that file anew, and its command line is
        empty for a moment."""
        command = f"""
            for try in $(seq 50); do
                if pid=$(cat {RUN}/pid); then
                    [ -z "$pid" ] || [ -e /proc/$pid ] || exit
                    case $([ -z "$pid" ] || tr '\\0' ' ' </proc/$pid/cmdline) in
                    *{RUN}/*) echo $pid && exit ;;
                    ?*) exit ;;
                    esac
                elif [ $try -gt 3 ]; then
                    exit
                fi
                sleep 0.05
            done"""
        return self.host.run(command, check=False).stdout.strip()

    def workers(self) -> list[str]:
        return self.host.run(f"pgrep -P {self.first() or 1} -x haproxy", check=False).stdout.split()

    def worker(self) -> str:
        """The only one. A proxy that was started anew has two for a moment: the agent has it load its files once more, within seconds."""
        known, since = self.workers(), time.monotonic()

        def is_settled() -> bool:
            nonlocal known, since
            found = self.workers()
            if len(found) != 1 or found != known:
                known, since = found, time.monotonic()
            return time.monotonic() - since > SETTLED_S

        wait_until(is_settled, "it has one worker", 20.0)
        return known[0]

    def answers(self) -> bool:
        """Whether what has the connections can be asked."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self.host.path(f"{RUN}/worker.sock")))
            connection.sendall(b"show info\n")
            return connection.recv(100).startswith(b"Name: HAProxy")
        return False

    def listens(self) -> list[str]:
        """Addresses and ports, whatever bridge each is for."""
        pids = [f"pid={pid}," for pid in (self.first(), *self.workers()) if pid]
        lines = self.host.run("ss -Hltnp").stdout.splitlines()
        held = [line.split()[3] for line in lines if any(pid in line for pid in pids)]
        return [re.sub("%[^:]*", "", place) for place in held]

    def addresses(self) -> list[str]:
        """Service addresses on the loopback device."""
        lines = self.host.run("ip -br -4 address show dev lo").stdout.split()
        return [word for word in lines if word.startswith(RANGE)]

    def wait_until_it_answers(self) -> None:
        wait_until(self.answers, "the proxy answers", 10.0)

    def comes_back_after_killing(self, pid: str) -> None:
        """Within the time that is promised, with all of its processes anew."""
        before = {self.first(), *self.workers()}
        assert pid in before
        self.host.run(["kill", "-KILL", pid])
        began = time.monotonic()
        wait_until(lambda: not self.answers() or not self._is_any_of(before), "it was away", 5.0)
        wait_until(lambda: self.answers() and not self._is_any_of(before), "it is back", 10.0)
        away_s = time.monotonic() - began
        assert away_s < BACK_S, f"it was away for {away_s:.1f} s"

    def _is_any_of(self, pids: set[str]) -> bool:
        return bool({self.first(), *self.workers()} & pids)

    def remains(self) -> list[str]:
        """Processes, sockets, and addresses on the loopback device."""
        running = self.host.run(["pgrep", "-af", f"{RUN}/|share/hullmark/proxy"], check=False)
        there = self.host.run(f"ls -d {RUN} {RUN}.pid", check=False)
        return [*running.stdout.splitlines(), *there.stdout.split(), *self.addresses()]
