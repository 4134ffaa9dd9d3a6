from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.berths import (
    INSTANCES_MAX,
    Berth,
    Filter,
    Hold,
    Obstacle,
    choose_ports,
)
from hullmark.core.schedule import plan
from hullmark.model import wire
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    PortMode,
    PortSpec,
    Resources,
    Service,
)
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.records import HostAssignments
from tests.unit.core.fleets import committed, one_host, with_record

HOST = HostRecord("h1", "h1", 1.0)
ONE, TWO = InstanceId("shop", "web", 1, 1), InstanceId("shop", "web", 2, 1)
SLOT = ("shop", "web", 2)


def berth(cpus: int = 4, memory_bytes: int = 1 << 30) -> Berth:
    return Berth(HOST, HostFacts(cpus=cpus, memory_bytes=memory_bytes), ready=True)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (PublishedPort(80, 80), PublishedPort(90, 80), True),
        (PublishedPort(80, 80), PublishedPort(80, 81), False),
        (PublishedPort(80, 80), PublishedPort(80, 80, "udp"), False),
        (PublishedPort(80, 80, host_ip="10.0.0.1"), PublishedPort(80, 80), True),
        (PublishedPort(80, 80, host_ip="10.0.0.1"), PublishedPort(80, 80, host_ip="::"), True),
        (
            PublishedPort(80, 80, host_ip="10.0.0.1"),
            PublishedPort(80, 80, host_ip="10.0.0.2"),
            False,
        ),
        (
            PublishedPort(80, 80, host_ip="10.0.0.1"),
            PublishedPort(80, 80, host_ip="10.0.0.1"),
            True,
        ),
        (PublishedPort(80, 80, host_ip="0.0.0.0"), PublishedPort(80, 80, host_ip="::1"), True),
    ],
)
def test_clashes(one: PublishedPort, other: PublishedPort, clash: bool) -> None:
    assert Hold(one, None, "").clashes(other) is clash
    assert Hold(other, None, "").clashes(one) is clash


def test_a_port_is_taken_but_not_from_the_next_of_a_slot_that_goes() -> None:
    place = berth()
    place.take(ONE, Resources(), [PublishedPort(80, 8080)])
    taken = Obstacle(Filter.PORT, "port 8080/tcp taken", " by shop/web.1", party="shop/web")
    spec = [PortSpec(80, 8080, 8080, mode=PortMode.HOST)]
    assert choose_ports(place, SLOT, spec) == taken
    assert choose_ports(place, ("shop", "web", 1), spec) == taken, "it serves until its next does"
    place.give_back(ONE, Resources(), [PublishedPort(80, 8080)])
    place.hold_until_gone(ONE, [PublishedPort(80, 8080)])
    assert choose_ports(place, ("shop", "web", 1), spec) == (PublishedPort(80, 8080),)
    assert choose_ports(place, SLOT, spec) == dataclasses.replace(
        taken, detail=" by shop/web.1, which is being removed"
    )


def test_a_range_gives_the_lowest_free_port() -> None:
    place = berth()
    place.take(ONE, Resources(), [PublishedPort(80, 8080)])
    place.hold_for_nobody([PublishedPort(80, 8081)], "an orphan")
    spec = PortSpec(80, 8080, 8083, mode=PortMode.HOST)
    assert choose_ports(place, SLOT, [spec]) == (PublishedPort(80, 8082),)
    had = [PublishedPort(80, 8083), PublishedPort(80, 9999)]
    assert choose_ports(place, SLOT, [spec], had) == (PublishedPort(80, 8083),)
    assert choose_ports(place, SLOT, [PortSpec(80, 8080, 8081, mode=PortMode.HOST)]) == Obstacle(
        Filter.PORT, "no port free in 8080-8081/tcp"
    )


def test_two_ports_of_one_instance_are_apart() -> None:
    spec = PortSpec(80, 8080, 8081, mode=PortMode.HOST)
    assert choose_ports(berth(), SLOT, [spec, spec]) == (
        PublishedPort(80, 8080),
        PublishedPort(80, 8081),
    )
    fixed = PortSpec(80, 8080, 8080, mode=PortMode.HOST)
    assert choose_ports(berth(), SLOT, [fixed, fixed]) == Obstacle(
        Filter.PORT, "port 8080/tcp taken", " by another port of its own"
    )


def test_a_port_that_the_engine_picks_clashes_with_nothing() -> None:
    place = berth()
    place.take(ONE, Resources(), [PublishedPort(80, 0)])
    assert choose_ports(
        place, SLOT, [PortSpec(80, mode=PortMode.HOST), PortSpec(80, mode=PortMode.HOST)]
    ) == (
        PublishedPort(80, 0),
        PublishedPort(80, 0),
    )


def test_room() -> None:
    place = berth()
    wanted = Resources(cpus=0.1, memory_bytes=100 << 20)
    for _ in range(10):
        assert place.lacks(wanted) is None
        place.take(ONE, wanted, [])
    assert place.lacks(Resources(cpus=3.0)) is None, "tenths add up to a whole"
    assert place.lacks(Resources(cpus=3.1)) == Obstacle(
        Filter.CPUS, "CPUs: need 3.1", ", free 3", 3.0
    )
    lacking = place.lacks(Resources(memory_bytes=512 << 20))
    assert lacking is not None
    assert (lacking.group, lacking.detail) == ("memory: need 512 MiB", ", free 24 MiB")
    assert (place.instances, place.by_service["shop", "web"]) == (10, 10)


def test_room_that_shrank_below_what_is_taken() -> None:
    place = berth(cpus=1, memory_bytes=1)
    place.take(ONE, Resources(cpus=2.0, memory_bytes=2), [])
    assert place.lacks(Resources()) is None, "who reserves nothing needs nothing"
    lacking = place.lacks(Resources(cpus=0.1))
    assert lacking is not None
    assert lacking.detail == ", free 0"


def test_room_of_a_host_that_was_not_heard_is_not_judged() -> None:
    assert Berth(HOST, None, ready=False).lacks(Resources(99.0, 1 << 60)) is None


@given(
    st.lists(st.builds(PortSpec, st.just(80), st.integers(1, 3), st.integers(3, 5)), max_size=4),
    st.lists(st.integers(1, 5), max_size=5),
)
def test_chosen_ports_are_in_their_ranges_and_free(specs: list[PortSpec], used: list[int]) -> None:
    place = berth()
    place.take(ONE, Resources(), [PublishedPort(80, number) for number in used])
    chosen = choose_ports(place, SLOT, specs)
    if isinstance(chosen, Obstacle):
        assert chosen.filter is Filter.PORT
        return
    numbers = [port.published for port in chosen]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(used)
    for spec, number in zip(specs, numbers):
        assert spec.published_first <= number <= spec.published_last


def test_a_host_takes_no_more_than_its_orders_can_name_in_one_transaction() -> None:
    name = "n" * 63
    ports = tuple(PortSpec(target, 0, 0, mode=PortMode.HOST) for target in range(1, 4))
    web = Service(ContainerSpec("x"), DeploySpec(replicas=5000), ports)
    world = one_host(App(name, {name: web}))
    made = plan(world)
    orders = made.hosts["h1"]
    assert len(orders.assignments) == INSTANCES_MAX
    assert len(made.unplaced) == 5000 - INSTANCES_MAX
    assert {item.reasons for item in made.unplaced} == {
        (f"host h1: {INSTANCES_MAX} instances there already",)
    }
    removed = dataclasses.replace(world.apps[name], removing=True)
    graves = plan(with_record(committed(world, made), removed)).hosts["h1"]
    assert len(graves.tombstones) == INSTANCES_MAX
    both = HostAssignments(orders.assignments, graves.tombstones)
    assert len(wire.canonical(wire.to_wire(both))) < 1 << 20
