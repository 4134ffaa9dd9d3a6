"""How many requests a second a host's policy is asked of: the judgement alone, without looking anything up. One thread.

.venv/bin/python -m tests.bench.policy
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hullmark
from hullmark.config import load_policy
from hullmark.core import judging
from tests.unit.core.policyworld import STRICT, body, policy, sights

PCI = Path(hullmark.__file__).parents[2] / "conf/policies/pci.yaml"
SECONDS = 2.0


def rate(judge: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    done, began = 0, time.perf_counter()
    while True:
        for _ in range(100):
            judge()
        done += 100
        took = time.perf_counter() - began
        if took >= seconds:
            return done / took


def measure(quick: bool) -> dict[str, Any]:
    """Creations of one container with mounts, volumes, networks, ports and limits, and its starts."""
    seconds = 0.2 if quick else SECONDS
    made = body()
    seen = sights(made)
    found: dict[str, Any] = {}
    for name, rules in (
        ("none", policy()),
        ("strict", policy(STRICT)),
        ("pci", load_policy(str(PCI))),
    ):
        found[f"creations_per_s_{name}"] = round(
            rate(lambda rules=rules: judging.judge_creation(made, seen, rules), seconds)  # type: ignore[misc]
        )
    said = inspected(made)
    strict = policy(STRICT)
    found["starts_per_s_strict"] = round(
        rate(lambda: judging.judge_start(said, seen, strict), seconds)
    )
    return found


def inspected(made: dict[str, Any]) -> dict[str, Any]:
    """Roughly as Docker would tell of it."""
    host = made["HostConfig"]
    mounts = [
        {
            **mount,
            "Name": mount.get("Source", ""),
            "Destination": mount["Target"],
            "RW": not mount.get("ReadOnly"),
        }
        for mount in host["Mounts"]
    ]
    return {
        "Config": {key: made[key] for key in ("Image", "Labels", "User")},
        "HostConfig": host,
        "Mounts": mounts,
        "NetworkSettings": {"Networks": {"shop_default": {}}},
    }


if __name__ == "__main__":
    print(json.dumps(measure(quick=False), indent=2))
