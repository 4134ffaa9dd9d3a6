"""What a neighbour, a removed host and somebody with an editor can do to services and proxies."""

from __future__ import annotations

import functools
import ipaddress
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.model.loopback import is_loopback
from tests import reach, server
from tests.cluster import wait_until
from tests.e2e.auditlog import records
from tests.e2e.fleet_apps import apply, listening, timed
from tests.e2e.service_apps import calling, inside, one, serving, wait_for_service
from tests.fleet import Container, Fleet, Host
from tests.integration.namespaces import HostNetwork
from tests.integration.proxyhosts import within
from tests.proxy import RANGE

PORT = 8066
SHOP = "shop"
HIGH = 40095
"""As the kernel gives away to who asks for any."""
CONNECTED = (reach.ANSWERED, reach.MUTE, reach.SHUT)
STAYS_S = 12.0
"""A look at the proxy each five seconds would see in that time that it is another."""


def apply_shop(fleet: Fleet) -> str:
    """A service on the second host, published on all, and a caller on the others; its address."""
    placed = "replicas: 1, placement: {constraints: [node.hostname == web2]}"
    services = serving("db", more=f"    ports: ['{PORT}:{server.PORT}']\n", deploy=placed)
    apply(fleet, SHOP, services + calling("a", "web1") + calling("c", "web3"))
    (address,) = {wait_for_service(one(fleet, SHOP, each), "db", server.PORT) for each in "ac"}
    return address


@pytest.fixture(scope="module")
def address(proxied_bed: Fleet) -> Iterator[str]:
    """Of the shop's service, for all tests of this file: none of them changes the shop."""
    yield apply_shop(proxied_bed)
    proxied_bed.heal()
    proxied_bed.empty()


@pytest.fixture
def proxied(proxied_bed: Fleet, address: str) -> Iterator[Fleet]:
    """Hosts on which the shop runs; a test may break what it likes."""
    yield proxied_bed
    proxied_bed.heal()


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


def test_a_neighbour_reaches_what_is_declared(
    proxied: Fleet, address: str, neighbour: HostNetwork
) -> None:
    """Every port of a host's own address, a program's too; every port of a service address that it routes to the host. Into containers it gets
    where an engine lets it, and the control of that says where."""
    let_in = set()
    other = proxied.hosts["web2"]
    with listening(other, HIGH):
        other.agent.kill()
        other.agent.start()  # it looks once a minute, and at its start
        for name, host in proxied.hosts.items():
            wanted = sorted([PORT, host.proxy.port, *([HIGH] if host is other else [])])
            found = reach.scan(neighbour.inside, host.network.address)
            assert found == wanted, f"{name}: {found}"
            wait_until(
                functools.partial(is_told, proxied, name, wanted),
                f"hullmark ports has {wanted} of {name}",
                80,
            )
    proxied.wait_for_hosts()
    for name, host in proxied.hosts.items():
        route(neighbour, [RANGE, *subnets_of(host)], host.network.address)
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
    told = {name for name in proxied.hosts if control(proxied, name, "container-routing") == "fail"}
    assert let_in == told


def is_told(fleet: Fleet, host: str, ports: list[int]) -> bool:
    """Whether these are the TCP ports that `hullmark ports` has of what others reach there."""
    said = json.loads(fleet.run("ports", "--host", host, "--output", "json").stdout)["ports"]
    open_there = (one for one in said if one["listening"] and one["protocol"] == "tcp")
    return sorted({one["port"] for one in open_there if not is_loopback(one["address"])}) == ports


def control(fleet: Fleet, host: str, name: str) -> str:
    """What a host's control says now."""
    done = fleet.run("controls", name, "--host", host, "--output", "json")
    (found,) = json.loads(done.stdout)["controls"]
    return str(found["status"])


def test_a_proxy_that_is_killed_is_back(proxied: Fleet, address: str) -> None:
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


def test_a_proxy_that_stays_away_is_out_for_as_long_as_it_is(proxied: Fleet) -> None:
    known, host = outages(proxied), proxied.hosts["web2"]
    host.proxy.end()
    try:
        wait_until(lambda: control(proxied, "web2", "service-proxy") == "fail", "it fails", 40)
        wait_until(lambda: outages(proxied) > known, "the outage is on record meanwhile", 20)
        time.sleep(STAYS_S)
        assert control(proxied, "web2", "service-proxy") == "fail"
    finally:
        host.proxy.start()
    wait_until(lambda: control(proxied, "web2", "service-proxy") == "pass", "it is over", 40)


def outages(fleet: Fleet) -> int:
    done = fleet.run("outages", "list", "--output", "json")
    return done.stdout.count('"service-proxy"')


def test_a_configuration_that_somebody_changed_is_restored(proxied: Fleet, address: str) -> None:
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


def keep_open(caller: Container, target: reach.Target) -> socket.socket:
    """A connection from within a container, which stays."""
    namespace = Path(f"/proc/{caller.inspected['State']['Pid']}/ns/net")
    return within(namespace, lambda: socket.create_connection(target, timeout=5))


def still_answers(link: socket.socket) -> bool:
    """On a connection that stays: whether it is one."""
    try:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return link.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def test_what_came_by_a_use_ends_with_it(proxied: Fleet) -> None:
    """In a container that goes on, whose service says no more that it uses another."""
    uses = "    x-hullmark: {uses: [shop/db]}\n"
    apply(proxied, "friend", calling("a", "web1", uses) + calling("c", "web3", uses))
    caller, other = one(proxied, "friend", "a"), one(proxied, "friend", "c")
    target = (wait_for_service(caller, "db.shop", server.PORT), server.PORT)
    wait_for_service(other, "db.shop", server.PORT)
    with keep_open(caller, target) as lost, keep_open(other, target) as kept:
        assert (still_answers(lost), still_answers(kept)) == (True, True)
        begun = time.monotonic()
        apply(proxied, "friend", calling("a", "web1") + calling("c", "web3", uses))
        timed(lambda: not still_answers(lost), "to the end of what a use let in", 10, begun)
        assert still_answers(kept), "of a service that still uses it"
    assert one(proxied, "friend", "a").inspected["Id"] == caller.inspected["Id"]
    why = "1 open connection ended: friend/a may no longer call shop/db"
    wait_until(lambda: why in told(proxied.hosts["web1"]), "it is in the audit log", 10)


def test_a_removed_host_is_refused_and_loses_what_it_has_open(proxied: Fleet, address: str) -> None:
    """Its proxy keeps running with its key and its certificate, and with all that it knew."""
    target = (address, server.PORT)
    caller, host = one(proxied, SHOP, "c"), proxied.hosts["web3"]
    ask = functools.partial(reach.ask, inside(caller), [target], 1.0)
    host.agent.kill()
    assert ask()[target] == reach.ANSWERED
    others = one(proxied, SHOP, "a")
    with keep_open(caller, target) as lost, keep_open(others, target) as kept:
        assert (still_answers(lost), still_answers(kept)) == (True, True)
        begun = time.monotonic()
        proxied.hullmark("host", "remove", "web3", "--force")
        timed(lambda: not still_answers(lost), "to the end of what it has open", 10, begun)
        timed(lambda: ask()[target] != reach.ANSWERED, "to a refusal of a removed host", 10, begun)
        assert still_answers(kept), "of a host that stays"
    why = "1 open connection ended: host"
    wait_until(lambda: why in told(proxied.hosts["web2"]), "it is in the audit log", 10)
    refused = functools.partial(proxied.hosts["web2"].proxy.records, outcome="refused")
    wait_until(refused, f"it is in the log: {proxied.hosts['web2'].proxy.lines()[-3:]}", 5)
    enroll_again(proxied, host)


LEFT_PORT = 8067


def test_a_removed_host_goes_on_with_its_own_published_ports(
    proxied: Fleet, neighbour: HostNetwork
) -> None:
    """Nobody tells its agent to end them, and its proxy takes no orders from anybody else."""
    host = proxied.hosts["web3"]
    more = f"    ports: ['{LEFT_PORT}:{server.PORT}']\n"
    placed = "replicas: 1, placement: {constraints: [node.hostname == web3]}"
    apply(proxied, "left", serving("front", more=more, deploy=placed))
    targets = [(each.network.address, LEFT_PORT) for each in proxied.hosts.values()]
    own = (host.network.address, LEFT_PORT)
    ask = functools.partial(reach.ask, neighbour.inside, targets, 1.0)
    wait_until(lambda: set(ask().values()) == {reach.ANSWERED}, "it is published")
    said = len(host.agent.log.read_text())
    proxied.hullmark("host", "remove", "web3", "--force")
    is_told = functools.partial(host.agent.log.read_text)
    wait_until(lambda: "host.refused" in is_told()[said:], "its agent is refused", 40)
    wait_until(
        lambda: {at for at, found in ask().items() if found == reach.ANSWERED} == {own},
        "the others have nothing behind that port",
        20,
    )
    host.agent.kill()
    host.agent.start()
    wait_until(lambda: is_told()[said:].count("host.refused") > 1, "it begins anew", 40)
    assert ask()[own] == reach.ANSWERED
    host.agent.kill()
    enroll_again(proxied, host)


def enroll_again(fleet: Fleet, host: Host) -> None:
    """As another host of the same name."""
    shutil.rmtree(host.state)
    fleet.enroll_host(host.name, host.config, inside=host.network.inside)
    host.agent.start()
    fleet.wait_for_hosts()
