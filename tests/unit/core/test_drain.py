"""Hosts that get nothing new, and hosts that are emptied."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.drain import drain, stuck
from hullmark.core.explain import explanation
from hullmark.core.schedule import plan
from hullmark.core.standing import Standing
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    HostLoss,
    Service,
    UpdateConfig,
    UpdateOrder,
)
from hullmark.model.host import Availability, Maintenance
from hullmark.model.snapshot import Strategy
from tests.unit.core.test_lost_hosts import DATA, reasons, web, where, world_of
from tests.unit.core.world import World

CORDONED, DRAINING = Availability.CORDONED, Availability.DRAINING


def instances(world: World, host_id: str) -> list[str]:
    return [str(item.instance) for item in world.assignments[host_id].assignments]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"availability": CORDONED}, "cordoned"),
        ({"availability": DRAINING}, "draining"),
        ({"maintenance": Maintenance(0.0, 1600.0, "ann")}, "in maintenance, 10 min left"),
    ],
)
def test_hosts_that_are_set_aside_get_nothing_new(change: dict[str, object], why: str) -> None:
    world = world_of(1)
    world.change_host("id1", **change)
    world.apply(App("shop", dict([web()])))
    assert plan(dataclasses.replace(world.snapshot(), now=1000.0)).hosts == {}
    assert plan(dataclasses.replace(world.snapshot(), now=1000.0)).unplaced[0].reasons == (
        f"host h1: {why}",
    )


def test_what_is_on_a_cordoned_host_stays_and_is_made_again_there() -> None:
    world = world_of(3, web())
    first = where(world)
    world.change_host(first, availability=CORDONED)
    world.pass_s(5.0)
    assert where(world) == first
    world.apply(App("shop", {"web": Service(ContainerSpec("y"))}))
    world.pass_s(3.0)
    ((host, instance),) = world.running()
    assert (host, instance.generation) == (first, 2)


def test_a_drained_host_is_left_one_by_one_and_nothing_stops_before_its_next_serves() -> None:
    world = world_of(3, web(replicas=6, update=UpdateConfig(parallelism=1, monitor_s=1.0)))
    world.change_host("id1", availability=DRAINING)
    assert len(drain(world.snapshot(), "id1").left) == 2
    seen = []
    for _ in range(8):
        serving = {
            (status.instance.slot)
            for state in world.observed.values()
            for status in state.instances.values()
            if status.serving
        }
        assert len(serving) == 6
        doubles = [slot for slot, posts in world.posts().items() if len(posts) > 1]
        assert len(doubles) <= 1
        seen += doubles
        world.pass_s(1.0)
    assert len(set(seen)) == 2
    assert instances(world, "id1") == []
    assert drain(world.snapshot(), "id1").text == "nothing left"
    assert len(list(world.running())) == 6


def test_a_drain_that_is_taken_back_leaves_one() -> None:
    world = world_of(3, web())
    first = where(world)
    world.change_host(first, availability=DRAINING)
    world.lead()
    assert len(world.posts()["shop", "web", 1]) == 2
    shown = Standing(world.snapshot()).summary(world.apps["shop"])
    assert (shown.services[0].wanted, shown.services[0].serving) == (1, 1)
    assert shown.state == "changing"
    world.change_host(first, availability=Availability.ACTIVE)
    world.pass_s(3.0)
    assert where(world) == first, "the one that serves stays"
    assert len(list(world.running())) == 1


def test_what_has_local_data_stays_on_a_drained_host() -> None:
    db = Service(ContainerSpec("y", mounts=DATA))
    world = world_of(3, ("db", db), web(replicas=3), ("log", web(mode=DeployMode.GLOBAL)[1]))
    first = where(world, ("shop", "db", 1))
    world.change_host(first, availability=DRAINING)
    world.pass_s(6.0)
    found = drain(world.snapshot(), first)
    assert found.text == "nothing left, 2 stay: local data, runs on every host"
    assert [str(item) for item in found.stays] == ["shop/db.1", instances(world, first)[1]]
    world.move(("shop", "db", 1), first)
    world.pass_s(4.0)
    assert where(world, ("shop", "db", 1)) != first
    assert instances(world, first) == [], "what runs on every host goes last"
    world.change_host(first, availability=Availability.ACTIVE)
    world.pass_s(2.0)
    assert len(instances(world, first)) == 1


def test_jobs_end_on_a_drained_host_and_do_not_run_again() -> None:
    world = world_of(2, ("job", Service(ContainerSpec("x", one_shot=True))))
    first = where(world, ("shop", "job", 1))
    world.change_host(first, availability=DRAINING)
    world.pass_s(6.0)
    assert where(world, ("shop", "job", 1)) == first
    assert drain(world.snapshot(), first).text == "nothing left"


def test_with_no_other_host_it_stays_and_says_why() -> None:
    world = world_of(1, web())
    world.change_host("id1", availability=DRAINING)
    world.pass_s(3.0)
    assert reasons(world) == ["its host h1 is draining; there is no other host"]
    assert Standing(world.snapshot()).summary(world.apps["shop"]).state == "running"
    snapshot = world.snapshot()
    (slot,) = explanation(snapshot, plan(snapshot).unplaced, world.apps["shop"]).services[0].slots
    assert (slot.nearest, slot.commands) == (
        "one more host: there is no other",
        ("hullmark invite HOST",),
    )


def held(world: World, host_id: str) -> dict[str, str]:
    snapshot = world.snapshot()
    found = stuck(snapshot, snapshot.hosts[host_id], plan(snapshot).unplaced)
    return {str(instance): why for instance, why in found.items()}


def test_what_no_other_host_fits_is_stuck_and_holds_what_runs_on_every_host() -> None:
    world = world_of(2, web(), ("log", web(mode=DeployMode.GLOBAL)[1]))
    first = where(world)
    other = "id2" if first == "id1" else "id1"
    assert held(world, first) == {}
    world.change_host(other, availability=CORDONED)
    world.change_host(first, availability=DRAINING)
    world.pass_s(3.0)
    found = held(world, first)
    assert found.pop("shop/web.1").endswith(f"elsewhere: host h{other[2:]}: cordoned")
    assert list(found.values()) == ["runs on every host"]
    assert {str(one) for one in drain(world.snapshot(), first).left} == set(held(world, first))
    world.change_host(other, availability=Availability.ACTIVE)
    world.lead()
    assert held(world, first) == {}, "it is under way"


@pytest.mark.parametrize("order", list(UpdateOrder))
def test_one_that_must_not_run_twice_is_stopped_first(order: UpdateOrder) -> None:
    update = UpdateConfig(parallelism=1, order=order)
    world = world_of(3, web(replicas=6, on_host_lost=HostLoss.STOP, update=update))
    world.change_host("id1", availability=DRAINING)
    most = missing = 0
    for _ in range(10):
        world.pass_s(1.0)
        slots = [instance.slot for _, instance in world.running()]
        most = max(most, *(slots.count(slot) for slot in slots))
        missing = max(missing, 6 - len(set(slots)))
    assert (most, missing) == ((1, 1) if order is UpdateOrder.STOP_FIRST else (2, 0))
    assert instances(world, "id1") == []


def test_a_drained_host_that_is_lost_is_not_waited_for() -> None:
    world = world_of(3, web())
    first = where(world)
    world.change_host(first, availability=DRAINING)
    world.lead()
    world.machines[first].connected = False
    world.pass_s(14.0)
    assert where(world) != first


def test_nothing_is_drained_while_too_many_are_silent() -> None:
    world = world_of(3, web(replicas=3))
    world.machines["id2"].connected = world.machines["id3"].connected = False
    world.pass_s(8.0)
    world.change_host("id1", availability=DRAINING)
    world.pass_s(4.0)
    assert len(instances(world, "id1")) == 1


def test_bin_packing_takes_the_fullest_host_that_has_room() -> None:
    for strategy, expected in ((Strategy.SPREAD, [2, 2, 2]), (Strategy.BINPACK, [0, 2, 4])):
        world = world_of(3)
        world.strategy = strategy
        reserved = dataclasses.replace(DeploySpec().reservations, cpus=1.0)
        service = Service(ContainerSpec("x"), DeploySpec(replicas=6, reservations=reserved))
        world.apply(App("shop", {"web": service}))
        world.pass_s(2.0)
        counts = sorted(len(instances(world, host_id)) for host_id in world.assignments)
        assert sorted([0] * (3 - len(counts)) + counts) == expected
