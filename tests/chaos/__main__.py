"""`make chaos`: rounds of seeded faults, a check of the history after each, and a ledger of the seeds that passed.

    make chaos ROUNDS=20             go on after the highest seed of the ledger
    make chaos ROUNDS=1 SEED=17      replay a seed

Writes build/chaos.json. What a failed round left is in build/chaos/SEED: the history and every log. Exit code 1 where a round failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.checker import Violation
from tests.chaos.rounds import Bed
from tests.integration.namespaces import enter_private_network

LEDGER = Path(__file__).parent / "ledger.txt"
OUTPUT = Path("build/chaos.json")
KEPT = Path("build/chaos")
PER_BED = 25
"""Rounds before the bed is made anew: the rules look at all of its history after each."""


def passed() -> list[int]:
    """The seeds of the ledger."""
    if not LEDGER.exists():
        return []
    lines = LEDGER.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()


def run(seeds: list[int], *, ledger: bool) -> list[dict[str, Any]]:
    """All rounds; a bed in which one failed is not used again."""
    results: list[dict[str, Any]] = []
    while seeds:
        folder = Path(tempfile.mkdtemp(prefix="hm-chaos-"))
        try:
            with Bed(folder / "bed") as bed:
                for result in _on(bed, seeds[:PER_BED]):
                    results.append(result)
                    _tell(result, ledger=ledger)
                    _write(results)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        done = {each["seed"] for each in results}
        seeds = [seed for seed in seeds if seed not in done]
    return results


def _on(bed: Bed, seeds: list[int]) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        began_s, faults, tries = time.monotonic(), len(bed.faults), len(bed.tries)
        broken: list[Violation] = bed.round(seed)
        yield {
            "seed": seed,
            "seconds": round(time.monotonic() - began_s, 1),
            "faults": [f"{one.name} ({one.target}): {one.proof}" for one in bed.faults[faults:]],
            "changes": sum(one.outcome == "done" for one in bed.tries[tries:]),
            "unknown": sum(one.outcome == "unknown" for one in bed.tries[tries:]),
            "terms": len({one.epoch for one in bed.pair.eye.reigns}),
            "broken": [str(one) for one in broken],
        }
        if broken:
            kept = KEPT / str(seed)
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            bed.keep(kept)
            return


def _tell(result: dict[str, Any], *, ledger: bool) -> None:
    verdict = "FAILED" if result["broken"] else "passed"
    print(
        f"{result['seed']:>6} {verdict} {result['seconds']:>5} s  {result['changes']} changes",
        flush=True,
    )
    for line in [*result["faults"], *result["broken"]]:
        print(f"       {line}", flush=True)
    if ledger and not result["broken"]:
        today = dt.datetime.now(dt.timezone.utc).date().isoformat()
        names = "; ".join(line.partition(" (")[0] for line in result["faults"])
        with LEDGER.open("a") as file:
            file.write(f"{result['seed']:>6} {today} {_commit()} {names}\n")


def _write(results: list[dict[str, Any]]) -> None:
    """After each round, so that a run that is ended early leaves what it found."""
    failed = [each["seed"] for each in results if each["broken"]]
    summary: dict[str, Any] = {
        "passed": len(results) - len(failed),
        "failed": failed,
        "ledger": len(set(passed())),
        "rounds": results,
    }
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(summary, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=max(passed(), default=0) + 1)
    parser.add_argument("--no-ledger", action="store_true", help="only try, and note nothing")
    asked = parser.parse_args()
    enter_private_network()
    seeds = list(range(asked.seed, asked.seed + asked.rounds))
    results = run(seeds, ledger=not asked.no_ledger)
    failed = sum(bool(each["broken"]) for each in results)
    print(f"{len(results) - failed} passed, {failed} failed; {len(set(passed()))} in the ledger")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
