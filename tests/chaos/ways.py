"""An app whose services call each other, and whether they do: from each host, by name, and nobody who may not.

caller     one on each host, on the network of `one`
one        two of the three hosts have it, so on the third each call goes to another host
stranger   on a network of its own
"""

from __future__ import annotations

import contextlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests import reach
from tests.fleet import IMAGE, Container

APP = "asked"
PORT = 8080
SERVICES = f"""\
name: {APP}
services:
  one: &one
    image: {IMAGE}
    init: true
    pull_policy: never
    stop_grace_period: 1s
    expose: ["{PORT}"]
    networks: [back]
    deploy: {{replicas: 2, placement: {{max_replicas_per_node: 1}}}}
    x-hullmark: {{on_host_lost: keep}}
  caller: &caller
    image: {IMAGE}
    command: [sleep, "100000"]
    init: true
    pull_policy: never
    stop_grace_period: 1s
    networks: [back]
    deploy: {{replicas: 3, placement: {{max_replicas_per_node: 1}}}}
    x-hullmark: {{on_host_lost: keep}}
  stranger:
    <<: *caller
    networks: [apart]
    deploy: {{replicas: 1}}
networks: {{back: {{}}, apart: {{}}}}
"""
ADDRESSES = "10.214."
"""How service addresses begin."""


@dataclass(frozen=True)
class Ways:
    """`why`: what is not reached that should be. `intruders`: who was answered, and may not be."""

    why: str = ""
    intruders: tuple[str, ...] = ()


def look(containers: list[Container]) -> Ways:
    """Of containers that run."""
    own = [one for one in containers if one.running and one.label("app") == APP]
    callers = [one for one in own if one.label("service") == "caller"]
    strangers = [one for one in own if one.label("service") == "stranger"]
    named = {one.host: _named(one) for one in callers}
    nameless = [host for host, address in named.items() if not address]
    if nameless or not strangers or len(callers) < 3:
        return Ways(f"callers on {sorted(named)}, {nameless} know no `one`, strangers {strangers}")
    if len(set(named.values())) > 1:
        return Ways(f"its address is not the same everywhere: {named}")
    address = next(iter(named.values()))
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda one: _asked(one, address), [*callers, *strangers]))
    unheard = [
        f"{one.host}: {outcome}"
        for one, outcome in zip(callers, found)
        if outcome != reach.ANSWERED
    ]
    intruders = tuple(
        f"{one.slot} on {one.host}"
        for one, outcome in zip(strangers, found[len(callers) :])
        if outcome == reach.ANSWERED
    )
    return Ways(f"{address} does not answer on {unheard}" if unheard else "", intruders)


def _named(caller: Container) -> str:
    """What its hosts file says of `one`, if that is a service address."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{caller.inspected['State']['Pid']}/root/etc/hosts").read_text()
        for line in text.splitlines():
            address, *names = line.split() or [""]
            if "one" in names and address.startswith(ADDRESSES):
                return address
    return ""


def _asked(caller: Container, address: str) -> Optional[str]:
    """None where the container is gone."""
    inside = ["nsenter", f"--net=/proc/{caller.inspected['State']['Pid']}/ns/net", "--"]
    target = (address, PORT)
    with contextlib.suppress(subprocess.SubprocessError):
        return reach.ask(inside, [target])[target]
    return None
