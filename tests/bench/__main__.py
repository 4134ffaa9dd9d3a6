"""Run the bench, print the table, write build/bench.json. `--quick` takes fewer and shorter runs."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import audit, controls, hashing, hosts, policy, services
from tests.bench.contenders import (
    Contender,
    DockerRun,
    DockerRunOnNetwork,
    Hullmark,
    HullmarkOnBridge,
    Swarm,
)
from tests.bench.measures import Started, time_scale, time_start, usage
from tests.cluster import OneHostCluster
from tests.integration import engines

OUTPUT = Path("build/bench.json")
IMAGE = "localhost/hullmark-bench:1"
SCALE = 50


def starts(contenders: list[Contender], runs: int) -> dict[str, list[Started]]:
    """The contenders in turn, so that a machine whose speed drifts treats them alike."""
    found: dict[str, list[Started]] = {contender.name: [] for contender in contenders}
    for number in range(runs + 1):
        for contender in contenders:
            name = f"start{number}"
            measured = time_start(contender, name)
            contender.remove(name)
            if number:  # the first of each warms caches
                found[contender.name].append(measured)
    return found


def scales(contenders: list[Contender], runs: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(runs):
        for contender in contenders:
            name = f"scale{number}"
            time_start(contender, name)
            found[contender.name].append(time_scale(contender, name, SCALE))
            contender.remove(name)
    return found


def idle(hullmark: Hullmark, seconds: float) -> dict[str, Any]:
    """The daemons with 50 idle containers."""
    hullmark.start("idle")
    time_scale(hullmark, "idle", SCALE)
    pids = [hullmark.cluster.agent.pid, hullmark.cluster.master.pid]
    usage(pids, 5)  # let the work of scaling settle
    agent, master = usage(pids, seconds)
    hullmark.remove("idle")
    return {
        "agent": asdict(agent),
        "master": asdict(master),
        "containers": SCALE,
        "seconds": seconds,
    }


def print_table(result: dict[str, Any]) -> None:
    print(f"\n{'':28}{'median':>9}{'min':>9}{'max':>9}   of docker run")
    for title, key in (
        ("start one: until it runs", "start_running_s"),
        ("start one: command returns", "start_command_s"),
        (f"scale 1 to {SCALE}", "scale_s"),
    ):
        print(title)
        base = statistics.median(result[key]["docker run"])
        for name, values in result[key].items():
            middle = statistics.median(values)
            print(
                f"  {name:26}{middle:8.2f}s{min(values):8.2f}s{max(values):8.2f}s"
                f"   {middle / base:5.2f}  {middle - base:+.2f} s"
            )
    print(f"idle with {SCALE} containers, {result['idle']['seconds']:g} s")
    for name in ("agent", "master"):
        used = result["idle"][name]
        print(
            f"  {name:26}{used['resident_mib']:6.1f} MiB  {used['cpu_percent']:.2f} % of a core"
            f"  {used['processes']} process(es)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    folder = Path(tempfile.mkdtemp(prefix="hm-bench-"))
    try:
        result = measure(folder, quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["audit"] = audit.measured(quick)
    result["hashing"] = hashing.measured(quick)
    result["hosts"] = hosts.measure(quick)
    result["policy"] = policy.measure(quick)
    result["controls"] = controls.measured(quick)
    result["services"] = services.measured(quick)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    print_table(result)
    audit.print_table(result["audit"])
    hashing.print_table(result["hashing"])
    hosts.print_tables(result["hosts"])
    controls.print_table(result["controls"])
    services.print_tables(result["services"])
    print(f"\nwritten to {OUTPUT}")


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    # Swarm refuses a dockerd that keeps containers over its own restart.
    with engines.docker_engine(folder / "engine", live_restore=False) as engine:
        engines.load_image(engine.socket, IMAGE)
        docker = [engines.docker_command(), "-H", engine.socket]
        with OneHostCluster(folder / "cluster", engine.socket) as cluster:
            hullmark = Hullmark(docker, IMAGE, cluster)
            swarm = Swarm(docker, IMAGE)
            plain = DockerRun(docker, IMAGE)
            others: list[Contender] = [
                DockerRunOnNetwork(docker, IMAGE),
                HullmarkOnBridge(docker, IMAGE, cluster),
            ]
            swarm.begin()
            contenders = [plain, swarm, hullmark, *others]
            started = starts(contenders, 3 if quick else 15)
            scaled = scales(contenders, 1 if quick else 3)
            swarm.end()
            rest = idle(hullmark, 10 if quick else 60)
    return {
        "machine": {"kernel": platform.release(), "python": platform.python_version()},
        "start_running_s": {
            name: [one.running_s for one in all_] for name, all_ in started.items()
        },
        "start_command_s": {
            name: [one.command_s for one in all_] for name, all_ in started.items()
        },
        "scale_s": scaled,
        "idle": rest,
    }


if __name__ == "__main__":
    main()
