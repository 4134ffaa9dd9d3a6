"""Apps for three hosts, and what a test wants to know of the engines' own history of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Callable

from tests.cluster import wait_until
from tests.e2e.history import Happening, History
from tests.fleet import IMAGE, Fleet, Host

MARGIN_S = 5.0
"""What a step may take beyond its own delays on a busy machine: deciding, telling, starting."""

SERVICE = f"""\
    image: {IMAGE}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
"""

STATEFUL = """\
  db:
{service}    volumes: [data:/data]
{deploy}  files:
{service}    volumes: ['{folder}:/files']
{deploy}  lone:
{service}    x-hullmark: {{on_host_lost: stop}}
{deploy}"""
PINNED = "    deploy: {{placement: {{constraints: [node.hostname == {host}]}}}}\n"
VOLUMES = "volumes: {data: {}}\n"


def web(replicas: int = 6, more: str = "", deploy: str = "") -> str:
    """A service that may run anywhere. `more`: lines of the service; `deploy`: of its `deploy`."""
    return f"  web:\n{SERVICE}{more}    deploy:\n      replicas: {replicas}\n{deploy}"


def apply(fleet: Fleet, app: str, services: str, *options: str, more: str = "") -> None:
    """`more`: what comes beside `services`."""
    file = fleet.folder / f"{app}.yaml"
    file.write_text(f"name: {app}\nservices:\n{services}{more}")
    fleet.hullmark("apply", "--wait", *options, str(file))


def shop(fleet: Fleet, folder: Path, home: str) -> None:
    """Six replaceable instances; a database with a volume, one with a bind and one that must never run
    twice are on `home`, although nothing asks for that host any more."""
    for deploy in (PINNED.format(host=home), ""):
        services = STATEFUL.format(service=SERVICE, folder=folder, deploy=deploy)
        apply(fleet, "shop", web() + services, more=VOLUMES)
    assert {"shop/db.1", "shop/files.1", "shop/lone.1"} < set(by_host(fleet, "shop")[home])


def by_host(fleet: Fleet, app: str, service: str = "") -> dict[str, list[str]]:
    """Slots of the running containers, by host; hosts without any too."""
    found: dict[str, list[str]] = {name: [] for name in fleet.hosts}
    for one in fleet.running(app):
        if service in ("", one.label("service")):
            found[one.host].append(one.slot)
    return found


def slots(app: str, service: str, number: int) -> list[str]:
    return [f"{app}/{service}.{slot}" for slot in range(1, number + 1)]


def runs_on(fleet: Fleet, wanted: Sequence[str], hosts: Iterable[str]) -> bool:
    """Whether each of the slots runs, once or more, on one of these hosts."""
    found = {one.slot for host in hosts for one in fleet.running(host=host)}
    return found.issuperset(wanted)


def runs_once(fleet: Fleet, wanted: Sequence[str]) -> bool:
    """Whether exactly these slots of their apps run, each of them once."""
    apps = {slot.partition("/")[0] for slot in wanted}
    return sorted(one.slot for one in fleet.running() if one.label("app") in apps) == sorted(wanted)


@contextlib.contextmanager
def listening(host: Host, *ports: int) -> Iterator[None]:
    """A program of the host, on each of its addresses."""
    code = "import socket, sys, time; s = [socket.create_server(('', int(p))) for p in sys.argv[1:]]; print(flush=True); time.sleep(1000)"
    command = [*host.network.inside, sys.executable, "-c", code, *map(str, ports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline()
            yield
        finally:
            program.kill()


def timed(condition: Callable[[], bool], what: str, within_s: float, begun: float = 0.0) -> float:
    """Seconds until the condition holds, since `begun` (monotonic) or now. Printed, and held against a limit."""
    begun = begun or time.monotonic()
    wait_until(condition, what, max(0.1, begun + within_s - time.monotonic()))
    took_s = time.monotonic() - begun
    print(f"MEASURED {what}: {took_s:.1f} s (limit {within_s:g} s)")
    return took_s


@contextlib.contextmanager
def history(fleet: Fleet) -> Iterator[Callable[[], list[Happening]]]:
    """What all engines do from now on; a call gives it in order of time (of one clock: this machine's)."""
    with contextlib.ExitStack() as stack:
        found = [
            stack.enter_context(History(host.engine.socket, fleet.cluster_id, name))
            for name, host in fleet.hosts.items()
        ]

        def happenings() -> list[Happening]:
            everything = [one for each in found for one in each.happenings()]
            return sorted(everything, key=lambda one: one.at_ns)

        yield happenings


def settle(seconds: float) -> None:
    """Wait for what must not happen."""
    time.sleep(seconds)


def started(happenings: Iterable[Happening], prefix: str = "") -> list[Happening]:
    return [one for one in happenings if one.action == "start" and one.slot.startswith(prefix)]


def made_elsewhere(happenings: Iterable[Happening], prefix: str, home: str) -> list[Happening]:
    """Containers of a service, and volumes of an app, made on another host than the one where they belong. Podman
    doesn't name the volume in its events: any counts."""
    app = prefix.partition("/")[0]
    return [
        one
        for one in happenings
        if one.action in ("create", "start")
        and one.host != home
        and (
            one.slot.startswith(prefix)
            or (not one.container_id and one.slot in ("", f"{app}_data"))
        )
    ]


def counts(happenings: Iterable[Happening], before: int, prefix: str) -> list[int]:
    """How many containers of a service run, after each of the engines' events."""
    found = [before]
    for one in happenings:
        change = {"start": 1, "die": -1}.get(one.action, 0)
        if change and one.slot.startswith(f"{prefix}."):
            found.append(found[-1] + change)
    return found
