"""Declared flows: by networks, by uses, and from outside."""

from __future__ import annotations

import dataclasses
from typing import Any

from hullmark.core.flows import flows
from hullmark.model.app import App, Attachment, ContainerSpec, Network, PortMode, PortSpec, Service
from hullmark.model.flows import Encrypted, Flow, FlowKind
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

HOSTS = [HostRecord("id1", "web1", 1.0), HostRecord("id2", "web2", 1.0)]
PROXY = HostFacts(proxy_version="2.6", proxy_address="192.0.2.1", proxy_port=7443)
BOTH = ("id1", "id2")


def on(*networks: str, expose: tuple[str, ...] = (), scope: str = "", **more: Any) -> Service:
    places = tuple(Attachment(one) for one in networks)
    container = ContainerSpec("x:1", networks=places, expose=expose, scope=scope)
    return Service(container, **more)


def world(**where: tuple[str, ...]) -> Snapshot:
    """An app with a front, a back, a worker without ports, and another app that uses its database. `where`: hosts by service."""
    shop = App(
        "shop",
        {
            "web": on("front", ports=(PortSpec(80, 443, 443),)),
            "api": on("front", "back", expose=("8080",)),
            "db": on("back", expose=("5432",), scope="cde"),
            "work": on("back"),
            "stat": Service(
                ContainerSpec("x:1", network_mode="host"),
                ports=(PortSpec(8125, 8125, 8125, "udp", mode=PortMode.HOST),),
            ),
        },
        networks={"front": Network(), "back": Network(internal=True)},
    )
    pay = App("pay", {"job": on("own", uses=("shop/db",))}, networks={"own": Network()})
    states = {host_id: HostState(PROXY) for host_id in BOTH}
    made = fleets.applied(fleets.applied(fleets.snapshot({}, HOSTS, states), shop), pay)
    orders = {
        host_id: HostAssignments(
            tuple(
                Assignment(InstanceId("pay" if name == "job" else "shop", name, 1, 1), "h")
                for name, hosts in where.items()
                if host_id in hosts
            )
        )
        for host_id in BOTH
    }
    return dataclasses.replace(made, assignments=orders)


def said(found: tuple[Flow, ...]) -> list[tuple[Any, ...]]:
    return [(one.caller, one.service, one.kind, one.networks, one.ports) for one in found]


def test_all_that_is_declared_and_nothing_else() -> None:
    network, uses = FlowKind.NETWORK, FlowKind.USES
    assert said(flows(world())) == [
        ("shop/db", "shop/api", network, ("back",), (8080,)),
        ("shop/web", "shop/api", network, ("front",), (8080,)),
        ("shop/work", "shop/api", network, ("back",), (8080,)),
        ("pay/job", "shop/db", uses, (), (5432,)),
        ("shop/api", "shop/db", network, ("back",), (5432,)),
        ("shop/work", "shop/db", network, ("back",), (5432,)),
        ("", "shop/stat", FlowKind.HOST, (), (8125,)),
        ("", "shop/web", FlowKind.PUBLISHED, (), (80,)),
        ("shop/api", "shop/web", network, ("front",), (80,)),
    ]


def one(found: Snapshot, caller: str, service: str) -> Flow:
    (flow,) = (each for each in flows(found) if (each.caller, each.service) == (caller, service))
    return flow


def test_where_it_is_encrypted() -> None:
    first, second = ("id1",), ("id2",)
    for api, db, crosses, encrypted in (
        (first, second, True, Encrypted.YES),
        (first, first, False, Encrypted.NO),
        (BOTH, second, True, Encrypted.BETWEEN_HOSTS),
        (first, (), False, Encrypted.UNKNOWN),
    ):
        found = one(world(api=api, db=db), "shop/api", "shop/db")
        assert (found.across_hosts, found.encrypted) == (crosses, encrypted)
    assert one(world(api=BOTH), "shop/api", "shop/db").caller_hosts == ("web1", "web2")


def test_from_outside() -> None:
    found = one(world(web=("id2",)), "", "shop/web")
    assert (found.caller_scope, found.scope, found.published) == ("", "out", (443,))
    assert (found.caller_hosts, found.service_hosts) == (("web1", "web2"), ("web2",))
    assert (found.across_hosts, found.encrypted) == (True, Encrypted.BETWEEN_HOSTS)
    stat = one(world(stat=("id1",)), "", "shop/stat")
    assert (stat.protocol, stat.published, stat.caller_hosts) == ("udp", (8125,), ("web1",))
    assert stat.encrypted is Encrypted.NO


def test_what_is_published_on_loopback_is_for_the_hosts_own_programs() -> None:
    host = PortMode.HOST
    ports = (
        PortSpec(80, 8090, 8090, host_ip="127.0.0.1"),
        PortSpec(81, 8090, 8090, host_ip="192.0.2.1"),
        PortSpec(82, 8091, 8091),
        PortSpec(83, 8092, 8092, "udp", mode=host, host_ip="::1"),
        PortSpec(84, 8093, 8093, "udp", mode=host),
    )
    there = fleets.applied(world(), App("lo", {"r": on(ports=ports)}))
    found = [each for each in flows(there) if each.service == "lo/r"]
    assert [(each.published, each.ports, each.local) for each in found] == [
        ((8092,), (83,), True),
        ((8093,), (84,), False),
        ((8090,), (81,), False),
        ((8090,), (80,), True),
        ((8091,), (82,), False),
    ]


def test_of_one_scope() -> None:
    cde = flows(world(), "cde")
    assert [(each.caller, each.service) for each in cde] == [
        ("shop/db", "shop/api"),
        ("pay/job", "shop/db"),
        ("shop/api", "shop/db"),
        ("shop/work", "shop/db"),
    ]
    assert len(flows(world(), "out")) == len(flows(world()))


def test_an_app_that_is_being_removed_has_none() -> None:
    there = world()
    gone = dataclasses.replace(there.apps["shop"], removing=True)
    assert flows(dataclasses.replace(there, apps={**there.apps, "shop": gone})) == ()
