"""Published ports that proxies answer: who is in the way, named with the hosts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.portconflicts import conflicts, held
from hullmark.core.schedule import plan
from hullmark.model.app import App, ContainerSpec, PortMode, PortSpec, Service
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets
from tests.unit.core.fleets import applied, planned

PORTS = (PortSpec(80, 8080, 8080),)
EDGE = ("node.labels.edge == yes",)


def publishing(ports: tuple[PortSpec, ...] = PORTS, **more: Any) -> Service:
    return Service(ContainerSpec("x"), ports=ports, **more)


def cluster(*apps: App, **listeners: Listener) -> Snapshot:
    """Hosts h1, h2 and h3 with proxies, of which h1 is labelled as edge."""
    hosts = [
        HostRecord(name, name, 1.0, {"edge": "yes"} if name == "h1" else {})
        for name in ("h1", "h2", "h3")
    ]
    states = {
        host.name: HostState(
            HostFacts(
                proxy_version="2.6",
                proxy_port=7443,
                listeners=(listeners[host.name],) if host.name in listeners else (),
            )
        )
        for host in hosts
    }
    snapshot = fleets.snapshot({}, hosts, states)
    for app in apps:
        snapshot = applied(snapshot, app)
    return snapshot


def said(snapshot: Snapshot, service: Service, **more: Service) -> list[str]:
    return [each.message for each in conflicts(snapshot, App("shop", {"web": service, **more}))]


def test_a_port_that_nobody_has() -> None:
    assert (
        said(cluster(App("bank", {"web": publishing((PortSpec(80, 81, 81),))})), publishing()) == []
    )


def test_another_apps_service_is_named() -> None:
    there = cluster(App("bank", {"web": publishing()}))
    assert said(there, publishing()) == [
        "port 8080/tcp is published by bank/web on hosts h1, h2, h3"
    ]
    (problem,) = conflicts(there, App("shop", {"web": publishing()}))
    assert problem.field == "services.web.ports"
    assert "x-hullmark.ingress" in problem.allowed


def test_only_on_hosts_that_both_are_answered_on() -> None:
    there = cluster(App("bank", {"web": publishing(ingress=EDGE)}))
    assert said(there, publishing()) == ["port 8080/tcp is published by bank/web on host h1"]
    elsewhere = ("node.labels.edge != yes",)
    assert said(there, publishing(ingress=elsewhere)) == []


def test_another_address_is_no_obstacle() -> None:
    there = cluster(
        App("bank", {"web": publishing((PortSpec(80, 8080, 8080, "tcp", "10.0.0.1"),))})
    )
    other = (PortSpec(80, 8080, 8080, "tcp", "10.0.0.2"),)
    assert said(there, publishing(other)) == []
    assert len(said(there, publishing())) == 1


def test_another_service_of_the_app_itself() -> None:
    assert said(cluster(), publishing(), api=publishing()) == [
        "port 8080/tcp is published by shop/web on hosts h1, h2, h3",
        "port 8080/tcp is published by shop/api on hosts h1, h2, h3",
    ]


def test_the_app_as_it_was_is_not_in_its_own_way() -> None:
    there = cluster(App("shop", {"old": publishing()}))
    assert said(there, publishing()) == []


def test_what_is_being_removed_is_not_in_the_way() -> None:
    there = cluster(App("bank", {"web": publishing()}))
    removing = dataclasses.replace(there.apps["bank"], removing=True)
    assert said(dataclasses.replace(there, apps={"bank": removing}), publishing()) == []


def test_an_instance_whose_port_its_engine_binds_is_named() -> None:
    instance = InstanceId("bank", "web", 1, 1)
    orders = HostAssignments((Assignment(instance, "h", (PublishedPort(80, 8080),)),))
    there = dataclasses.replace(cluster(), assignments={"h2": orders})
    assert said(there, publishing()) == ["port 8080/tcp is taken by bank/web.1 on host h2"]
    mine = InstanceId("shop", "web", 1, 1)
    own = HostAssignments((Assignment(mine, "h", (PublishedPort(80, 8080),)),))
    assert said(dataclasses.replace(there, assignments={"h2": own}), publishing()) == []


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (Listener(8080, "tcp", "0.0.0.0", "nginx"), "is taken by process nginx"),
        (Listener(8080, "tcp", "127.0.0.1", ""), "is taken by another process"),
        (Listener(8080, "tcp", "::ffff:127.0.0.1", "java"), "is taken by process java"),
        (
            Listener(8080, "tcp", "::", "java", "bank.web.1.g1"),
            "is taken by container bank.web.1.g1",
        ),
    ],
)
def test_a_program_of_the_host_is_named(listener: Listener, words: str) -> None:
    assert said(cluster(h2=listener), publishing()) == [f"port 8080/tcp {words} on host h2"]


@pytest.mark.parametrize(
    "listener",
    [
        Listener(8080, "udp", "0.0.0.0", "nginx"),
        Listener(8081, "tcp", "0.0.0.0", "nginx"),
        Listener(8080, "tcp", "127.0.0.53", "resolver"),
        Listener(8080, "tcp", "::ffff:127.0.0.53", "resolver"),
        Listener(8080, "tcp", "::1", "x"),
        Listener(8080, "tcp", "0.0.0.0", PROXY),
        Listener(8080, "tcp", "0.0.0.0", "java", "shop.web.1.g1"),
    ],
)
def test_what_listens_and_is_in_nobodys_way(listener: Listener) -> None:
    assert said(cluster(h2=listener), publishing()) == []


def test_a_program_on_a_host_that_does_not_answer_is_in_nobodys_way() -> None:
    there = cluster(h2=Listener(8080, "tcp", "0.0.0.0", "nginx"))
    assert said(there, publishing(ingress=EDGE)) == []
    without = {
        **there.observed,
        "h2": HostState(HostFacts(listeners=there.observed["h2"].facts.listeners)),
    }
    assert said(dataclasses.replace(there, observed=without), publishing()) == []


def test_the_proxys_own_port() -> None:
    found = said(cluster(), publishing((PortSpec(80, 7443, 7443),)))
    assert found == ["port 7443/tcp is the proxy's own, for other hosts, on hosts h1, h2, h3"]


def test_many_hosts_are_counted_and_none_are_every_host() -> None:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(9)]
    many = applied(fleets.snapshot({}, hosts, {}), App("bank", {"web": publishing()}))
    assert said(many, publishing())[0].endswith("on hosts h0, h1, h2 and 6 more")
    none = applied(fleets.snapshot({}, [], {}), App("bank", {"web": publishing()}))
    assert said(none, publishing()) == ["port 8080/tcp is published by bank/web on every host"]


def test_what_the_engine_binds_is_the_schedulers_matter() -> None:
    host = publishing((PortSpec(80, 8080, 8080, mode=PortMode.HOST),))
    there = cluster(App("bank", {"web": publishing(ingress=EDGE)}))
    assert said(there, host) == []
    assert held(there) == {}, "no engine is to bind anything"
    both = applied(there, App("shop", {"web": host}))
    assert {key: [whose for _, whose in found] for key, found in held(both).items()} == {
        "h1": ["bank/web"]
    }
    three = dataclasses.replace(host, deploy=dataclasses.replace(host.deploy, replicas=3))
    made = planned(applied(there, App("shop", {"web": three})))
    mine = {
        host_id
        for host_id, orders in made.assignments.items()
        if any(item.instance.app == "shop" for item in orders.assignments)
    }
    assert mine == {"h2", "h3"}
    (stuck,) = plan(made).unplaced
    assert "host h1: port 8080/tcp taken by bank/web" in stuck.reasons


def test_a_port_that_the_proxy_still_has_keeps_nobody_off() -> None:
    there = cluster(h1=Listener(8080, "tcp", "0.0.0.0", PROXY))
    host = publishing((PortSpec(80, 8080, 8080, mode=PortMode.HOST),))
    everywhere = dataclasses.replace(host, deploy=dataclasses.replace(host.deploy, replicas=3))
    made = planned(applied(there, App("shop", {"web": everywhere})))
    assert sorted(made.assignments) == ["h1", "h2", "h3"]
