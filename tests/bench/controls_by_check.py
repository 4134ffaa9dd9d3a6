"""On a host with the agent: what a look of each of its controls' checks costs. Prints JSON.

    python3 -IB controls_by_check.py TIMES

One look after the other, in this process alone, so that what programs used is told apart. Checks of parts of the agent itself, watched
files and receipts, are not among them.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from typing import Any

sys.path.insert(0, "/usr/share/hullmark")

from hullmark.agentd.lookers import assemble
from hullmark.agentd.looking import Looking
from hullmark.agentd.results import tasks_of
from hullmark.config import load_controls, shipped_controls
from hullmark.engine import probes
from hullmark.engine.docker_api import DockerApiEngine
from hullmark.model.control import Reading, Status


def main() -> None:
    times = int(sys.argv[1])
    engine = DockerApiEngine("unix:///run/docker.sock")
    looking = Looking(assemble(probes.looks(engine), observing=lambda: False), threading.Event())
    controls = load_controls(shipped_controls())
    found = [look_at(looking, task, times) for task in tasks_of(controls.specs)]
    print(json.dumps(found))


def look_at(looking: Looking, task: Any, times: int) -> dict[str, Any]:
    """`percent` is of a core, at its interval."""
    own = programs = 0.0
    status = Status.NOT_RUN
    before: tuple[Reading, ...] = ()
    for _ in range(times):
        cpu, children = time.process_time(), _programs_s()
        looked = looking.look(task, before)
        own += time.process_time() - cpu
        programs += _programs_s() - children
        status, before = looked.finding.status, looked.readings
    each_s = (own + programs) / max(1, times)
    return {
        "check": "/".join(task.key),
        "kind": task.check.kind,
        "status": status.value,
        "interval_s": task.check.interval_s,
        "own_ms": 1000 * own / max(1, times),
        "programs_ms": 1000 * programs / max(1, times),
        "readings_bytes": sum(len(one.text) + len(one.errors) for one in before),
        "percent": 100 * each_s / task.check.interval_s,
    }


def _programs_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
