"""`make hosts-bench`, also a part of `make bench`: many hosts. Three measurements in one run, nothing passes or fails.

1. the scheduler on a large cluster, as a pure function on one core;
2. how many agents one master on one core holds;
3. how long a lost host's instances are away, beside Docker Swarm.

`--quick` takes fewer, smaller and shorter ones. `--profile FILE` writes a profile of the simulated fleet's master.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import hosts_fleet, hosts_loss, hosts_schedule
from tests.cluster import die_with_parent

OUTPUT = Path("build/hosts-bench.json")
PARTS = ("schedule", "fleet", "loss")
WATCH_S, QUICK_WATCH_S = 30.0, 10.0
LOSSES, QUICK_LOSSES = 3, 1


def measure(quick: bool, parts: tuple[str, ...] = PARTS, profile: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "schedule" in parts:
        sizes = hosts_schedule.QUICK if quick else hosts_schedule.FULL
        found["schedule"] = [hosts_schedule.measure(size) for size in sizes]
    if "fleet" in parts:
        found["fleet"] = _fleet(quick, profile)
    if "loss" in parts:
        runs = QUICK_LOSSES if quick else LOSSES
        # A process of its own, because it goes into namespaces of its own.
        command = [sys.executable, "-m", "tests.bench.hosts_loss", str(runs)]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
        )
        found["loss_s"] = json.loads(done.stdout)
    return found


def _fleet(quick: bool, profile: str) -> list[Any]:
    folder = Path(tempfile.mkdtemp(prefix="hm-fleet-"))
    sizes = hosts_fleet.QUICK_SIZES if quick else hosts_fleet.SIZES
    try:
        return hosts_fleet.measure(folder, sizes, QUICK_WATCH_S if quick else WATCH_S, profile)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def print_tables(found: dict[str, Any]) -> None:
    if "schedule" in found:
        _print_schedule(found["schedule"])
    if "fleet" in found:
        _print_fleet(found["fleet"])
    if "loss_s" in found:
        print(f"\n{'a host is lost':28}{'median':>9}{'min':>9}{'max':>9}   of Swarm")
        print("\n".join(hosts_loss.table(found["loss_s"])))


def _print_schedule(rows: list[Any]) -> None:
    print(f"\nscheduler, one core{'':9}{''.join(_size(row) for row in rows)}")
    for title, key, form in (
        ("placements a second", "placements_per_s", "{:15,.0f}"),
        ("first plan of all", "first_plan_s", "{:14.2f}s"),
        ("  as transactions", "encode_s", "{:14.2f}s"),
        ("plan with nothing to do", "nothing_to_do_s", "{:14.2f}s"),
        ("plan with one more app", "one_more_app_s", "{:14.2f}s"),
        ("plan with one host lost", "one_host_lost_s", "{:14.2f}s"),
    ):
        print(f"  {title:26}{''.join(form.format(row[key]) for row in rows)}")


def _size(row: dict[str, Any]) -> str:
    return f"{row['hosts']} / {row['instances']}".rjust(15)


def _print_fleet(rows: list[Any]) -> None:
    print(
        f"\n{'agents / instances':20}{'poll late p50':>15}{'p99':>8}{'short p50':>11}{'p99':>8}",
        end="",
    )
    print(f"{'master CPU':>12}{'waits':>7}{'memory':>10}{'fleet CPU':>11}")
    for row in rows:
        for name, title in (("quiet", ""), ("restarts", "  with restarts")):
            seen = row[name]
            size = title or f"{row['hosts']} / {row['instances']}"
            print(
                f"{size:20}{seen['poll_late_p50_s'] * 1000:12.0f} ms{seen['poll_late_p99_s'] * 1000:5.0f} ms"
                f"{seen['short_p50_s'] * 1000:8.0f} ms{seen['short_p99_s'] * 1000:5.0f} ms"
                f"{seen['master_cpu'] * 100:10.0f} %{seen['master_waits'] * 100:5.0f} %"
                f"{seen['master_mib']:6.0f} MiB{seen['fleet_cpu'] * 100:9.0f} %"
            )
    limit_ms = hosts_fleet.LIMIT_S * 1000
    held = [row["hosts"] for row in rows if row["restarts"]["worst_p99_s"] <= hosts_fleet.LIMIT_S]
    print(f"  held with a 99th percentile below {limit_ms:.0f} ms: {max(held, default=0)} agents")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make hosts-bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    parser.add_argument("--profile", default="", metavar="FILE")
    options = parser.parse_args()
    found = measure(options.quick, tuple(options.only or PARTS), options.profile)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")
    print_tables(found)
    print(f"\nwritten to {OUTPUT}")


if __name__ == "__main__":
    main()
