"""What is measured, and how."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from tests.bench.contenders import Contender
from tests.cluster import wait_until

MIB = 1 << 20


@dataclass(frozen=True)
class Started:
    """Seconds from issuing the command: until the container runs, by the engine's own record of
    its start; and until the command returned."""

    running_s: float
    command_s: float


@dataclass(frozen=True)
class Usage:
    """One process with its children over a time: resident memory at the end, CPU in percent of a core."""

    resident_mib: float
    cpu_percent: float
    processes: int


def started_at(contender: Contender, name: str, count: int, timeout_s: float) -> list[float]:
    """When each of the `count` containers started, seconds since 1970; waits until they all run."""

    def starts() -> list[float]:
        label = f"label={contender.label(name)}"
        found = contender.call("ps", "-q", "--filter", label, "--filter", "status=running").split()
        if len(found) < count:
            return []
        inspected: list[dict[str, Any]] = json.loads(contender.call("inspect", *found))
        return [seconds_since_1970(item["State"]["StartedAt"]) for item in inspected]

    found: list[float] = wait_until(starts, f"{contender.name}: {count} containers run", timeout_s)
    return found


def time_start(contender: Contender, name: str) -> Started:
    begin, ticks = time.time(), time.monotonic()
    contender.start(name)
    command_s = time.monotonic() - ticks
    (start,) = started_at(contender, name, 1, 30)
    return Started(start - begin, command_s)


def time_scale(contender: Contender, name: str, replicas: int) -> float:
    """Seconds from issuing the command until the last container started."""
    begin = time.time()
    contender.scale(name, replicas)
    return max(started_at(contender, name, replicas, 180)) - begin


def usage(pids: Sequence[int], seconds: float) -> list[Usage]:
    """Watch processes, children included, for so many seconds."""
    before = [(_cpu(pid), time.monotonic()) for pid in pids]
    time.sleep(seconds)
    found = []
    for pid, (cpu, begin) in zip(pids, before):
        family = _family(pid)
        resident = sum(process.memory_info().rss for process in family)
        spent = _cpu(pid) - cpu
        found.append(Usage(resident / MIB, 100 * spent / (time.monotonic() - begin), len(family)))
    return found


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(pid: int) -> float:
    """CPU seconds so far, also of children that have ended and were waited for."""
    total = 0.0
    for process in _family(pid):
        times = process.cpu_times()
        total += times.user + times.system
    ended = psutil.Process(pid).cpu_times()
    return total + ended.children_user + ended.children_system


def seconds_since_1970(text: str) -> float:
    """An engine's time, RFC 3339 with nanoseconds in UTC, as seconds since 1970."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")
