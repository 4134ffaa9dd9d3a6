"""What controls cost: the agent of a booted host with Docker, all that is shipped switched on, and 50 containers with health checks.

    python -m tests.bench.controls [--quick] [--containers 50] [--minutes 10]

Two hosts: a master, and one with the tools of an audited shop, which run. A process of its own: it moves into namespaces. The packages
are those of this tree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.hosts.engines import SOCKETS
from tests.integration.daemon import load_image
from tests.integration.test_controls_clamav import KNOWN, daily
from tests.packaging.products import products

OUTPUT = Path("build/bench-controls.json")
IMAGE = "localhost/hullmark-bench:1"
APP = f"""\
name: bench
services:
  one:
    image: {IMAGE}
    command: [sleep, "100000"]
    init: true
    pull_policy: never
    stop_grace_period: 1s
    healthcheck: {{test: [CMD, "true"], interval: 30s}}
    deploy: {{replicas: COUNT}}
"""
CHRONY = "server {master} iburst minpoll 4 maxpoll 4\nmakestep 1 3\n"
SETTLE_S = 120.0
"""Each check was looked at by then, also those whose first look comes late."""
KINDS = Path(__file__).with_name("controls_by_check.py")


@dataclass(frozen=True)
class Used:
    """Of the agent: CPU in percent of a core, its own and of the programs that it ran; MiB; looks a minute. `busy`: how much of all cores
    other programs of the machine used meanwhile, in percent."""

    own_percent: float
    programs_percent: float
    resident_mib: float
    peak_mib: float
    proportional_mib: float
    threads: int
    busy_percent: float
    seconds: float

    @property
    def percent(self) -> float:
        return self.own_percent + self.programs_percent


def prepare(bed: Bed, containers: int) -> tuple[Host, Host]:
    """The master, and the host with its containers running."""
    with ThreadPoolExecutor(2) as pool:
        made = [
            pool.submit(bed.host, name, "bookworm-audited", engine)
            for name, engine in (("m1", ""), ("web1", "docker"))
        ]
        master, web = (one.result() for one in made)
    for host, package in ((master, "hullmark-master"), (web, "hullmark-agent")):
        host.use_repository(products().repo)
        host.install(package)
    begin_tools(master, web)
    master.run(["hullmark", "master", "init", "--address", master.address])
    master.run(["hullmark", "status", "--wait", "60s"], check=False)
    master.run(["hullmark", "invite", web.name, "--token-file", "/root/token"])
    web.write("/root/token", master.read("/root/token"), 0o600)
    web.run(["hullmark", "agent", "enroll", "--token-file", "/root/token"])
    load_image(f"unix://{web.path(SOCKETS['docker'])}", IMAGE)
    master.write("/root/compose.yaml", APP.replace("COUNT", str(containers)))
    master.run(["hullmark", "apply", "--wait", "/root/compose.yaml"], timeout_s=300.0)
    return master, web


def begin_tools(master: Host, web: Host) -> None:
    """What a host without a way out lacks: signatures, and a server of the time. The master's host has no need of the others."""
    master.run("systemctl stop clamav-daemon clamav-freshclam fail2ban", check=False)
    master.write("/etc/chrony/chrony.conf", "local stratum 8\nallow\n")
    master.run("systemctl restart chrony")
    folder = web.folder / "signatures"
    folder.mkdir()
    daily(folder, time.time(), KNOWN)
    web.put(folder / "daily.cud", "/var/lib/clamav/daily.cud")
    web.run("systemctl start clamav-freshclam; systemctl restart clamav-daemon", check=False)
    web.write("/etc/chrony/chrony.conf", CHRONY.format(master=master.address))
    web.run("systemctl restart chrony", check=False)


def agent_of(host: Host) -> int:
    return int(host.run("systemctl show -P MainPID hullmark-agent").stdout)


def used(host: Host, pid: int, seconds: float) -> Used:
    began, before, machine = time.monotonic(), _ticks(host, pid), _machine()
    time.sleep(seconds)
    took_s, after, later = time.monotonic() - began, _ticks(host, pid), _machine()
    hertz = os.sysconf("SC_CLK_TCK")
    own, programs = ((b - a) / hertz for a, b in zip(before, after))
    idle, whole = ((b - a) / hertz for a, b in zip(machine, later))
    status = _sizes(host.read(f"/proc/{pid}/status"))
    return Used(
        100 * own / took_s,
        100 * programs / took_s,
        status["VmRSS"] / 1024,
        status["VmHWM"] / 1024,
        _sizes(host.read(f"/proc/{pid}/smaps_rollup"))["Pss"] / 1024,
        status["Threads"],
        100 * (whole - idle - own - programs) / whole,
        took_s,
    )


def _ticks(host: Host, pid: int) -> tuple[int, int]:
    """Its own and its children's that were waited for."""
    fields = [
        int(word) for word in host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:15]
    ]
    return fields[0] + fields[1], fields[2] + fields[3]


def _machine() -> tuple[int, int]:
    """Ticks that all cores were idle, and all."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _sizes(text: str) -> dict[str, int]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    words = ((name, said.split()) for name, said in pairs)
    return {name: int(said[0]) for name, said in words if said and said[0].isdigit()}


def looks_per_minute(host: Host) -> float:
    """As the definitions in force have them."""
    return sum(60.0 / one["interval_s"] for one in by_check(host, 0))


def by_check(host: Host, times: int) -> list[dict[str, Any]]:
    """What a look of each check costs, looked at so many times outside of the agent; the dearest first."""
    host.put(KINDS, "/root/controls_by_check.py")
    done = host.run(["python3", "-IB", "/root/controls_by_check.py", str(times)], timeout_s=600.0)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return sorted(found, key=lambda one: -one["percent"])


def statuses(host: Host) -> dict[str, str]:
    try:
        controls = json.loads(host.read("/run/hullmark-agent/posture.json"))["posture"]["controls"]
    except FileNotFoundError:
        return {}
    return {name: str(one["status"]) for name, one in controls.items()}


def measure(quick: bool, containers: int = 50, minutes: Optional[float] = None) -> dict[str, Any]:
    with Bed() as bed:
        _, web = prepare(bed, containers)
        wait_until(lambda: len(statuses(web)) > 10, "the agent shows a posture", 60.0)
        time.sleep(SETTLE_S)
        pid = agent_of(web)
        found = used(web, pid, 60.0 * (minutes or (1 if quick else 10)))
        assert agent_of(web) == pid, "the agent is another process than before"
        return {
            "containers": containers,
            "statuses": statuses(web),
            "looks_per_minute": round(looks_per_minute(web), 1),
            **asdict(found),
            "percent": found.percent,
            "by_check": by_check(web, 2 if quick else 5),
        }


def measured(quick: bool) -> dict[str, Any]:
    """In a process of its own."""
    words = [sys.executable, "-m", "tests.bench.controls", *(["--quick"] if quick else [])]
    subprocess.run(words, check=True)
    found: dict[str, Any] = json.loads(OUTPUT.read_text())
    return found


def print_table(result: dict[str, Any]) -> None:
    print(
        f"\ncontrols with {result['containers']} containers, {result['seconds']:.0f} s, "
        f"{result['looks_per_minute']:g} looks a minute; others kept the machine {result['busy_percent']:.0f} % busy"
    )
    print(
        f"  agent {result['percent']:.2f} % of a core: itself {result['own_percent']:.2f} %, "
        f"programs {result['programs_percent']:.2f} %"
    )
    print(
        f"  resident {result['resident_mib']:.1f} MiB, at most {result['peak_mib']:.1f}, proportional "
        f"{result['proportional_mib']:.1f}, {result['threads']} threads"
    )
    print(f"  {'dearest checks':46}{'each':>8}{'ms':>8}{'programs':>10}{'% of a core':>13}")
    for one in result["by_check"][:15]:
        print(
            f"  {one['check']:46}{one['interval_s']:7g}s{one['own_ms']:8.1f}{one['programs_ms']:10.1f}"
            f"{one['percent']:13.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--containers", type=int, default=50)
    parser.add_argument("--minutes", type=float)
    given = parser.parse_args()
    result = measure(given.quick, given.containers, given.minutes)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    print_table(result)


if __name__ == "__main__":
    main()
