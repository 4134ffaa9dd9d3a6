"""How soon a change of a service's instances is what callers on another host get.

A service on web2, asked through its address by a program on web1 that makes a connection every few milliseconds. A second instance is
wanted: the clock starts when the engine's own record says that it is healthy, and stops with the first answer of it on the other host. Then it is killed, on the
condition that nobody starts it again: what counts is the last request that failed, or was answered by it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Optional

from tests.bench.services_load import HTTP, IMAGE, SERVES
from tests.cluster import die_with_parent, wait_until
from tests.e2e.service_apps import inside, one, wait_for_service
from tests.fleet import Container, Fleet

EVERY_S = 0.01
SETTLED_S = 1.0
SERVED_WITHIN_S = 1.0
"""What is aimed at."""
APP = f"""\
name: moving
services:
  some:
    image: {IMAGE}
    pull_policy: never
    command: {list(SERVES)}
    expose: ["{HTTP}"]
    stop_grace_period: 1s
    restart: "no"
    healthcheck: {{test: [CMD, /bin/busybox, wget, -q, -O, /dev/null, "http://127.0.0.1:{HTTP}/"], interval: 1s, retries: 3}}
    deploy: {{replicas: 1, placement: {{constraints: [node.hostname == web2]}}}}
  caller:
    image: {IMAGE}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
"""
ASK = """\
import json, select, socket, sys, time
host, port, every = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
request, seen, due = b"GET / HTTP/1.0\\r\\n\\r\\n", [], time.time()
print("begun", flush=True)
while not select.select([sys.stdin], [], [], max(0, due - time.time()))[0]:
    began, said = time.time(), b""
    try:
        with socket.create_connection((host, port), 2) as one:
            one.sendall(request)
            while part := one.recv(4096):
                said += part
    except OSError:
        said = b""
    words = said.rpartition(b"\\r\\n\\r\\n")[2].split()
    seen.append((began, time.time(), words[0].decode() if words else ""))
    due = began + every
json.dump(seen, sys.stdout)
"""


@dataclass(frozen=True)
class Asked:
    """`by`: the host name of the container that answered; empty where none did."""

    began: float
    ended: float
    by: str


class Caller:
    """From `with` to its end; `asked` is there afterwards."""

    def __init__(self, inside: Sequence[str], address: str) -> None:
        self._command = [*inside, sys.executable, "-S", "-c", ASK, address, str(HTTP), str(EVERY_S)]
        self._process: Optional[subprocess.Popen[str]] = None
        self.asked: tuple[Asked, ...] = ()

    def __enter__(self) -> Caller:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            preexec_fn=die_with_parent,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._process is not None
        said, _ = self._process.communicate(timeout=30)
        self.asked = tuple(Asked(*one) for one in json.loads(said))


def measure(fleet: Fleet, runs: int) -> dict[str, Any]:
    """Seconds of each run."""
    file = fleet.folder / "moving.yaml"
    file.write_text(APP)
    fleet.hullmark("apply", "--wait", str(file))
    caller = one(fleet, "moving", "caller", "web1")
    address = wait_for_service(caller, "some", HTTP, 40)
    served, left = [], []
    failed = 0
    for _ in range(runs):
        with Caller(inside(caller), address) as asking:
            first = one(fleet, "moving", "some")
            fleet.hullmark("scale", "moving/some=2")
            second, healthy_at = _second(fleet, first)
            time.sleep(SETTLED_S)
            killed_at = _kill(fleet, second)
            time.sleep(SETTLED_S)
            fleet.hullmark("scale", "--wait", "moving/some=1")
        name = second.inspected["Config"]["Hostname"]
        served.append(min(one.ended for one in asking.asked if one.by == name) - healthy_at)
        after = [each for each in asking.asked if each.ended > killed_at]
        not_well = [each.ended - killed_at for each in after if each.by in ("", name)]
        left.append(max(not_well, default=0.0))
        failed += sum(not each.by for each in after)
    fleet.hullmark("rm", "--wait", "moving")
    return {
        "healthy_to_served_s": [round(each, 3) for each in served],
        "killed_to_left_out_s": [round(each, 3) for each in left],
        "failed_after_kill": failed,
        "within_target": statistics.median(served) <= SERVED_WITHIN_S,
    }


def _second(fleet: Fleet, first: Container) -> tuple[Container, float]:
    """The other instance once it is healthy, and since when, by the engine's record."""

    def found() -> Optional[tuple[Container, float]]:
        for each in fleet.running("moving"):
            if each.label("service") == "some" and each.inspected["Id"] != first.inspected["Id"]:
                looks = each.inspected["State"]["Health"]["Log"] or []
                good = [_at(look["End"]) for look in looks if look["ExitCode"] == 0]
                return (each, min(good)) if good else None
        return None

    result: tuple[Container, float] = wait_until(found, "the second instance is healthy", 40)
    return result


def _at(text: str) -> float:
    """Docker writes these times with the machine's own offset."""
    whole, _, rest = text.partition(".")
    offset = "+00:00" if text.endswith("Z") else text[-6:]
    fraction = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    return datetime.fromisoformat(whole + offset).timestamp() + float(f"0.{fraction or 0}")


def _kill(fleet: Fleet, container: Container) -> float:
    """When the order was given."""
    client = fleet.hosts[container.host].engine.client()
    try:
        at = time.time()
        client.containers.get(container.inspected["Id"]).kill()
        return at
    finally:
        client.close()
