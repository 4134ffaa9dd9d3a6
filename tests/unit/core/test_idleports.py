"""Published ports of which the plan says that hosts would not answer them."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.reaching import judged
from hullmark.model.app import App, PortSpec
from hullmark.model.host import PortRules
from hullmark.model.snapshot import Snapshot
from tests.unit.core.serviceworld import World, app, service

EDGE = "node.labels.edge == yes"


def world() -> World:
    """h1 and h2 have a proxy, h3 has none."""
    found = World([])
    for number, host in enumerate(("h1", "h2", "h3"), 1):
        facts = dataclasses.replace(found.facts[host], addresses=(f"192.0.2.{number}",))
        found.facts[host] = facts
    found.facts["h3"] = dataclasses.replace(found.facts["h3"], proxy_version="")
    return found


def shop(host_ip: str = "", published: int = 8080, ingress: str = "") -> App:
    port = PortSpec(80, published, published, host_ip=host_ip)
    return app("shop", web=service(ports=[port], ingress=[ingress] if ingress else []))


def warnings(snapshot: Snapshot, asked: App) -> list[str]:
    return judged(snapshot, asked)[1]


def test_a_port_that_no_host_answers() -> None:
    snapshot = world().snapshot()
    for ingress, hosts in ((EDGE, "has a proxy and fits"), ("node.hostname == h3", "has a proxy")):
        (told,) = warnings(snapshot, shop(ingress=ingress))
        assert told.startswith("shop/web: no host answers the published port 8080: none")
        assert hosts in told


def test_a_cluster_without_proxies_says_so() -> None:
    bare = world()
    bare.facts = {
        host: dataclasses.replace(facts, proxy_version="") for host, facts in bare.facts.items()
    }
    (told,) = warnings(bare.snapshot(), shop())
    assert told == "shop/web: no host answers the published port 8080: none has a proxy"


def test_an_address_that_a_host_has_not() -> None:
    (told,) = warnings(world().snapshot(), shop("192.0.2.1"))
    assert told.startswith("shop/web: 192.0.2.1:8080 is not answered on host h2: not an address")
    (told,) = warnings(world().snapshot(), shop("198.51.100.1"))
    assert "is not answered on hosts h1, h2: " in told
    assert warnings(world().snapshot(), shop("192.0.2.1", ingress="node.hostname == h1")) == []


def test_a_port_that_a_hosts_policy_forbids() -> None:
    strict = world()
    rules = PortRules({"ports.published": ("443", "8081-8090")})
    strict.facts["h2"] = dataclasses.replace(strict.facts["h2"], port_rules=rules)
    (told,) = warnings(strict.snapshot(), shop())
    assert told == (
        "shop/web: the published port 8080 is not answered on host h2: policy (ports.published) does not allow it there"
    )
    assert warnings(strict.snapshot(), shop(published=8081)) == []


@pytest.mark.parametrize("host_ip", ["::1", "0:0:0:0:0:0:0:1"])
def test_loopback_of_ipv6_is_there_and_no_proxy_answers_on_it(host_ip: str) -> None:
    (told,) = warnings(world().snapshot(), shop(host_ip))
    assert f"{host_ip}:8080 is not answered on hosts h1, h2: proxies answer on no" in told
    assert "not an address" not in told


@pytest.mark.parametrize("host_ip", ["", "0.0.0.0", "127.0.0.1"])
def test_nothing_is_said_where_all_answer(host_ip: str) -> None:
    assert warnings(world().snapshot(), shop(host_ip)) == []
    assert warnings(world().snapshot(), shop(host_ip, published=0, ingress=EDGE)) == []


def test_nothing_is_said_while_a_host_has_not_told_what_it_has() -> None:
    early = world()
    early.unreported = {"h3"}
    assert warnings(early.snapshot(), shop("198.51.100.1", ingress=EDGE)) == []
