"""The ways to a service beside each other: requests a second, delay, bulk; how soon changes are served; what 1,000 services cost.

    python -m tests.bench.services [--quick] [--rounds 5] [--seconds 2] [--only ways|changes|size] [--way TEXT]

All in network namespaces of one machine, so what is compared is what each way costs the processor; no cable is in it. Adds `services` to build/bench.json.
Nothing passes or fails, but that no process of ours is in the way of `mode: host`: that is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from tests.bench import services_changes, services_size
from tests.bench.services_load import CONNECTIONS, Figures, Meter, Way, beside, medians
from tests.bench.services_paths import (
    ACROSS,
    BY_HAND,
    HOSTS,
    OUTSIDE,
    PUBLISHED,
    SAME,
    SERVICE,
    Bed,
)
from tests.bench.services_swarm import ENCRYPTED, PLAIN, Swarm, swarm
from tests.cluster import die_with_parent
from tests.integration.namespaces import enter_private_network

OUTPUT = Path("build/bench.json")
PARTS = ("ways", "changes", "size")
ROUNDS, QUICK_ROUNDS = 5, 2
SECONDS, QUICK_SECONDS = 2.0, 1.0
CHANGES, QUICK_CHANGES = 5, 2
RELOADS, QUICK_RELOADS = 5, 2
LEAST_RATIO, MOST_P99_MORE_MS = 0.9, 1.0
COMPARED = (
    (f"{SAME}: {SERVICE}", f"{SAME}: {BY_HAND}"),
    (f"{OUTSIDE}: {PUBLISHED}", f"{OUTSIDE}: {BY_HAND}"),
    (f"{ACROSS}: {SERVICE}, TLS", f"{ACROSS}: {BY_HAND}, TLS"),
    (f"{ACROSS}: {SERVICE}, TLS", f"{ACROSS}: {PLAIN}"),
    (f"{ACROSS}: {SERVICE}, TLS", f"{ACROSS}: {ENCRYPTED}"),
)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`enter_private_network` comes first."""
    quick, runs = options.quick, QUICK_CHANGES if options.quick else CHANGES
    found: dict[str, Any] = {"machine": _machine(), "load": {}}
    if not {"ways", "changes"}.isdisjoint(options.only):
        with swarm() as others, Bed(folder, others.serve_directly()) as bed:
            if "ways" in options.only:
                with _load_of(found, "ways"):
                    meter = Meter(folder, options.seconds)
                    found.update(_ways(bed, others, meter, options.rounds, options.way))
            if "changes" in options.only:
                with _load_of(found, "changes"):
                    found["changes"] = services_changes.measure(bed.fleet, runs)
    if "size" in options.only:
        with _load_of(found, "size"):
            found["size"] = services_size.measure(folder, QUICK_RELOADS if quick else RELOADS)
    return found


@contextlib.contextmanager
def _load_of(found: dict[str, Any], part: str) -> Iterator[None]:
    """What the machine was busy with: its load before and after."""
    before = os.getloadavg()[0]
    yield
    found["load"][part] = [round(before, 1), round(os.getloadavg()[0], 1)]


def _ways(bed: Bed, others: Swarm, meter: Meter, count: int, only: Sequence[str]) -> dict[str, Any]:
    ways, missing = list(bed.ways()), {}
    for way, encrypted in _overlays(others):
        why = others.why_not(way, encrypted=encrypted)
        if why:
            missing[way.key] = why
        else:
            ways.append(way)
    by_key = {way.key: way for way in ways}
    ways = [way for way in ways if not only or any(each in way.key for each in only)]
    rounds: dict[str, list[Figures]] = {way.key: [] for way in ways}
    for number in range(count):
        # There and back, so that none is always the one after the same other.
        for way in ways if number % 2 == 0 else reversed(ways):
            rounds[way.key].append(meter.measure(way))
        print(f"services, round {number + 1} of {count}", file=sys.stderr, flush=True)
    pair = by_key[f"{OUTSIDE}: {HOSTS}"], by_key[f"{OUTSIDE}: {PUBLISHED}"]
    return {
        "connections": CONNECTIONS,
        "ways": medians(rounds),
        "rounds": {key: [asdict(one) for one in each] for key, each in rounds.items()},
        "not_measured": missing,
        "beside": [
            {"way": way, "base": base, **beside(rounds, way, base)}
            for way, base in COMPARED
            if {way, base} <= set(rounds)
        ],
        "mode_host_while_ours_stand_still": asdict(bed.while_ours_stand_still(meter, *pair)),
    }


def _overlays(others: Swarm) -> Iterator[tuple[Way, bool]]:
    yield others.way(ACROSS, PLAIN, "plain"), False
    yield others.way(ACROSS, ENCRYPTED, "encrypted", "--opt", "encrypted"), True


def _machine() -> dict[str, Any]:
    said = subprocess.run(["haproxy", "-v"], stdout=subprocess.PIPE, text=True).stdout
    return {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "haproxy": said.split()[2] if said else "",
    }


def print_tables(found: dict[str, Any]) -> None:
    print(f"\nways to a service, {found['machine']['cores']} cores")
    for part, (before, after) in found["load"].items():
        print(f"  load of the machine, {part}: {before:g} before, {after:g} after")
    if "ways" in found:
        _print_ways(found)
    if "changes" in found:
        _print_changes(found["changes"])
    if "size" in found:
        _print_size(found["size"])


def _print_ways(found: dict[str, Any]) -> None:
    print(f"  {'':42}{'req/s':>8}{'p50':>10}{'p99':>10}{'conn/s':>8}{'p99':>10}{'Mbit/s':>8}")
    for way, one in found["ways"].items():
        failed = f"  {one['failed']:g} failed" if one["failed"] else ""
        print(
            f"  {way:42}{one['requests_per_s']:8.0f}{one['p50_ms']:7.2f} ms{one['p99_ms']:7.2f} ms"
            f"{one['connections_per_s']:8.0f}{one['connection_p99_ms']:7.2f} ms{one['bulk_mbit_per_s']:8.0f}{failed}"
        )
    for way, why in found["not_measured"].items():
        print(f"  {way:42}none: {why}")
    still = found["mode_host_while_ours_stand_still"]["requests_per_s"]
    print(f"  {HOSTS} with all processes of ours stopped: {still:.0f} req/s, none failed")
    for one in found["beside"]:
        print(f"  {one['way']}, beside {one['base']}:")
        print(
            f"    requests {one['requests']:.2f}, p99 {one['p99_more_ms']:+.2f} ms{_judged(one)};"
            f" connections {one['connections']:.2f}, bulk {one['bulk']:.2f}"
            f"{_processor(one)}"
        )


def _judged(one: dict[str, Any]) -> str:
    """The targets are about the same thing made by hand."""
    if BY_HAND not in one["base"]:
        return ""
    met = one["requests"] >= LEAST_RATIO and one["p99_more_ms"] <= MOST_P99_MORE_MS
    wanted = f"at least {LEAST_RATIO}, at most +{MOST_P99_MORE_MS:g} ms"
    return f" (target: {wanted}: {'met' if met else 'missed'})"


def _processor(one: dict[str, Any]) -> str:
    spent = one.get("processor")
    return f"; processor of the proxies for a request {spent:.2f}" if spent else ""


def _print_changes(found: dict[str, Any]) -> None:
    for title, key in (
        ("healthy until served by another host", "healthy_to_served_s"),
        ("killed until no request goes there", "killed_to_left_out_s"),
    ):
        each = found[key]
        middle, most = statistics.median(each), max(each)
        print(
            f"  {title:40}median {middle:.2f} s, longest {most:.2f} s of {len(each)} (target 1 s)"
        )


def _print_size(found: dict[str, Any]) -> None:
    print(f"  {found['services']} services, {found['instances']} instances")
    for name, size in found["bytes"].items():
        print(f"    {name:36}{size / 1024:8.0f} KiB")
    for title, key in (
        ("planned", "plan_s"),
        ("reloaded", "reload_s"),
        ("  of that on the processor", "reload_processor_s"),
        ("an app comes or goes (with a reload)", "app_more_or_less_s"),
        ("an instance made anew (without)", "instance_replaced_s"),
    ):
        print(f"    {title:36}{found[key]:8.2f} s")
    for title, key in (("memory, idle", "idle_mib"), ("memory, all of them", "loaded_mib")):
        one = found[key]
        print(
            f"    {title:36}{one['worker']:8.1f} MiB and main process {one['main']:.1f} MiB"
            f" (proportional: {one['proportional']:.1f} MiB)"
        )


def measured(quick: bool) -> dict[str, Any]:
    """By a process of its own, because it goes into namespaces of its own."""
    with tempfile.TemporaryDirectory(prefix="hm-services-") as folder:
        output = Path(folder) / "bench.json"
        command = [
            sys.executable,
            "-m",
            "tests.bench.services",
            "--output",
            str(output),
            "--silent",
        ]
        command += ["--quick"] if quick else []
        subprocess.run(command, check=True, preexec_fn=die_with_parent)
        found: dict[str, Any] = json.loads(output.read_text())["services"]
        return found


def _options(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make services-bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement of each round")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    parser.add_argument("--way", metavar="TEXT", action="append", help="only those named so")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--silent", action="store_true", help="no tables")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    options.only = options.only or list(PARTS)
    options.way = options.way or []
    return options


def main() -> None:
    options = _options()
    enter_private_network()
    folder = Path(tempfile.mkdtemp(prefix="hm-services-"))
    try:
        found = measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    before: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError):
        before = json.loads(options.output.read_text())
    # One part alone leaves the others of an earlier run as they are.
    former = before.get("services", {})
    kept = {**former, **found, "load": {**former.get("load", {}), **found["load"]}}
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({**before, "services": kept}, indent=2) + "\n")
    if not options.silent:
        print_tables(found)
        print(f"\nwritten to {options.output}")


if __name__ == "__main__":
    main()
