"""A bridge's hardware address: the kernel changes it with what is plugged into it, until it is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from hullmark.errors import Refused
from hullmark.host import bridgeaddress
from tests.integration.namespaces import HostNetwork

BRIDGE = "brk0"
FIRST, LOWER, LOWEST = "02:00:00:00:00:09", "02:00:00:00:00:05", "02:00:00:00:00:01"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def address(name: str = BRIDGE) -> str:
    (link,) = json.loads(ip("-json", "link", "show", "dev", name))
    return str(link["address"])


def plug(name: str, hardware: str) -> None:
    """A pair as a container has it, one end in the bridge."""
    ip("link", "add", name, "address", hardware, "type", "veth", "peer", "name", f"{name}p")
    ip("link", "set", name, "master", BRIDGE)


@pytest.fixture
def bridge() -> Iterator[str]:
    ip("link", "add", BRIDGE, "type", "bridge")
    names = ("brk1", "brk2", "brk3")
    try:
        plug(names[0], FIRST)
        yield BRIDGE
    finally:
        for name in (*names, BRIDGE):
            subprocess.run(["ip", "link", "delete", name], stderr=subprocess.DEVNULL)


def test_it_stays_from_then_on(bridge: str) -> None:
    assert address() == FIRST
    plug("brk2", LOWER)
    assert address() == LOWER, "that is what it is kept from"
    for _ in range(2):
        bridgeaddress.keep(bridge)
    plug("brk3", LOWEST)
    assert address() == LOWER
    for name in ("brk2", "brk1"):
        ip("link", "delete", name)
    assert address() == LOWER


def test_nothing_else_is_touched(bridge: str) -> None:
    bridgeaddress.keep("brk1")
    bridgeaddress.keep("lo")
    assert address("brk1") == FIRST
    with pytest.raises(Refused, match="brk9"):
        bridgeaddress.keep("brk9")


def test_a_wire_of_another_namespace_is_none(bridge: str) -> None:
    with HostNetwork("wired", "192.0.2.77") as network:
        before = address(network.port)
        bridgeaddress.keep(network.port)
        assert address(network.port) == before
