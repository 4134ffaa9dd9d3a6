"""Routes of a real kernel that meet the range of service addresses: told to the masters, and refused before the first address."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.namespaces import HostNetwork

RANGE = "10.214.0.0/16"
SINGLE, BESIDE = "10.214.0.5/32", "10.214.9.0/24"
LOOK = f"""
import json
from hullmark.errors import Refused
from hullmark.host.loopback import LoopbackAddresses
from hullmark.host.routes import known_networks, other_networks
refused = ""
try:
    LoopbackAddresses("{RANGE}").have(["10.214.0.1"])
except Refused as error:
    refused = error.message
print(json.dumps([refused, other_networks("10.213.0.0/16", "{RANGE}"), [str(one) for one in known_networks()]]))
"""


@pytest.fixture
def host() -> Iterator[HostNetwork]:
    with HostNetwork("routed", "192.0.2.78") as network:
        yield network


def change(host: HostNetwork, command: str) -> None:
    subprocess.run([*host.inside, "ip", *command.split()], check=True)


def look(host: HostNetwork) -> tuple[str, list[str], list[str]]:
    """Why the first service address is refused; the networks that masters are told of; all that are known."""
    done = subprocess.run(
        [*host.inside, sys.executable, "-c", LOOK], check=True, stdout=subprocess.PIPE
    )
    refused, told, known = json.loads(done.stdout)
    return refused, told, known


@pytest.mark.parametrize(
    ("route", "met"),
    [
        (f"{SINGLE} dev eth0", SINGLE),
        (f"{BESIDE} dev eth0 table 100", BESIDE),
        (f"{SINGLE} via 192.0.2.1 table 100", SINGLE),
        (f"blackhole {BESIDE}", BESIDE),
        (f"local {BESIDE} dev lo", BESIDE),
    ],
)
def test_a_route_into_the_range_is_told_and_refused(
    host: HostNetwork, route: str, met: str
) -> None:
    change(host, f"route add {route}")
    refused, told, known = look(host)
    assert refused == f"service addresses can't be of {RANGE}: this host has a route to {met}"
    assert met in told
    assert met in known
    change(host, f"route delete {route}")
    assert look(host)[0] == ""


def test_an_address_of_the_hosts_own_in_the_range_is_told_and_refused(host: HostNetwork) -> None:
    change(host, f"address add {SINGLE} dev eth0")
    refused, told, _ = look(host)
    assert refused.endswith(f"a route to {SINGLE}")
    assert SINGLE in told


def test_services_own_addresses_and_default_routes_are_in_nobodys_way(host: HostNetwork) -> None:
    change(host, "route add default via 192.0.2.1")
    change(host, "route add default via 192.0.2.1 table 100")
    change(host, "route add unreachable default metric 4000 table 100")
    change(host, f"route add throw {RANGE} table 100")
    for _ in range(2):
        refused, told, known = look(host)
        assert refused == ""
        assert told == ["192.0.2.0/24"]
        assert known == ["127.0.0.0/8", "192.0.2.0/24"]
