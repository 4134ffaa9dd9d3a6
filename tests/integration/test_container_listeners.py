"""What containers listen on, looked at with real engines: declared, undeclared, and with the host's network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from hullmark.core.checks import JUDGES, Seen
from hullmark.engine import probes
from hullmark.engine.listenerlooks import Sources
from hullmark.host.eye import Eye
from hullmark.host.listeners import Ours, listeners, of_containers
from hullmark.model.app import ContainerSpec
from hullmark.model.control import Finding, Status
from tests.cluster import wait_until
from tests.integration.shipyard import IMAGE, Yard, single

KIND = "containers.listeners"


def serving(*places: str) -> ContainerSpec:
    """A container with a web server at each of the places (`PORT`, or `ADDRESS:PORT`)."""
    starts = "; ".join(f"httpd -p {place} -h /www" for place in places)
    return ContainerSpec(IMAGE, command=("sh", "-c", f"{starts}; sleep 600"), stop_grace_s=0)


def look(yard: Yard, told: Optional[Mapping[str, str]], **given: Any) -> Finding:
    """`told`: ports of services, as a leader would tell them."""
    known = None if told is None else {name: frozenset(text.split()) for name, text in told.items()}
    looks = probes.looks(yard.engine, Sources(lambda: known, of_containers))
    readings = looks[KIND](Eye(timeout_s=20), given)
    return JUDGES[KIND](Seen(readings, given, time.time(), 2))


def test_in_a_network_of_its_own(yard: Yard) -> None:
    container_id = yard.run(single("shop", serving("8080", "9000", "127.0.0.1:9001")))
    name = yard.engine.container(container_id).name
    only = {"shop/web": "8080/tcp"}
    wanted = f"{name} listens on 9000/tcp, which it did not declare"
    wait_until(lambda: look(yard, only).reason == wanted, wanted)
    assert look(yard, only).status is Status.FAIL
    assert look(yard, None).status is Status.ERROR
    assert look(yard, {"shop/db": "8080/tcp 9000/tcp"}).status is Status.FAIL
    assert look(yard, {"shop/web": "8080/tcp 9000/tcp"}).status is Status.PASS
    assert look(yard, only, **{"except": (f"{name} 9000/*",)}).status is Status.PASS


def test_with_the_hosts_network(yard: Yard) -> None:
    spec = replace(serving("18080", "127.0.0.1:45001"), network_mode="host")
    container_id = yard.run(single("shop", spec, "node"))
    name = yard.engine.container(container_id).name
    only = {"shop/node": "18080/tcp"}
    wanted = f"{name} listens on 45001/tcp, which it did not declare"
    wait_until(lambda: look(yard, only).reason == wanted, wanted)
    assert look(yard, {"shop/node": "18080/tcp 45001/tcp"}).status is Status.PASS
    # The ledger of ports knows whose process that is, too.
    facts = listeners(ours=Ours(containers={container_id: name}))
    assert [one.container for one in facts if one.port == 18080] == [name]
    yard.sdk.containers.get(container_id).stop(timeout=0)
    assert look(yard, only).status is Status.PASS
