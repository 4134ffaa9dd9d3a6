"""Services of an app of others' making, spread over three booted hosts, reach each other by name whatever happens to a proxy, a firewall and
a host.

One story: each test goes on where the one before has ended.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster import wait_until
from tests.packaging.servicesbed import APP, CALLED, CLIENT, HOMES, KINDS, PORT, Shop, opened

CONFIGURATION = "/var/lib/hullmark-proxy/haproxy.cfg"


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


DROPPING = """
table inet filter {
  chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iifname "lo" accept; }
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }
  chain output { type filter hook output priority 0; policy drop; ct state established,related accept; oifname "lo" accept; }
}
"""


def test_a_firewall_that_drops_by_default_is_named_and_opened_by_what_is_printed(
    shop: Shop,
) -> None:
    host = shop.hosts["web3"]
    host.run(["nft", "-f", "-"], input=DROPPING)
    try:
        assert not shop.client.can_dial(host.address, PORT)
        wait_until(lambda: "a firewall drops it" in why(shop), "the firewall is named", 30.0)
        assert "hullmark ports --firewall nftables --host web3" in why(shop)
        rules = shop.master.run("hullmark ports --firewall nftables --host web3").stdout
        host.run(["nft", "-f", "-"], input=rules)
        wait_until(shop.answers, "every host passes on to the app", 30.0)
        wait_until(lambda: shop.is_whole("redis"), "the whole way is seen", 90.0)
        assert not shop.client.can_dial(host.address, 22), "it still drops the rest"
    finally:
        host.run("nft delete table inet filter")


@pytest.mark.timeout(240)
def test_services_of_a_host_are_back_after_a_boot(shop: Shop) -> None:
    host, before = shop.hosts["web2"], shop.container("db")
    pid = host.pid
    host.reboot()
    assert host.pid != pid
    wait_until(shop.answers, "every host passes on to the app", 60.0)
    wait_until(shop.is_ready, "all hosts are ready", 60.0)
    assert shop.container("db")["State"]["StartedAt"] != before["State"]["StartedAt"]


def why(shop: Shop) -> str:
    """What it says where the way to the cache is broken; empty where it isn't."""
    said = shop.master.run("hullmark why nextcloud/redis", check=False)
    return said.stdout if said.returncode in (1, 2) else ""
