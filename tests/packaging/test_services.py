"""Services of an app of others' making, spread over three booted hosts, reach each other by name whatever happens to a proxy, a firewall, a
host and our packages.

One story: each test goes on where the one before has ended.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster import wait_until
from tests.packaging.products import NEXT_VERSION, VERSION, products
from tests.packaging.servicesbed import APP, CALLED, CLIENT, HOMES, KINDS, PORT, Shop, opened
from tests.packaging.servicesload import under_load
from tests.packaging.walls import FIREWALLD, NFTABLES, UFW, Wall, listening

CONFIGURATION = "/var/lib/hullmark-proxy/haproxy.cfg"
GOES_ON_S = 5.0
"""After a host was taken for lost: for longer than it takes until all other hosts know."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_names_work_from_each_container(shop: Shop) -> None:
    """By both of its names each service is found from all others, on whichever host, and what answers is its container."""
    for caller in HOMES:
        for name, port in CALLED.items():
            for each in (name, f"{name}.{APP}"):
                said = shop.within(caller, f"timeout 9 wget -q -O - http://{each}:{port}/")
                assert said, f"{caller} does not reach {each}"
    for name in ("db", "redis"):
        hostname = shop.container(name)["Config"]["Hostname"]
        assert shop.fetch("web2", f"/{name}") == f"{name} {hostname}"


def test_what_was_published_on_loopback_is_there_only(shop: Shop) -> None:
    host = shop.hosts["web3"]
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).status)"
    said = host.run(["python3", "-c", fetch, "http://127.0.0.1:8080/"]).stdout
    assert said == "200\n"
    assert not shop.client.can_dial(host.address, 8080)
    assert shop.client.can_dial(host.address, PORT)


def test_the_clients_address_is_in_each_hosts_log(shop: Shop) -> None:
    """On systemd's journal and in the file of syslog; also where only another host's proxy saw the client."""
    for host in shop.hosts.values():
        command = f"for n in $(seq 20); do exec 3<>/dev/tcp/{host.address}/{PORT}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; done"
        subprocess.run([*shop.client.inside, "bash", "-c", command], check=True, timeout=60)
    time.sleep(1.0)
    for name in KINDS:
        logged = [one for one in shop.connections(name) if one["origin"] == CLIENT]
        found = [one for one in logged if one["port"] == PORT and one["outcome"] == "success"]
        assert found, f"{name} has logged no connection of {CLIENT}"
        assert {one["subject"] for one in found} == {"nextcloud/app"}


def test_a_proxy_that_is_killed_is_back_and_that_is_an_outage(shop: Shop) -> None:
    """By systemd, and by the launcher where there is none."""
    names = ("web2", "web3")
    for name in names:
        shop.proxy(name).comes_back_after_killing(shop.proxy(name).first())
    wait_until(shop.answers, "every host passes on to the app", 20.0)
    for name in names:
        wait_until(partial(out, shop, name), f"an outage of {name} is on record", 60.0)


def out(shop: Shop, host: str) -> bool:
    done = shop.master.run(f"hullmark outages list --all --host {host} --output json", check=False)
    return '"service-proxy"' in done.stdout


def test_a_configuration_that_somebody_changed_is_put_back(shop: Shop) -> None:
    """Also where it was loaded."""
    host = shop.hosts["web3"]
    before = host.read(CONFIGURATION)
    door = "listen door\\n    bind :4444\\n    server s 127.0.0.1:22\\n"
    host.run(f"printf '{door}' >>{CONFIGURATION} && systemctl reload hullmark-proxy")
    wait_until(lambda: host.read(CONFIGURATION) == before, "it is put back", 20.0)
    wait_until(lambda: not shop.client.can_dial(host.address, 4444), "the door is shut", 20.0)
    recorded = "grep -h proxy.tampered /var/log/hullmark/*.log"
    wait_until(lambda: "haproxy.cfg" in host.run(recorded, check=False).stdout, "it is recorded")
    wait_until(shop.answers, "every host passes on to the app", 20.0)


UNDECLARED = 4321


@pytest.mark.parametrize(
    ("wall", "name", "service", "other"),
    [
        (NFTABLES, "web3", "redis", "db"),
        (FIREWALLD, "web3", "redis", "db"),
        (UFW, "web2", "db", "redis"),
    ],
    ids=str,
)
def test_a_firewall_that_drops_by_default_is_named_and_opened_by_what_is_printed(
    shop: Shop, wall: Wall, name: str, service: str, other: str
) -> None:
    host, client = shop.hosts[name], shop.client
    call = f"timeout 3 wget -q -O - http://{other}:{CALLED[other]}/"
    with listening(host, UNDECLARED):
        assert client.can_dial(host.address, UNDECLARED)
        wall.rise(host)
        try:
            for port in (PORT, UNDECLARED):
                assert not client.can_dial(host.address, port)
            assert not shop.within(service, call)
            command = f"hullmark ports --firewall {wall} --host {name}"
            wait_until(lambda: command in why(shop, service), "the command is named", 60.0)
            assert "a firewall drops it" in why(shop, service)
            wall.paste(host, shop.master.run(command).stdout)
            wait_until(shop.answers, "every host passes on to the app", 30.0)
            assert shop.within(service, call)
            wait_until(lambda: shop.is_whole(service), "the whole way is seen", 90.0)
            assert not client.can_dial(host.address, UNDECLARED), "it still drops the rest"
        finally:
            if not wall.stays:
                wall.fall(host)


@pytest.mark.timeout(240)
def test_services_of_a_host_are_back_after_a_boot(shop: Shop) -> None:
    """With its firewall, and the table that is printed for it."""
    host, before = shop.hosts["web2"], shop.container("db")
    pid = host.pid
    host.reboot()
    assert host.pid != pid
    wait_until(shop.answers, "every host passes on to the app", 60.0)
    wait_until(shop.is_ready, "all hosts are ready", 60.0)
    assert shop.container("db")["State"]["StartedAt"] != before["State"]["StartedAt"]
    with listening(host, UNDECLARED):
        assert not shop.client.can_dial(host.address, UNDECLARED)
    assert "drop" in host.run("nft list table inet containers").stdout


@pytest.mark.timeout(240)
def test_no_request_fails_while_packages_are_upgraded(shop: Shop) -> None:
    """On one host after the other, on the first the master's too."""
    with under_load(shop):
        for name in KINDS:
            upgrade(shop, name)
            wait_until(shop.is_ready, "all hosts are ready", 60.0)


def upgrade(shop: Shop, name: str) -> None:
    """Another agent runs afterwards, and the proxy is loaded anew; of containers none."""
    lives, agents, proxy = shop.lives(name), shop.agents(name), shop.proxy(name)
    first, workers = proxy.first(), set(proxy.workers())
    assert (len(agents), shop.versions(name)) == (1, {f"{VERSION}-1"})
    shop.hosts[name].use_repository(products().next_repo)
    shop.hosts[name].install("hullmark-agent", "hullmark-proxy")
    assert shop.versions(name) == {f"{NEXT_VERSION}-1"}
    assert len(set(shop.agents(name)) - set(agents)) == 1
    wait_until(lambda: set(proxy.workers()) - workers, "the proxy is loaded anew", 10.0)
    assert proxy.answers()
    assert proxy.first() == first
    assert shop.lives(name) == lives


@pytest.mark.timeout(240)
def test_no_request_fails_while_an_agent_is_removed(shop: Shop) -> None:
    """Nor when its host, the only one that has the cache, is taken for lost."""
    lives, proxy = shop.lives("web3"), shop.proxy("web3").first()
    with under_load(shop):
        shop.hosts["web3"].apt("remove", "hullmark-agent")
        assert not shop.agents("web3")
        wait_until(lambda: shop.state("web3") == "lost", "its host is lost", 60.0)
        time.sleep(GOES_ON_S)
    assert shop.lives("web3") == lives
    assert shop.proxy("web3").first() == proxy


def why(shop: Shop, service: str) -> str:
    """What it says where the way to a service is broken; empty where it isn't."""
    said = shop.master.run(f"hullmark why {APP}/{service}", check=False)
    return said.stdout if said.returncode in (1, 2) else ""
