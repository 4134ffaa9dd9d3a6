"""Local data has a home: an instance that has some comes up there, or nowhere."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.homes import Homes, has_local_data, keeps_home, loss_policy
from hullmark.core.moves import move
from hullmark.core.schedule import plan
from hullmark.errors import Conflict
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
    Volume,
)
from hullmark.model.host import Availability
from hullmark.model.move import MoveRequest
from hullmark.model.observed import Phase
from hullmark.model.records import Home, HomesRecord
from tests.unit.core.fleets import CHANGE
from tests.unit.core.test_lost_hosts import DATA, cut, reasons, web, where, world_of
from tests.unit.core.world import World

DB = ("shop", "db", 1)
OTHER = (Mount(MountKind.VOLUME, "/x", "other"),)


def db(mounts: tuple[Mount, ...] = DATA, image: str = "db:1", **deploy: object) -> Service:
    return Service(ContainerSpec(image, mounts=mounts), DeploySpec(**deploy))  # type: ignore[arg-type]


def app(**services: Service) -> App:
    return App("shop", services, volumes={"data": Volume(), "other": Volume(external="nas")})


def world_with(count: int = 3, **services: Service) -> World:
    world = world_of(count)
    world.apply(app(**services))
    world.pass_s(3.0)
    return world


def homes(world: World) -> dict[str, tuple[str, str]]:
    record = world.homes.get("shop", HomesRecord())
    return {key: (home.host_id, home.leave) for key, home in record.slots.items()}


def test_what_counts_as_local_data() -> None:
    named, anonymous = DATA, (Mount(MountKind.VOLUME, "/x"),)
    bind = (Mount(MountKind.BIND, "/x", "/srv", read_only=True),)
    assert [has_local_data(db(mounts)) for mounts in (named, bind, anonymous, ())] == [
        True,
        True,
        False,
        False,
    ]
    assert loss_policy(db()) is HostLoss.KEEP
    assert loss_policy(db(())) is HostLoss.REPLACE
    assert loss_policy(db(on_host_lost=HostLoss.STOP)) is HostLoss.STOP
    assert keeps_home(db())
    assert keeps_home(db(on_host_lost=HostLoss.KEEP))
    assert not keeps_home(db(on_host_lost=HostLoss.REPLACE))
    assert not keeps_home(db(mode=DeployMode.GLOBAL))
    assert not keeps_home(db((), on_host_lost=HostLoss.KEEP))


def test_a_home_is_noted_with_the_first_placement_and_outlives_the_app() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    assert homes(world) == {"db.1": (first, "")}
    assert world.homes["shop"].slots["db.1"].volumes == ("data",)
    world.remove("shop")
    world.pass_s(3.0)
    assert world.apps == {}
    for host_id in sorted(world.records):
        world.change_host(host_id, labels={"busy": str(host_id == first)})
    world.apply(app(web=web(replicas=4)[1]))
    world.pass_s(2.0)
    world.apply(app(db=db()))
    world.pass_s(4.0)
    assert where(world, DB) == first


def test_it_does_not_come_up_elsewhere_when_its_host_may_not_have_it() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    world.remove("shop")
    world.pass_s(3.0)
    world.change_host(first, availability=Availability.CORDONED)
    world.apply(app(db=db()))
    world.pass_s(3.0)
    assert world.posts() == {}
    (found,) = plan(world.snapshot()).unplaced
    assert [(item.filter, item.text) for item in found.refusals] == [
        ("data", f"its data is on host h{first[2]}"),
        ("availability", "cordoned"),
    ]
    world.forget_host(first)
    assert f"its data is on host {first}, which was removed" in reasons(world)[0]


def test_it_does_not_come_up_elsewhere_when_its_constraints_change() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    elsewhere = Placement((f"node.hostname != h{first[2]}",))
    world.apply(app(db=db(placement=elsewhere)))
    world.pass_s(5.0)
    assert world.posts() == {}
    assert "its data is on host" in reasons(world)[0]
    world.apply(app(db=db()))
    world.pass_s(3.0)
    assert where(world, DB) == first


def test_it_does_not_come_up_elsewhere_under_another_name() -> None:
    """Renamed: its volume is found by its key."""
    world = world_with(db=db(replicas=2))
    hosts = sorted(posts[0][0] for posts in world.posts().values())
    world.apply(app(database=db(replicas=2)))
    world.pass_s(6.0)
    assert sorted(posts[0][0] for posts in world.posts().values()) == hosts
    assert sorted(homes(world)) == ["database.1", "database.2", "db.1", "db.2"]


def test_services_that_share_a_volume_are_on_one_host() -> None:
    world = world_with(5, a=db(), b=db(), c=db(OTHER))
    assert where(world, ("shop", "a", 1)) == where(world, ("shop", "b", 1))
    both = db((*DATA, *OTHER))
    world.apply(app(a=db(), b=db(), c=db(OTHER), d=both))
    world.pass_s(3.0)
    if where(world, ("shop", "c", 1)) == where(world, ("shop", "a", 1)):
        assert where(world, ("shop", "d", 1)) == where(world, ("shop", "a", 1))
    else:
        assert "are not on one host together" in reasons(world)[0]


def test_a_slot_that_is_scaled_away_and_back_finds_its_data() -> None:
    world = world_with(4, db=db(replicas=3))
    before = world.posts()
    world.apply(app(db=db(replicas=1)))
    world.pass_s(3.0)
    assert len(homes(world)) == 3
    world.apply(app(db=db(replicas=3)))
    world.pass_s(3.0)
    assert world.posts() == before


def test_a_home_from_before_homes_were_noted_is_noted() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    world.homes.clear()
    world.apply(app(db=db(image="db:2")))
    world.lead()
    assert homes(world) == {"db.1": (first, "")}


def test_homes_go_with_the_volumes() -> None:
    world = world_with(db=db())
    world.remove("shop", volumes=True)
    world.lead()
    assert homes(world), "not before every host has the order"
    world.pass_s(4.0)
    assert world.apps == {}
    assert world.homes == {}


def test_a_move_from_a_host_that_is_heard_stops_first() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    world.move(DB, first)
    most = 0
    for _ in range(4):
        world.pass_s(1.0)
        most = max(most, len(list(world.running())))
    second = where(world, DB)
    assert second != first
    assert most == 1
    assert homes(world) == {"db.1": (second, "")}


@pytest.mark.parametrize("mounts", [(), DATA])
def test_a_move_of_many_slots_takes_as_many_at_a_time_as_a_change(
    mounts: tuple[Mount, ...],
) -> None:
    world = world_with(4, db=db(mounts, replicas=4))
    first = {slot: where(world, ("shop", "db", slot)) for slot in range(1, 5)}
    for slot, host_id in first.items():
        world.move(("shop", "db", slot), host_id)
    for _ in range(20):
        world.pass_s(1.0)
        assert len(list(world.running())) >= 3
    now = {slot: where(world, ("shop", "db", slot)) for slot in first}
    assert all(now[slot] != first[slot] for slot in first)


def test_what_does_not_serve_is_moved_at_once() -> None:
    world = world_with(4, db=db(replicas=4))
    first = {slot: where(world, ("shop", "db", slot)) for slot in range(1, 5)}
    for slot, host_id in first.items():
        world.move(("shop", "db", slot), host_id)
    broken = {
        host_id: dataclasses.replace(
            state,
            instances={
                name: dataclasses.replace(status, phase=Phase.BACKOFF)
                for name, status in state.instances.items()
            },
        )
        for host_id, state in world.observed.items()
    }
    made = plan(dataclasses.replace(world.snapshot(), observed=broken))
    assert sum(len(orders.tombstones) for orders in made.hosts.values()) == 4


def test_a_move_with_a_target_goes_there_or_nowhere() -> None:
    world = world_with(4, db=db())
    first = where(world, DB)
    target = next(host_id for host_id in sorted(world.records, reverse=True) if host_id != first)
    slots = {"db.1": Home(target, ("data",), first)}
    world.homes["shop"] = HomesRecord(slots)
    world.change_host(target, availability=Availability.CORDONED)
    world.pass_s(3.0)
    assert where(world, DB) == first, "it is not stopped before there is a place for it"
    assert f"an operator moves it away from h{first[2]}" in reasons(world)[0]
    world.change_host(target, availability=Availability.ACTIVE)
    world.pass_s(3.0)
    assert where(world, DB) == target
    assert homes(world) == {"db.1": (target, "")}


def test_a_move_from_a_lost_host_is_at_once_and_the_former_one_ends_when_it_is_back() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    cut(world, first)
    assert where(world, DB) == first
    world.move(DB, first)
    world.pass_s(1.0)
    second = where(world, DB)
    assert second != first
    world.machines[first].connected = True
    world.pass_s(2.0)
    assert [host for host, _ in world.running()] == [second]


def test_a_move_of_what_has_no_data_leaves_no_home() -> None:
    world = world_with(web=web()[1])
    first = where(world, ("shop", "web", 1))
    world.move(("shop", "web", 1), first)
    world.pass_s(3.0)
    assert where(world, ("shop", "web", 1)) != first
    assert homes(world) == {}


@pytest.mark.parametrize("accepted", [False, True])
def test_a_move_that_waits_does_not_take_data_that_came_later(accepted: bool) -> None:
    world = world_with(2, db=db(()))
    first = where(world, DB)
    other = next(host_id for host_id in world.records if host_id != first)
    world.change_host(other, availability=Availability.CORDONED)
    asked = MoveRequest("db", "r", accept_data_loss=accepted)
    world.homes["shop"] = move(world.snapshot(), world.apps["shop"], asked, CHANGE).homes
    world.apply(app(db=db()))
    world.pass_s(15.0)
    assert where(world, DB) == first
    world.change_host(other, availability=Availability.ACTIVE)
    world.pass_s(5.0)
    assert homes(world) == {"db.1": (other if accepted else first, "")}
    assert where(world, DB) == (other if accepted else first)


def test_slots_of_what_runs_on_every_host_do_not_change_a_home() -> None:
    world = world_with(db=db(replicas=3))
    before = homes(world)
    world.apply(app(db=db(OTHER, mode=DeployMode.GLOBAL)))
    world.pass_s(10.0)
    assert homes(world) == before
    assert {home.volumes for home in world.homes["shop"].slots.values()} == {("data",)}


def test_a_job_that_has_completed_does_not_run_again_for_a_move() -> None:
    world = world_with(db=Service(ContainerSpec("job:1", one_shot=True)))
    first = where(world, DB)
    with pytest.raises(Conflict, match="has completed"):
        move(world.snapshot(), world.apps["shop"], MoveRequest("db", "r"), CHANGE)
    world.move(DB, first)
    world.pass_s(5.0)
    assert where(world, DB) == first, "also where it completed after the word"


def test_a_job_of_which_nothing_is_known_runs_elsewhere_by_an_operators_word() -> None:
    world = world_with(db=Service(ContainerSpec("job:1", one_shot=True)))
    first = where(world, DB)
    world.machines[first].connected = False
    world.new_leader()
    world.pass_s(15.0)
    assert where(world, DB) == first
    assert "whether it has completed is not known" in reasons(world)[0]
    asked = MoveRequest("db", "r")
    world.homes["shop"] = move(world.snapshot(), world.apps["shop"], asked, CHANGE).homes
    world.pass_s(3.0)
    assert where(world, DB) != first


def test_an_entrusted_service_takes_its_home_along() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    world.apply(app(db=db(on_host_lost=HostLoss.REPLACE)))
    cut(world, first)
    second = where(world, DB)
    assert second != first
    world.machines[first].connected = True
    world.apply(app(db=db()))
    world.pass_s(3.0)
    assert homes(world) == {"db.1": (second, "")}
    assert where(world, DB) == second


def test_data_that_was_let_go_elsewhere_is_kept_where_it_went() -> None:
    world = world_with(db=db())
    first = where(world, DB)
    world.apply(app(db=db(on_host_lost=HostLoss.REPLACE)))
    world.pass_s(2.0)
    cut(world, first)
    second = where(world, DB)
    assert second != first
    world.machines[first].connected = True
    world.pass_s(15.0)
    world.remove("shop")
    world.pass_s(3.0)
    world.apply(app(db=db()))
    world.pass_s(3.0)
    assert where(world, DB) == second, "what it wrote last is there"


@pytest.mark.parametrize("key", ["db.1", "my.db.12"])
def test_changes_are_of_the_app_as_a_whole(key: str) -> None:
    name, _, slot = key.rpartition(".")
    kept = Home("id9", ("data",))
    found = Homes({"shop": HomesRecord({"a.1": kept})})
    assert found.changed() == {}
    found.settle("shop", name, db(), int(slot), "id1")
    found.settle("shop", name, db(), int(slot), "id1")
    assert found.changed() == {"shop": HomesRecord({"a.1": kept, key: Home("id1", ("data",))})}
