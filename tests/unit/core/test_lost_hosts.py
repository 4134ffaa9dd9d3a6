"""Hosts that are silent, lost, in maintenance or removed, and what becomes of what they ran."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core import absence
from hullmark.core.schedule import plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    HostLoss,
    Mount,
    MountKind,
    Placement,
    Service,
    UpdateConfig,
    Volume,
)
from hullmark.model.host import HostFacts, HostRecord, Maintenance
from hullmark.model.orders import InstanceId
from tests.unit.core import promises
from tests.unit.core.world import World

DATA = (Mount(MountKind.VOLUME, "/data", "data"),)
BIND = (Mount(MountKind.BIND, "/etc/tz", "/etc/localtime", read_only=True),)
SLOT = ("shop", "web", 1)


def world_of(count: int, *services: tuple[str, Service]) -> World:
    facts = HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30)
    hosts = {f"id{n}": (HostRecord(f"id{n}", f"h{n}", 1.0), facts) for n in range(1, count + 1)}
    world = World(hosts)
    world.checks += (*promises.ALL, promises.DataStays())
    world.apply(App("shop", dict(services), volumes={"data": Volume()}))
    world.pass_s(3.0)
    return world


def web(mounts: tuple[Mount, ...] = (), **deploy: Any) -> tuple[str, Service]:
    return "web", Service(ContainerSpec("x", mounts=mounts), DeploySpec(**deploy))


def where(world: World, slot: tuple[str, str, int] = SLOT) -> str:
    host_id = world.host_of(slot)
    assert host_id is not None
    return host_id


def reasons(world: World) -> list[str]:
    return ["; ".join(item.reasons) for item in plan(world.snapshot()).unplaced]


def cut(world: World, host_id: str, seconds: float = 12.0) -> None:
    world.machines[host_id].connected = False
    world.pass_s(seconds)


def test_what_may_be_replaced_runs_elsewhere_and_its_double_ends_when_the_host_is_back() -> None:
    world = world_of(3, web())
    first = where(world)
    cut(world, first, 9.0)
    assert where(world) == first, "silent is not lost"
    world.pass_s(3.0)
    second = where(world)
    assert second != first
    instance = InstanceId("shop", "web", 1, 1)
    assert sorted(world.running()) == sorted([(first, instance), (second, instance)])
    (grave,) = world.assignments[first].tombstones
    assert grave.abandoned
    world.machines[first].connected = True
    world.pass_s(2.0)
    assert list(world.running()) == [(second, instance)]
    assert world.assignments[first].tombstones == ()


def test_a_plan_of_which_only_the_first_half_was_written_is_finished() -> None:
    """The new instance has its order, and the one on the lost host has no tombstone yet."""
    world = world_of(3, web())
    first = where(world)
    before = world.assignments[first]
    cut(world, first)
    second = where(world)
    for back in (False, True):
        world.assignments[first] = before
        world.machines[first].connected = back
        world.pass_s(2.0)
        assert where(world) in ((first, second) if back else (second,))
    assert len(list(world.running())) == 1


def test_two_hosts_lost_in_turn_and_back_in_turn_leave_one() -> None:
    world = world_of(5, web())
    first = where(world)
    cut(world, first)
    second = where(world)
    world.machines[first].connected = True
    world.machines[second].connected = False
    world.pass_s(12.0)
    third = where(world)
    assert third != second
    cut(world, third)
    world.machines[second].connected = world.machines[third].connected = True
    world.pass_s(3.0)
    assert len(list(world.running())) == 1
    assert where(world) == next(host for host, _ in world.running())


@pytest.mark.parametrize(
    ("mounts", "said", "moves"),
    [
        ((), None, True),
        ((), HostLoss.KEEP, False),
        (DATA, None, False),
        (BIND, None, False),
        (DATA, HostLoss.REPLACE, True),
        (BIND, HostLoss.REPLACE, True),
        ((Mount(MountKind.VOLUME, "/x"),), None, True),
        ((Mount(MountKind.TMPFS, "/x"),), None, True),
    ],
)
def test_whether_it_moves(mounts: tuple[Mount, ...], said: HostLoss, moves: bool) -> None:
    world = world_of(3, web(mounts, on_host_lost=said))
    first = where(world)
    cut(world, first, 60.0)
    assert (where(world) != first) is moves
    if not moves:
        (why,) = reasons(world)
        assert why.startswith(f"its host h{first[2]} is lost")


def test_what_is_kept_says_why() -> None:
    world = world_of(3, web(DATA))
    cut(world, where(world))
    assert reasons(world)[0].endswith("is lost and its data is there")
    world = world_of(3, web(on_host_lost=HostLoss.KEEP))
    cut(world, where(world))
    assert reasons(world)[0].endswith("is lost, and it is to be kept")


def test_one_that_fits_nowhere_else_stays_assigned_where_it_was() -> None:
    world = world_of(3, web(replicas=3, placement=Placement(max_replicas_per_node=1)))
    first = where(world)
    cut(world, first, 60.0)
    assert where(world) == first
    assert reasons(world) == [
        f"its host h{first[2]} is lost; elsewhere: 2 hosts: max_replicas_per_node: 1 there already"
    ]
    world.machines[first].connected = True
    world.pass_s(2.0)
    assert len(list(world.running())) == 3


def test_stop_is_replaced_only_once_its_agent_has_stopped_it() -> None:
    world = world_of(3, web(on_host_lost=HostLoss.STOP))
    first = where(world)
    assert world.assignments[first].assignments[0].stop_unheard_s == 10.0
    world.machines[first].connected = False
    for _ in range(25):
        world.pass_s(1.0)
        assert where(world) == first
        assert len(list(world.running())) <= 1
    assert not list(world.running()), "the agent stopped it before"
    world.pass_s(2.0)
    assert where(world) != first
    assert len(list(world.running())) == 1
    world.machines[first].connected = True
    world.pass_s(2.0)
    assert len(list(world.running())) == 1


def test_an_operators_move_waits_as_well_until_it_is_stopped() -> None:
    world = world_of(3, web(on_host_lost=HostLoss.STOP))
    first = where(world)
    cut(world, first)
    world.move(SLOT, first)
    for _ in range(13):
        world.pass_s(1.0)
        assert len(list(world.running())) <= 1
    world.pass_s(3.0)
    assert where(world) != first
    assert len(list(world.running())) == 1


def test_stop_is_not_believed_of_a_host_that_was_never_told() -> None:
    world = world_of(3, web(on_host_lost=HostLoss.KEEP))
    first = where(world)
    cut(world, first)
    world.apply(App("shop", dict([web(on_host_lost=HostLoss.STOP)])))
    world.pass_s(60.0)
    assert where(world) == first
    assert "was not told before to stop it" in reasons(world)[0]
    assert len(list(world.running())) == 1


def test_a_new_leader_waits_as_long_for_a_host_that_it_never_heard() -> None:
    world = world_of(3, web())
    first = where(world)
    cut(world, first, 8.0)
    world.new_leader()
    world.pass_s(9.0)
    assert where(world) == first
    world.pass_s(3.0)
    assert where(world) != first


def test_nothing_moves_while_more_than_a_third_are_silent() -> None:
    world = world_of(6, web(replicas=6))
    before = world.posts()
    for host_id in ("id1", "id2", "id3"):
        world.machines[host_id].connected = False
    world.pass_s(60.0)
    assert world.posts() == before
    brake = absence.brake(world.snapshot())
    assert brake is not None
    assert brake.note == "3 of 6 hosts are silent: nothing moves"
    assert all(brake.note in text for text in reasons(world))
    world.machines["id3"].connected = True
    world.pass_s(2.0)
    brake = absence.brake(world.snapshot())
    assert brake is not None
    assert brake.note.startswith("2 of 6 hosts are silent: nothing moves for another 8 s")
    assert world.posts() == before, "the others may be on their way back"
    again = plan(world.snapshot()).again_in_s
    assert again is not None
    assert again <= 9.1
    world.pass_s(10.0)
    assert absence.brake(world.snapshot()) is None
    moved = {slot for slot, posts in world.posts().items() if posts != before[slot]}
    assert len(moved) == 2


@pytest.mark.parametrize(
    ("total", "silent", "works", "braked"),
    [
        (1, 1, 0, False),
        (2, 1, 0, False),
        (2, 2, 0, True),
        (3, 1, 0, False),
        (3, 2, 0, True),
        (6, 2, 0, False),
        (6, 3, 0, True),
        (9, 3, 0, False),
        (9, 4, 0, True),
        (9, 6, 3, True),  # 3 of 6: those in maintenance are in neither number
        (9, 5, 3, False),
        (4, 4, 3, False),
    ],
)
def test_the_brake(total: int, silent: int, works: int, braked: bool) -> None:
    """The first hosts are in maintenance, and the first are silent."""
    world = world_of(total, web())
    for n in range(1, works + 1):
        world.change_host(f"id{n}", maintenance=Maintenance(0.0, world.now + 60.0, "ann"))
    for n in range(1, silent + 1):
        world.heard[f"id{n}"] = world.now - 6.0
    assert (absence.brake(world.snapshot()) is not None) is braked


def test_hosts_that_were_just_enrolled_have_their_time_to_call_before_they_count() -> None:
    """One that has them and is silent, beside two that were never heard."""
    world = world_of(4, web())
    world.heard = {"id1": world.now - 6.0, "id2": world.now}
    long = dataclasses.replace(world.snapshot(), waited_s=1000.0)
    young = dataclasses.replace(long, enrolled_s={"id3": 9.0, "id4": 2.0})
    assert absence.brake(young) is None
    assert absence.next_turn_s(young) == pytest.approx(1.05)
    first = dataclasses.replace(young, enrolled_s={"id3": 10.1, "id4": 3.1})
    found = absence.brake(first)
    assert found is not None
    assert found.note == "2 of 3 hosts are silent: nothing moves"
    for before in (long, dataclasses.replace(young, enrolled_s={"id3": 10.1, "id4": 10.1})):
        found = absence.brake(before)
        assert found is not None
        assert found.note == "3 of 4 hosts are silent: nothing moves"
    heard = dataclasses.replace(young, heard_s={**young.heard_s, "id3": 6.0, "id4": 6.0})
    assert absence.brake(heard) is not None, "who called once is new no more"


def test_nothing_moves_off_a_host_in_maintenance_until_its_time_is_over() -> None:
    world = world_of(3, web())
    first = where(world)
    world.change_host(first, maintenance=Maintenance(world.now, world.now + 40.0, "ann", "CHG-1"))
    cut(world, first, 30.0)
    assert where(world) == first
    assert "is in maintenance" in reasons(world)[0]
    again = plan(world.snapshot()).again_in_s
    assert again is not None
    assert again <= 10.1
    world.pass_s(12.0)
    assert where(world) != first


def test_what_a_removed_host_ran_is_replaced_at_once_and_its_orders_go() -> None:
    world = world_of(3, web(replicas=2), ("db", Service(ContainerSpec("y", mounts=DATA))))
    first = where(world)
    world.forget_host(first)
    world.pass_s(1.0)
    assert where(world) != first
    kept = where(world, ("shop", "db", 1))
    if kept != first:
        assert first not in world.assignments
        world.forget_host(kept)
        world.pass_s(1.0)
    assert "was removed and its data is there" in reasons(world)[0]
    world.move(("shop", "db", 1), leave=where(world, ("shop", "db", 1)))
    world.pass_s(2.0)
    assert sorted(world.assignments) == sorted(world.records)


def test_a_global_service_goes_with_its_host() -> None:
    world = world_of(3, web(mode=DeployMode.GLOBAL))
    cut(world, "id1", 60.0)
    assert sorted(host for host, _ in world.running()) == ["id1", "id2", "id3"]
    assert len(world.posts()) == 3
    world.forget_host("id1")
    world.pass_s(1.0)
    assert len(world.posts()) == 2
    assert "id1" not in world.assignments


def test_a_job_that_is_over_does_not_run_again() -> None:
    job = Service(ContainerSpec("x", one_shot=True))
    world = world_of(3, ("web", job))
    first = where(world)
    cut(world, first, 60.0)
    assert where(world) == first
    assert reasons(world) == []
    world.new_leader()
    world.pass_s(60.0)
    assert where(world) == first
    assert "whether it has completed is not known" in reasons(world)[0]


def test_one_of_an_older_generation_moves_as_it_is_while_its_turn_has_not_come() -> None:
    service = dataclasses.replace(
        web(replicas=2, update=UpdateConfig(monitor_s=300.0))[1], container=ContainerSpec("x:1")
    )
    world = world_of(4, ("web", service))
    world.pass_s(305.0)
    changed = dataclasses.replace(service, container=ContainerSpec("x:2"))
    world.apply(App("shop", {"web": changed}))
    world.pass_s(5.0)
    generations = {slot[2]: posts[0][1].generation for slot, posts in world.posts().items()}
    (old,) = [slot for slot, generation in generations.items() if generation == 1]
    first = where(world, ("shop", "web", old))
    cut(world, first)
    ((second, instance),) = world.posts()["shop", "web", old]
    assert second != first
    assert instance.generation == 1
