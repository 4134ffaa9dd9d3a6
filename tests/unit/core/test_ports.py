"""Who holds which host port."""

from __future__ import annotations

import dataclasses

from hullmark.core.ports import ledger
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts, HostRecord, Listener
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort, Tombstone
from hullmark.model.ports import Holder, PortView
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
        HostFacts(listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"), Listener(53, "udp", "::1"))),
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


def test_every_holder_is_listed_once_and_in_order() -> None:
    assert ledger(fleet()) == (
        PortView("web1", 22, "tcp", "", Holder.PROCESS, "sshd"),
        PortView("web1", 53, "udp", "10.0.0.1", Holder.ORPHAN, "blog.web.1.g4", 53),
        PortView("web1", 53, "udp", "::1", Holder.PROCESS, ""),
        PortView("web1", 8080, "tcp", "", Holder.INSTANCE, "shop/web.1", 80),
        PortView("web1", 8081, "tcp", "", Holder.REMOVING, "shop/web.2", 80),
        PortView("web1", 49153, "tcp", "", Holder.INSTANCE, "shop/web.1", 81),
    )


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
    assert [view.holder for view in ledger(kept_out) if view.port == 8080] == [
        "shop/web.1",
        "nginx",
    ]


def test_one_host_alone() -> None:
    assert ledger(fleet(), "web2") == ()
    assert ledger(fleet(), "web1") == ledger(fleet())


def test_what_is_ordered_is_held_before_its_host_speaks() -> None:
    unheard = dataclasses.replace(fleet(), observed={})
    assert [(view.port, view.kind) for view in ledger(unheard)] == [
        (8080, Holder.INSTANCE),
        (8081, Holder.REMOVING),
    ]
