"""Who holds which host port."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.ports import ledger
from hullmark.model.app import App, ContainerSpec, PortSpec, Service
from hullmark.model.epoch import Epoch
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener, PortRules
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort, Tombstone
from hullmark.model.ports import Holder, PortState
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

HOSTS = [HostRecord("id2", "web2", 1.0), HostRecord("id1", "web1", 1.0)]
WEB = InstanceId("shop", "web", 1, 2)
OLD = InstanceId("shop", "web", 2, 1)
LEFT = InstanceId("blog", "web", 1, 4)


def status(instance: InstanceId, *ports: PublishedPort) -> InstanceStatus:
    return InstanceStatus(instance, Phase.RUNNING, ports=ports)


def fleet() -> Snapshot:
    state = HostState(
        HostFacts(
            engine="docker",
            listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"), Listener(53, "udp", "::1")),
        ),
        instances={
            WEB.container_name: status(WEB, PublishedPort(80, 8080), PublishedPort(81, 49153)),
            OLD.container_name: status(OLD, PublishedPort(80, 8081)),
        },
        orphans={LEFT.container_name: status(LEFT, PublishedPort(53, 53, "udp", "10.0.0.1"))},
    )
    orders = HostAssignments(
        (Assignment(WEB, "h", (PublishedPort(80, 8080), PublishedPort(81, 0))),),
        (Tombstone(OLD, Epoch(1, 1), "scaled to 1", (PublishedPort(80, 8081),)),),
    )
    made = fleets.snapshot({}, HOSTS, {"id1": state})
    return dataclasses.replace(made, assignments={"id1": orders})


def rows(found: Snapshot, **more: Any) -> list[tuple[Any, ...]]:
    """Of web1, without what never differs here."""
    return [
        (one.port, one.kind, one.holder, one.listening, one.by, one.allowed, one.state)
        for one in ledger(found, "web1", **more)
    ]


def test_every_port_is_listed_once_and_in_order() -> None:
    ok, undeclared = PortState.OK, PortState.UNDECLARED
    assert rows(fleet()) == [
        (22, Holder.PROCESS, "sshd", True, "sshd", None, ok),
        (53, Holder.ORPHAN, "blog.web.1.g4", True, "docker", True, undeclared),
        (53, Holder.PROCESS, "", True, "", None, ok),
        (8080, Holder.INSTANCE, "shop/web.1", True, "docker", True, ok),
        (8081, Holder.REMOVING, "shop/web.2", True, "docker", True, ok),
        (49153, Holder.INSTANCE, "shop/web.1", True, "docker", True, ok),
    ]
    assert [(one.address, one.target, one.declared) for one in ledger(fleet())] == [
        ("", 0, False),
        ("10.0.0.1", 53, False),
        ("::1", 0, False),
        ("", 80, True),
        ("", 80, True),
        ("", 81, True),
    ]


def test_a_process_that_listens_for_a_container_is_that_container() -> None:
    there = fleet()
    facts = HostFacts(listeners=(Listener(8080, "tcp", "0.0.0.0", "docker-proxy"),))
    state = dataclasses.replace(there.observed["id1"], facts=facts)
    proxied = dataclasses.replace(there, observed={"id1": state})
    assert [view.holder for view in ledger(proxied) if view.port == 8080] == ["shop/web.1"]


def test_a_process_that_was_there_first_stands_beside_the_instance_that_wants_its_port() -> None:
    there = fleet()
    facts = HostFacts(listeners=(Listener(8080, "tcp", "0.0.0.0", "nginx"),))
    kept_out = dataclasses.replace(there, observed={"id1": HostState(facts)})
    assert [row[2:] for row in rows(kept_out) if row[0] == 8080] == [
        ("shop/web.1", False, "nginx", True, PortState.TAKEN),
        ("nginx", True, "nginx", None, PortState.OK),
    ]


def test_one_host_alone() -> None:
    assert ledger(fleet(), "web2") == ()
    assert ledger(fleet(), "web1") == ledger(fleet())


def test_what_is_ordered_is_held_before_its_host_speaks() -> None:
    unheard = dataclasses.replace(fleet(), observed={})
    assert [(view.port, view.kind, view.listening, view.state) for view in ledger(unheard)] == [
        (8080, Holder.INSTANCE, None, PortState.UNKNOWN),
        (8081, Holder.REMOVING, None, PortState.OK),
    ]


def test_an_instance_that_is_not_up_listens_nowhere() -> None:
    stopped = dataclasses.replace(status(WEB), phase=Phase.BACKOFF)
    facts = HostFacts(listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"),))
    state = HostState(facts, {WEB.container_name: stopped})
    found = rows(dataclasses.replace(fleet(), observed={"id1": state}))
    assert found[1][2:] == ("shop/web.1", False, "", True, PortState.NOT_LISTENING)


def proxied(*listeners: Listener, ingress: tuple[str, ...] = (), proxy: str = "2.6") -> Snapshot:
    """A host with a proxy, and an app with a published port, a service on the host's network, and one that is neither."""
    ports = (PortSpec(80, 443, 443), PortSpec(81, 0, 0), PortSpec(82, 8082, 8082, "udp"))
    app = App(
        "shop",
        {
            "web": Service(ContainerSpec("web:1"), ports=ports, ingress=ingress),
            "sniff": Service(
                ContainerSpec("s:1", network_mode="host", expose=("9000", "9001/udp"))
            ),
            "db": Service(ContainerSpec("db:1", expose=("5432",))),
        },
    )
    facts = HostFacts(
        engine="docker",
        addresses=("192.0.2.1",),
        listeners=listeners,
        proxy_version=proxy,
        proxy_address="192.0.2.1" if proxy else "",
        proxy_port=7443 if proxy else 0,
        port_rules=PortRules({"ports.published": ("443",), "ports.approved": ("22",)}),
    )
    made = fleets.applied(fleets.snapshot({}, HOSTS[1:], {"id1": HostState(facts)}), app)
    orders = HostAssignments((Assignment(InstanceId("shop", "sniff", 1, 1), "h"),))
    return dataclasses.replace(made, assignments={"id1": orders})


SSHD = Listener(22, "tcp", "0.0.0.0", "sshd")
SNIFF = "shop.sniff.1.g1"


def test_published_ports_are_the_proxys() -> None:
    there = (
        SSHD,
        Listener(443, "tcp", "192.0.2.1", PROXY),
        Listener(7443, "tcp", "192.0.2.1", PROXY),
    )
    found = rows(proxied(*there, Listener(444, "tcp", "192.0.2.1", PROXY)))
    assert [row for row in found if row[1] in (Holder.SERVICE, Holder.PROXY)] == [
        (443, Holder.SERVICE, "shop/web", True, PROXY, True, PortState.OK),
        (444, Holder.PROXY, PROXY, True, PROXY, None, PortState.UNDECLARED),
        (7443, Holder.PROXY, "for other hosts' proxies", True, PROXY, None, PortState.OK),
    ]
    assert 8082 not in [row[0] for row in found], "UDP is not the proxy's"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((SSHD,), (False, "", PortState.NOT_LISTENING)),
        ((SSHD, Listener(443, "tcp", "::", "haproxy")), (False, "haproxy", PortState.TAKEN)),
        ((), (None, "", PortState.UNKNOWN)),
    ],
)
def test_a_published_port_that_the_proxy_does_not_have(
    there: tuple[Listener, ...], said: tuple[Any, ...]
) -> None:
    (found,) = (row for row in rows(proxied(*there)) if row[1] is Holder.SERVICE)
    assert (found[3], found[4], found[6]) == said


def test_hosts_without_a_proxy_answer_where_they_are_asked_to() -> None:
    assert 443 not in [row[0] for row in rows(proxied(SSHD, proxy=""))]
    asked = rows(proxied(SSHD, ingress=("node.hostname == web1",), proxy=""))
    assert [row[6] for row in asked if row[0] == 443] == [PortState.NOT_LISTENING]
    elsewhere = rows(proxied(SSHD, ingress=("node.hostname == web2",)))
    assert 443 not in [row[0] for row in elsewhere]


def test_what_a_container_on_the_hosts_network_declares_and_what_not() -> None:
    there = (
        Listener(9000, "tcp", "0.0.0.0", "sniffer", SNIFF),
        Listener(9002, "tcp", "::", "x", SNIFF),
    )
    found = rows(proxied(SSHD, *there))
    assert [row for row in found if row[0] in (9000, 9001, 9002)] == [
        (9000, Holder.INSTANCE, "shop/sniff.1", True, "sniffer", False, PortState.NOT_ALLOWED),
        (9001, Holder.INSTANCE, "shop/sniff.1", False, "", False, PortState.NOT_ALLOWED),
        (9002, Holder.CONTAINER, SNIFF, True, "x", None, PortState.UNDECLARED),
    ]


def test_programs_and_the_list_of_approved_ports() -> None:
    found = rows(proxied(SSHD, Listener(25, "tcp", "127.0.0.1", "exim4")))
    assert [row[2:] for row in found if row[1] is Holder.PROCESS] == [
        ("sshd", True, "sshd", True, PortState.OK),
        ("exim4", True, "exim4", False, PortState.NOT_ALLOWED),
    ]


def test_masters_that_run_here() -> None:
    masters = {
        "m1": (("192.0.2.1", 7441), ("192.0.2.1", 7442)),
        "m2": (("192.0.2.9", 7441),),
    }
    there = (SSHD, Listener(7441, "tcp", "0.0.0.0", "python3"))
    found = rows(proxied(*there), masters=masters)
    assert [row for row in found if row[1] is Holder.MASTER] == [
        (7441, Holder.MASTER, "m1", True, "python3", None, PortState.OK),
        (7442, Holder.MASTER, "m1", False, "", None, PortState.NOT_LISTENING),
    ]
    assert 7441 not in [row[0] for row in found if row[1] is Holder.PROCESS]
