"""What a neighbour, a removed host and somebody with an editor can do to services and proxies."""

from __future__ import annotations

import functools
import ipaddress
import json
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests import reach, server
from tests.cluster import wait_until
from tests.e2e.auditlog import records
from tests.e2e.fleet_apps import apply, timed
from tests.e2e.service_apps import calling, inside, one, serving, wait_for_service
from tests.fleet import Fleet, Host
from tests.integration.namespaces import HostNetwork
from tests.proxy import RANGE

PORT = 8066
SHOP = "shop"
CONNECTED = (reach.ANSWERED, reach.MUTE, reach.SHUT)


def apply_shop(fleet: Fleet) -> str:
    """A service on the second host, published on all, and a caller on the others; its address."""
    placed = "replicas: 1, placement: {constraints: [node.hostname == web2]}"
    services = serving("db", more=f"    ports: ['{PORT}:{server.PORT}']\n", deploy=placed)
    apply(fleet, SHOP, services + calling("a", "web1") + calling("c", "web3"))
    (address,) = {wait_for_service(one(fleet, SHOP, each), "db", server.PORT) for each in "ac"}
    return address


@pytest.fixture(scope="module")
def neighbour(proxied_bed: Fleet) -> Iterator[HostNetwork]:
    """Another machine on the hosts' segment."""
    with HostNetwork("rogue", "192.0.2.66") as network:
        yield network


def route(network: HostNetwork, subnets: list[str], gateway: str) -> None:
    for subnet in subnets:
        command = ["ip", "route", "replace", subnet, "via", gateway]
        subprocess.run([*network.inside, *command], check=True)


def subnets_of(host: Host) -> list[str]:
    """Of every bridge in the host's namespace."""
    command = [*host.network.inside, "ip", "-j", "-4", "address", "show", "type", "bridge"]
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found = [address for link in said for address in link.get("addr_info", ())]
    pairs = (f"{address['local']}/{address['prefixlen']}" for address in found)
    return [str(ipaddress.IPv4Interface(pair).network) for pair in pairs]


def test_a_neighbour_reaches_what_is_declared(proxied: Fleet, neighbour: HostNetwork) -> None:
    """Every port of a host's own address; every port of a service address that it routes to the host. Into containers it gets where an
    engine lets it, and the control of that says where."""
    address = apply_shop(proxied)
    let_in = set()
    for name, host in proxied.hosts.items():
        route(neighbour, [RANGE, *subnets_of(host)], host.network.address)
        found = reach.scan(neighbour.inside, host.network.address)
        assert found == sorted([PORT, host.proxy.port]), f"{name}: {found}"
        assert reach.scan(neighbour.inside, address) == [], name
        targets = [
            (str(network["IPAddress"]), server.PORT)
            for each in proxied.running(SHOP, name)
            for network in each.inspected["NetworkSettings"]["Networks"].values()
        ]
        gateways = [str(ipaddress.IPv4Network(each)[1]) for each in subnets_of(host)]
        beside = [(gateway, port) for gateway in gateways for port in (PORT, server.PORT)]
        got = reach.ask(neighbour.inside, [*targets, *beside])
        assert not {at for at in beside if got[at] in CONNECTED}, f"{name}: {got}"
        if {at for at in targets if got[at] not in (reach.SILENT, reach.UNREACHABLE)}:
            let_in.add(name)
    print(f"MEASURED hosts whose engine lets neighbours into containers: {sorted(let_in)}")
    told = {name for name in proxied.hosts if control(proxied, name, "routing") == "fail"}
    assert let_in == told


def control(fleet: Fleet, host: str, name: str) -> str:
    """What a host's control says now."""
    done = fleet.run("controls", name, "--host", host, "--output", "json")
    (found,) = json.loads(done.stdout)["controls"]
    return str(found["status"])


def test_a_proxy_that_is_killed_is_back(proxied: Fleet) -> None:
    address = apply_shop(proxied)
    caller, host = one(proxied, SHOP, "a"), proxied.hosts["web1"]
    known = outages(proxied)
    target = (address, server.PORT)
    killed = host.proxy.kill()
    begun = time.monotonic()
    wait_until(lambda: host.proxy.pid not in (0, killed), "another main process")
    timed(
        lambda: reach.ask(inside(caller), [target], 0.5)[target] == reach.ANSWERED,
        "from a killed proxy to the next answer",
        2.0,
        begun,
    )
    wait_until(lambda: outages(proxied) > known, "an outage of the proxy is on record", 40)


def outages(fleet: Fleet) -> int:
    done = fleet.run("outages", "list", "--output", "json")
    return done.stdout.count('"service-proxy"')


def test_a_configuration_that_somebody_changed_is_restored(proxied: Fleet) -> None:
    address = apply_shop(proxied)
    host = proxied.hosts["web1"]
    file = host.proxy.folder / "haproxy.cfg"
    before = file.read_text()
    file.write_text(before + "\nlisten backdoor\n    bind :4444\n    server s 127.0.0.1:22\n")
    timed(lambda: file.read_text() == before, "to a restored configuration", 10)
    wait_until(lambda: "haproxy.cfg" in told(host), "it is in the audit log", 10)
    assert reach.ask([], [(host.network.address, 4444)]) == {
        (host.network.address, 4444): reach.REFUSED
    }
    target = (address, server.PORT)
    assert reach.ask(inside(one(proxied, SHOP, "a")), [target])[target] == reach.ANSWERED


def told(host: Host) -> str:
    """All that the agent's audit log says of its proxy."""
    found = records(host.state.with_name(f"{host.name}-audit"))
    return "\n".join(str(record) for record in found if "proxy" in str(record))


def test_a_removed_host_is_refused(proxied: Fleet) -> None:
    """Its proxy keeps running with its key and its certificate, and with all that it knew."""
    address = apply_shop(proxied)
    target = (address, server.PORT)
    caller, host = one(proxied, SHOP, "c"), proxied.hosts["web3"]
    ask = functools.partial(reach.ask, inside(caller), [target], 1.0)
    host.agent.kill()
    assert ask()[target] == reach.ANSWERED
    begun = time.monotonic()
    proxied.hullmark("host", "remove", "web3", "--force")
    timed(lambda: ask()[target] != reach.ANSWERED, "to a refusal of a removed host", 10, begun)
    refused = functools.partial(proxied.hosts["web2"].proxy.records, outcome="refused")
    wait_until(refused, f"it is in the log: {proxied.hosts['web2'].proxy.lines()[-3:]}", 5)
    shutil.rmtree(host.state)
    proxied.enroll_host(host.name, host.config, inside=host.network.inside)
    host.agent.start()
    proxied.wait_for_hosts()
