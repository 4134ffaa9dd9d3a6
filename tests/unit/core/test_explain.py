"""Explanations: each instance that is not as it should be has a reason, the nearest way out and what to type."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.explain import explanation
from hullmark.core.schedule import plan
from hullmark.errors import NotFound
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    HostLoss,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Service,
    Volume,
)
from hullmark.model.explanation import Explanation, SlotExplanation
from hullmark.model.host import Availability, HostFacts, Listener, Maintenance
from hullmark.model.records import RolloutState
from tests.unit.core.test_lost_hosts import DATA, cut, web, where, world_of
from tests.unit.core.world import World


def explained(world: World, service: str = "") -> Explanation:
    state = world.snapshot()
    return explanation(state, plan(state).unplaced, state.apps["shop"], service)


def only(world: World) -> SlotExplanation:
    (found,) = [slot for service in explained(world).services for slot in service.slots]
    return found


def nowhere(world: World, service: Service) -> SlotExplanation:
    world.apply(App("shop", {"web": service}, volumes={"data": Volume()}))
    world.pass_s(3.0)
    return only(world)


def test_all_is_well() -> None:
    found = explained(world_of(2, web(replicas=2)))
    assert (found.app, found.state, found.generation, found.hosts, found.notes) == (
        "shop",
        "running",
        1,
        2,
        (),
    )
    (service,) = found.services
    assert (service.wanted, service.running, service.serving, service.slots) == (2, 2, 2, ())


def test_filter_by_filter_with_the_nearest_host_and_the_number_that_fits() -> None:
    world = world_of(6)
    for number in range(1, 7):
        facts = HostFacts(cpus=4, memory_bytes=number << 30, architecture="x86_64")
        world.machines[f"id{number}"].facts = facts
        if number < 6:
            world.change_host(f"id{number}", labels={"scope": "cde"})
    world.change_host("id5", availability=Availability.CORDONED)
    world.pass_s(1.0)
    deploy = DeploySpec(
        replicas=2,
        placement=Placement(("node.labels.scope == cde",), (), 1),
        reservations=Resources(memory_bytes=4 << 30),
    )
    found = nowhere(world, Service(ContainerSpec("x"), deploy))
    assert (found.name, found.host, found.why) == ("shop/web.2", "", "no host fits")
    assert [(item.filter, len(item.hosts), item.nearest) for item in found.refusals] == [
        ("availability", 1, "h5"),
        ("constraint", 1, "h6"),
        ("max_replicas_per_node", 1, "h4"),
        ("memory", 3, "h3, free 3 GiB"),
    ]
    assert found.nearest == "h3: memory: need 4 GiB, free 3 GiB"
    assert found.commands == (
        "hullmark host uncordon h5",
        "hullmark host label h6 scope=cde",
        "hullmark scale shop/web=1",
    )
    service = explained(world).services[0]
    assert (service.wanted, service.running) == (2, 1)


@pytest.mark.parametrize(
    ("change", "nearest", "command"),
    [
        (
            {"availability": Availability.CORDONED},
            "h1, once it is no longer cordoned",
            "hullmark host uncordon h1",
        ),
        (
            {"maintenance": Maintenance(0.0, 9000.0, "ann")},
            "h1, once it is no longer in maintenance",
            "hullmark maintenance end h1",
        ),
    ],
)
def test_a_host_that_is_set_aside(change: dict[str, object], nearest: str, command: str) -> None:
    world = world_of(1)
    world.change_host("id1", **change)
    found = nowhere(world, Service(ContainerSpec("x")))
    assert (found.nearest, found.commands) == (nearest, (command,))


def test_a_port_that_another_process_has() -> None:
    world = world_of(1)
    facts = dataclasses.replace(
        world.machines["id1"].facts, listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"),)
    )
    world.machines["id1"].facts = facts
    world.pass_s(1.0)
    found = nowhere(
        world, Service(ContainerSpec("x"), ports=(PortSpec(22, 22, 22, mode=PortMode.HOST),))
    )
    assert found.nearest == "h1, once it is free: port 22/tcp taken by process sshd"


def test_a_removed_host_is_not_waited_for() -> None:
    world = world_of(3, ("web", Service(ContainerSpec("x", mounts=DATA))))
    world.forget_host(where(world))
    world.pass_s(1.0)
    found = only(world)
    assert "was removed and its data is there" in found.why
    assert (found.nearest, found.commands) == ("", ("hullmark move shop/web.1 --accept-data-loss",))


def test_what_is_kept_on_a_lost_host_names_the_operators_word() -> None:
    world = world_of(3, ("web", Service(ContainerSpec("x", mounts=DATA))))
    first = where(world)
    cut(world, first)
    found = only(world)
    name = f"h{first[2]}"
    assert (found.host, found.why) == (name, f"its host {name} is lost and its data is there")
    assert found.nearest == f"{name}, once it is heard again"
    assert found.commands == ("hullmark move shop/web.1 --accept-data-loss",)
    world.apply(
        App("shop", {"web": Service(ContainerSpec("x"), DeploySpec(on_host_lost=HostLoss.KEEP))})
    )
    assert only(world).commands == ("hullmark move shop/web.1",), (
        "there is nothing to lose once it has no data"
    )


def test_where_the_only_host_is_lost_a_move_is_not_named() -> None:
    world = world_of(1, ("web", Service(ContainerSpec("x", mounts=DATA))))
    cut(world, "id1")
    found = only(world)
    assert found.nearest == "h1, once it is heard again"
    assert found.commands == ("hullmark invite HOST",)


def test_what_has_its_data_elsewhere_names_the_operators_word() -> None:
    world = world_of(2, ("web", Service(ContainerSpec("x", mounts=DATA))))
    first = where(world)
    world.remove("shop")
    world.pass_s(3.0)
    world.change_host(first, availability=Availability.CORDONED)
    found = nowhere(world, Service(ContainerSpec("x", mounts=DATA)))
    name = f"h{first[2]}"
    assert found.nearest == f"{name}, once it is no longer cordoned"
    assert found.commands == (
        f"hullmark host uncordon {name}",
        "hullmark move shop/web.1 --accept-data-loss",
    )


def test_one_that_fits_nowhere_but_on_its_lost_host() -> None:
    world = world_of(2, web(replicas=2, placement=Placement(max_replicas_per_node=1)))
    cut(world, "id1")
    found = only(world)
    assert found.why == "its host h1 is lost"
    assert [item.filter for item in found.refusals] == ["max_replicas_per_node"]
    assert found.host == "h1"


def test_what_holds_for_the_whole_app() -> None:
    world = world_of(3, web(replicas=3))
    for host_id in ("id1", "id2"):
        world.machines[host_id].connected = False
    world.pass_s(12.0)
    rollout = dataclasses.replace(
        world.rollouts["shop"], state=RolloutState.PAUSED, reason="web.1 on h3: ended"
    )
    world.rollouts["shop"] = rollout
    silent, paused = explained(world).notes
    assert silent == (
        "2 of 3 hosts are silent: nothing moves; check the network between master and hosts"
    )
    assert paused == (
        "the change to generation 1 is paused: web.1 on h3: ended; "
        "hullmark rollout resume shop, or hullmark rollout undo shop"
    )


def test_one_service_of_several() -> None:
    world = world_of(1, web(), ("db", Service(ContainerSpec("y"))))
    assert [item.service for item in explained(world, "db").services] == ["db"]
    with pytest.raises(NotFound, match="has no service cache"):
        explained(world, "cache")
