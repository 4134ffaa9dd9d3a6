"""`python -m tests.bench.audit`, also a part of `make bench`: the audit log. Nothing passes or fails.

1. durable records a second, by one writer and by eight, beside bare writes of the same lines with an `fdatasync` after each;
2. records verified a second, on one core.

In turn, several times: disks differ from one second to the next. `--folder` chooses the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from hullmark.core.chain import Verifier
from hullmark.host.auditfile import AuditFile
from hullmark.host.auditreading import files_of
from hullmark.model.audit import Actor, Entry, Outcome, Stage
from hullmark.model.auditline import line_of

OUTPUT = Path("build/audit-bench.json")
TURNS, QUICK_TURNS = 5, 2
TURN_S, QUICK_TURN_S = 2.0, 0.5
WRITERS = (1, 8)
VERIFIED = 100_000
ENTRY = Entry(
    "container.start",
    "shop/api.2",
    by="alice",
    actor=Actor.HUMAN,
    origin="10.0.0.7",
    ticket="CHG-1234",
    request_id="0f8fad5b-d9cb-469f-a165-70867728950e",
    epoch="1.41",
    container_id="c" * 64,
    image_digest="sha256:" + "d" * 64,
)
BOOT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def measure(quick: bool, folder: Path) -> dict[str, Any]:
    turns, seconds = (QUICK_TURNS, QUICK_TURN_S) if quick else (TURNS, TURN_S)
    bare: list[float] = []
    records: dict[int, list[float]] = {writers: [] for writers in WRITERS}
    log = AuditFile(folder / "audit.log", "host:bench", BOOT, last=folder / "audit.last")
    for _ in range(turns):
        bare.append(_bare(folder / "bare", seconds))
        for writers in WRITERS:
            records[writers].append(_written(log, writers, seconds))
    log.close()
    return {
        "line_bytes": len(_line()),
        "bare_fdatasync_per_s": bare,
        "records_per_s": {str(writers): rates for writers, rates in records.items()},
        "verified_per_s": [_verified(folder / "audit.log") for _ in range(3)],
    }


def _line() -> bytes:
    return line_of(
        ENTRY, seq=1, prev="0" * 64, log="host:bench", boot=BOOT, at="2026-11-29T05:40:01.123456Z"
    )


def _bare(path: Path, seconds: float) -> float:
    line, count = _line(), 0
    stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        os.write(stream, line)
        os.fdatasync(stream)
        count += 1
    took = time.monotonic() - began
    os.close(stream)
    path.unlink()
    return count / took


def _written(log: AuditFile, writers: int, seconds: float) -> float:
    """As the gate does: an intent, then its outcome."""
    counts = [0] * writers
    began = time.monotonic()

    def write(number: int) -> None:
        intent = Entry(**{**vars(ENTRY), "stage": Stage.INTENT, "outcome": Outcome.PENDING})
        while time.monotonic() - began < seconds:
            seq = log.append(intent)
            log.append(Entry(**{**vars(ENTRY), "stage": Stage.OUTCOME, "of": seq}))
            counts[number] += 2

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def _verified(path: Path) -> float:
    lines: list[bytes] = []
    for file in files_of(path):
        lines += file.path.read_bytes().splitlines(keepends=True)
    lines = lines[:VERIFIED]
    verifier = Verifier()
    began = time.process_time()
    for line in lines:
        assert verifier.feed(line) is None
    return len(lines) / (time.process_time() - began)


def print_table(found: dict[str, Any]) -> None:
    base = statistics.median(found["bare_fdatasync_per_s"])
    print(f"\n{'audit log':34}{'median':>10}{'min':>10}{'max':>10}   of bare fdatasync")
    rows = [("bare write and fdatasync", found["bare_fdatasync_per_s"])]
    for writers, rates in found["records_per_s"].items():
        rows.append((f"durable records/s, {writers} writer(s)", rates))
    rows.append(("records verified/s, one core", found["verified_per_s"]))
    for title, rates in rows:
        middle = statistics.median(rates)
        ratio = "" if "verified" in title else f"   {middle / base:5.2f}"
        print(f"  {title:32}{middle:10,.0f}{min(rates):10,.0f}{max(rates):10,.0f}{ratio}")


def measured(quick: bool, where: str = "") -> dict[str, Any]:
    """In a folder of its own, below `where`."""
    folder = Path(tempfile.mkdtemp(prefix="hm-audit-", dir=where or None))
    try:
        return measure(quick, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", default="", help="a folder on the disk to measure")
    options = parser.parse_args()
    found = measured(options.quick, options.folder)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")
    print_table(found)
    print(f"\nwritten to {OUTPUT}")


if __name__ == "__main__":
    main()
