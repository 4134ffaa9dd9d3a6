"""A fixed host port that nobody can have: the plan names who has it, wherever that is."""

from __future__ import annotations

import dataclasses

from hullmark.core.explain import explanation
from hullmark.core.schedule import plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    PortMode,
    PortSpec,
    Service,
)
from hullmark.model.host import HostFacts, HostRecord, Listener
from hullmark.model.observed import HostState
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets
from tests.unit.core.fleets import applied, obeyed, planned

FIXED = (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
WEB = Service(ContainerSpec("x"), ports=FIXED)


def fleet(**listeners: Listener) -> Snapshot:
    """Three hosts; those that are named have a process that listens."""
    hosts = [HostRecord(name, name, 1.0) for name in ("h1", "h2", "h3")]
    states = {
        host.name: HostState(
            HostFacts(listeners=(listeners[host.name],) if host.name in listeners else ())
        )
        for host in hosts
    }
    return fleets.snapshot({}, hosts, states)


def test_each_party_is_named_with_its_hosts() -> None:
    edge = Service(ContainerSpec("x"), DeploySpec(replicas=2), ports=FIXED)
    there = applied(fleet(h3=Listener(8080, "tcp", "0.0.0.0", "nginx")), App("edge", {"lb": edge}))
    there = obeyed(planned(there), {})
    (stuck,) = plan(applied(there, App("shop", {"web": WEB}))).unplaced
    found = [(item.filter, item.party, item.hosts, item.nearest) for item in stuck.refusals]
    assert found == [
        ("port", "edge/lb", ("h1", "h2"), "h1 by edge/lb.1"),
        ("port", "process nginx", ("h3",), "h3 by process nginx"),
    ]
    assert stuck.reasons == (
        "2 hosts: port 8080/tcp taken (h1 by edge/lb.1)",
        "host h3: port 8080/tcp taken by process nginx",
    )


def test_a_service_of_its_own_can_be_in_the_way() -> None:
    five = dataclasses.replace(WEB, deploy=DeploySpec(replicas=5))
    unplaced = plan(planned(applied(fleet(), App("shop", {"web": five})))).unplaced
    assert [(item.slot, item.refusals[0].party) for item in unplaced] == [
        (4, "shop/web"),
        (5, "shop/web"),
    ]


def test_the_way_out_is_named_with_who_has_the_port() -> None:
    busy = {name: Listener(8080, "tcp", "0.0.0.0", "nginx") for name in ("h1", "h2", "h3")}
    made = planned(applied(fleet(**busy), App("shop", {"web": WEB})))
    found = explanation(made, plan(made).unplaced, made.apps["shop"]).services[0].slots[0]
    assert found.nearest == "h1, once it is free: port 8080/tcp taken by process nginx"
    four = dataclasses.replace(WEB, deploy=DeploySpec(replicas=4))
    made = planned(applied(fleet(), App("shop", {"web": four})))
    slots = explanation(made, plan(made).unplaced, made.apps["shop"]).services[0].slots
    (found,) = [slot for slot in slots if slot.refusals]
    assert found.nearest == "one more host: those that it fits have one each"
    assert found.commands == ("hullmark scale shop/web=3",)


def test_a_process_keeps_what_runs_everywhere_off_one_host_only() -> None:
    everywhere = dataclasses.replace(WEB, deploy=DeploySpec(DeployMode.GLOBAL))
    there = fleet(h2=Listener(8080, "tcp", "127.0.0.1"))
    made = planned(applied(there, App("edge", {"lb": everywhere})))
    assert sorted(made.assignments) == ["h1", "h3"]
    (stuck,) = plan(made).unplaced
    assert stuck.reasons == ("host h2: port 8080/tcp taken by another process",)


def test_a_process_on_another_address_is_in_nobodys_way() -> None:
    here = dataclasses.replace(
        WEB, ports=(PortSpec(80, 8080, 8080, host_ip="10.0.0.1", mode=PortMode.HOST),)
    )
    listeners = {name: Listener(8080, "tcp", "127.0.0.1", "x") for name in ("h1", "h2", "h3")}
    assert plan(applied(fleet(**listeners), App("shop", {"web": here}))).unplaced == ()
    udp = {name: Listener(8080, "udp", "0.0.0.0", "x") for name in ("h1", "h2", "h3")}
    assert plan(applied(fleet(**udp), App("shop", {"web": WEB}))).unplaced == ()
