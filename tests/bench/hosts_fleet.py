"""How many agents one master on one core holds: a simulated fleet in processes of its own, over mutual TLS.

The master has one core to itself, the fleet the others. Hosts are enrolled in the store before the master starts, with
certificates of the cluster's own authority. Then the fleet grows until the 99th percentile is over the limit.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from hullmark.masterd.folder import Folder
from hullmark.masterd.view import encode
from hullmark.model import names
from hullmark.model.host import HostRecord
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from hullmark.store.protocol import Put
from hullmark.store.sqlite import SqliteStore
from tests.bench.hosts_agents import host_id
from tests.cluster import Cluster, Daemon, die_with_parent

LIMIT_S = 0.25
SIZES = (250, 500, 1000, 2000, 4000)
QUICK_SIZES = (50, 100)
PER_HOST = 10
RESTART_EVERY_S = 60
"""Of one instance on each host: a fleet in bad health."""
PER_SERVICE = 5000
IMAGE = "registry.example/shop/image@sha256:" + "0f" * 32
MIB = 1 << 20


class SimulatedFleet(Cluster):
    """The master on the first core, agents on the others, before whatever else the machine does. `profile`: where the
    master's profile goes."""

    def __init__(self, folder: Path, hosts: int, profile: str = "") -> None:
        super().__init__(folder)
        self.hosts = hosts
        cores = sorted(os.sched_getaffinity(0))
        self.mine, self.others = cores[:1], cores[1:] or cores
        command = self.daemon("masterd", self.master_config)
        if profile:
            command[1:1] = ["-m", "cProfile", "-o", profile]
        self.master = Daemon("master", [*_alone_on(self.mine[0]), *command], folder / "master.log")
        self.parts: list[subprocess.Popen[str]] = []

    def set_up(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_master_config()
        self.hullmark("master", "init", "--config", str(self.master_config))
        self._enroll_all()
        self.master.start()
        self.wait_for_master()

    def _enroll_all(self) -> None:
        state = Folder(self.folder / "master")
        authority = Authority.load(state.pki)
        (self.folder / "root.pem").write_text(authority.root_pem)
        store = SqliteStore(state.store)
        with contextlib.closing(store):
            cluster = json.loads(getattr(store.get(names.CLUSTER_KEY), "value", b"{}"))
            writes = [
                self._enrolled(authority, cluster["cluster_id"], number)
                for number in range(self.hosts)
            ]
            for first in range(0, len(writes), 50):
                store.commit([], writes[first : first + 50])

    def _enrolled(self, authority: Authority, cluster_id: str, number: int) -> Put:
        """A certificate for a key of its own, and the host's record."""
        key, name = certificates.new_key(), host_id(number)
        request = certificates.new_request(key, name).decode()
        chain = authority.issue_host(request, cluster_id, name, time.time())
        (self.folder / f"{name}.pem").write_bytes(certificates.key_pem(key) + chain)
        newest = certificates.fingerprint(certificates.load_chain(chain, "certificate")[0])
        labels = {"zone": f"z{number % 3}", "rack": f"r{number % 20}"}
        return Put(
            names.HOSTS + name,
            encode(HostRecord(name, name, time.time(), labels, certificate_sha256=newest)),
        )

    def connect(self) -> float:
        """Start the fleet; seconds until every agent has its connections."""
        share = -(-self.hosts // len(self.others))
        for first, core in zip(range(0, self.hosts, share), self.others):
            count = min(share, self.hosts - first)
            arguments = [str(self.folder), str(self.agents_port), str(first), str(count)]
            self.parts.append(
                subprocess.Popen(
                    [
                        *_alone_on(core),
                        sys.executable,
                        "-m",
                        "tests.bench.hosts_agents",
                        *arguments,
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=die_with_parent,
                )
            )
        return max(float(answer["connected_s"]) for answer in self.answers())

    def tell(self, line: str) -> None:
        for part in self.parts:
            assert part.stdin is not None
            part.stdin.write(line + "\n")
            part.stdin.flush()

    def answers(self) -> Iterator[dict[str, Any]]:
        for part in self.parts:
            assert part.stdout is not None
            line = part.stdout.readline()
            if not line:
                raise RuntimeError("a part of the fleet has ended")
            yield json.loads(line)

    def stop(self) -> None:
        for part in self.parts:
            part.kill()
            part.wait()
        self.master.kill(signal.SIGTERM)  # so that it writes its profile


def measure(folder: Path, sizes: Sequence[int], seconds: float, profile: str = "") -> list[Any]:
    """One row for each size, until one is over the limit."""
    rows = []
    for hosts in sizes:
        with SimulatedFleet(folder / f"fleet{hosts}", hosts, profile) as fleet:
            rows.append(_row(fleet, seconds))
        if rows[-1]["restarts"]["worst_p99_s"] > LIMIT_S:
            break
    return rows


def _row(fleet: SimulatedFleet, seconds: float) -> dict[str, Any]:
    connected_s = fleet.connect()
    begin = time.monotonic()
    _apply(fleet)
    rolled_out_s = time.monotonic() - begin
    time.sleep(5)
    quiet = _watch(fleet, seconds)
    fleet.tell(f"restarts {RESTART_EVERY_S}")
    time.sleep(5)
    restarts = _watch(fleet, seconds)
    return {
        "hosts": fleet.hosts,
        "instances": fleet.hosts * PER_HOST,
        "connected_s": connected_s,
        "app_runs_s": rolled_out_s,
        "quiet": quiet,
        "restarts": restarts,
    }


def _apply(fleet: SimulatedFleet) -> None:
    """An app with ten instances for each host; returns when all of them are said to run."""
    left = fleet.hosts * PER_HOST
    services: list[str] = []
    while left > 0:
        replicas = min(left, PER_SERVICE)
        services.append(
            f"  s{len(services)}:\n    image: {IMAGE}\n    deploy: {{replicas: {replicas}}}\n"
        )
        left -= replicas
    file = fleet.folder / "app.yaml"
    file.write_text("name: big\nservices:\n" + "".join(services))
    fleet.hullmark("apply", "--wait", "--timeout", "300s", str(file), timeout_s=400)


def _watch(fleet: SimulatedFleet, seconds: float) -> dict[str, Any]:
    master = psutil.Process(fleet.master.pid)
    parts = [psutil.Process(part.pid) for part in fleet.parts]
    fleet.tell("begin")
    begin, used, others = time.monotonic(), _cpu(master), [_cpu(part) for part in parts]
    waited = _waited_s(master.pid)
    time.sleep(seconds)
    took = time.monotonic() - begin
    waits = (_waited_s(master.pid) - waited) / took
    share = (_cpu(master) - used) / took
    busiest = max((_cpu(part) - before) / took for part, before in zip(parts, others))
    fleet.tell("end")
    polls: list[float] = []
    short: list[float] = []
    for answer in fleet.answers():
        polls += answer["polls"]
        short += answer["short"]
    return {
        "polls": len(polls),
        "short": len(short),
        "poll_late_p50_s": quantile(polls, 0.5),
        "poll_late_p99_s": quantile(polls, 0.99),
        "short_p50_s": quantile(short, 0.5),
        "short_p99_s": quantile(short, 0.99),
        "worst_p99_s": max(quantile(polls, 0.99), quantile(short, 0.99)),
        "master_cpu": share,
        "master_waits": waits,
        "master_mib": master.memory_info().rss / MIB,
        "fleet_cpu": busiest,
    }


def quantile(values: Sequence[float], share: float) -> float:
    """0 where there is nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else 0.0


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _waited_s(pid: int) -> float:
    """How long its first thread was ready and had no core: what else this machine does (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def _alone_on(core: int) -> list[str]:
    """Before a command: on this core, before what else the machine does (sched(7): autogroups, nice)."""
    first = '{ echo -20 >/proc/self/autogroup; } 2>/dev/null; exec "$@"'
    return ["setsid", "sh", "-c", first, "sh", "nice", "-n", "-20", "taskset", "-c", str(core)]
