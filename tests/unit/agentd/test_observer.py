"""What the agent takes its containers to be, and when the engine is asked for each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Optional

import pytest

from hullmark.agentd.observer import SETTLE_S, Observer
from hullmark.engine.protocol import Container, CreateRequest, Listed
from hullmark.errors import EngineUnavailable, HullmarkError
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import CLUSTER, EPOCH, Clock, FakeEngine, bundle_of

RESYNC_S = 60.0
NETWORK = "shop_back"
NAMES = [InstanceId("shop", "web", slot, 1).container_name for slot in (1, 2, 3)]


def request_of(instance: InstanceId) -> CreateRequest:
    return CreateRequest(CLUSTER, instance, "5pec", EPOCH, bundle_of())


class Bed(FakeEngine):
    """An engine with three containers, and who observes it. `tells`: what its listing says besides; `inspected`: of whom it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.tells: tuple[str, ...] = ()
        self.inspections: list[str] = []
        for slot, name in enumerate(NAMES, 1):
            instance = InstanceId("shop", "web", slot, 1)
            self.start(self.create(request_of(instance)))
            self.change(name, addresses={NETWORK: f"10.213.0.{slot}"}, pid=100 + slot)
        self.observer = Observer(self, CLUSTER, RESYNC_S, self.clock)

    def listed(self) -> Sequence[Listed]:
        rows = super().listed()
        return [
            dataclasses.replace(
                row,
                **{name: getattr(self.containers[row.container_id], name) for name in self.tells},
            )
            for row in rows
        ]

    def container(self, container_id: str) -> Container:
        found = super().container(container_id)
        self.inspections.append(found.name)
        return found

    def look(self) -> list[str]:
        """Whom the engine was asked for."""
        self.inspections.clear()
        self.observer.look()
        return sorted(self.inspections)

    def address(self, name: str) -> str:
        found = self.observer.found
        assert found is not None
        return found[name].addresses.get(NETWORK, "")

    def connect(self) -> None:
        """The events come in, and looks can rely on it."""
        self.observer.follow(True)
        self.clock.now += SETTLE_S
        self.observer.look()

    def started_anew(self, name: str) -> None:
        """Nobody says so: it runs, as before."""
        one = self.named(name)
        self.change(name, addresses={NETWORK: "10.213.0.9"}, pid=one.pid + 100)


@pytest.fixture
def bed() -> Bed:
    made = Bed()
    made.connect()
    assert made.look() == [], "events say what changes"
    return made


def test_after_a_cut_of_the_events_all_are_inspected_once(bed: Bed) -> None:
    bed.observer.follow(False)
    bed.started_anew(NAMES[0])
    bed.observer.follow(True)
    assert bed.look() == [], "the stream may miss something yet"
    bed.clock.now += SETTLE_S
    assert bed.look() == NAMES
    assert bed.address(NAMES[0]) == "10.213.0.9"
    assert bed.look() == []
    bed.clock.now += RESYNC_S
    assert bed.look() == [], "a listing alone"
    assert bed.asked[-1] == "listed"


def test_what_could_not_be_inspected_after_a_cut_is_inspected_later(bed: Bed) -> None:
    def away(method: str) -> Optional[HullmarkError]:
        cut = method == "container" and len(bed.inspections) == 1
        return EngineUnavailable("it is away") if cut else None

    bed.observer.follow(True)
    bed.clock.now += SETTLE_S
    bed.started_anew(NAMES[2])
    bed.trouble = away
    with pytest.raises(EngineUnavailable):
        bed.look()
    bed.trouble = lambda method: None
    assert bed.look() == NAMES
    assert bed.address(NAMES[2]) == "10.213.0.9"


def test_while_no_events_come_at_all_everything_is_inspected_now_and_then(bed: Bed) -> None:
    bed.observer.follow(False)
    bed.started_anew(NAMES[1])
    bed.clock.now += RESYNC_S - 2
    assert bed.look() == []
    bed.clock.now += 2
    assert bed.look() == NAMES
    assert bed.address(NAMES[1]) == "10.213.0.9"
    bed.clock.now += RESYNC_S - 2
    assert bed.look() == [], "not at each look: with Podman it costs a processor's time"


@pytest.mark.parametrize("told", ["addresses", "pid"])
def test_a_listing_that_has_one_otherwise_has_it_inspected(bed: Bed, told: str) -> None:
    bed.tells = (told,)
    bed.clock.now += RESYNC_S
    assert bed.look() == []
    bed.started_anew(NAMES[1])
    bed.clock.now += RESYNC_S
    assert bed.look() == [NAMES[1]]
    assert bed.address(NAMES[1]) == "10.213.0.9"


def test_one_that_lost_its_address_is_told_from_one_whose_address_is_not_told(bed: Bed) -> None:
    bed.tells = ("addresses",)
    bed.change(NAMES[1], addresses={})
    bed.clock.now += RESYNC_S
    assert bed.look() == [NAMES[1]]
    assert bed.address(NAMES[1]) == ""


def test_of_a_network_only_known_containers_are_marked(bed: Bed) -> None:
    assert not bed.observer.mark_known("f" * 64)
    assert bed.look() == []
    bed.started_anew(NAMES[0])
    assert bed.observer.mark_known(bed.named(NAMES[0]).container_id)
    assert bed.look() == [NAMES[0]]
    assert bed.address(NAMES[0]) == "10.213.0.9"


def test_one_whose_first_look_is_under_way_is_looked_at_again(bed: Bed) -> None:
    marked: list[bool] = []
    new = InstanceId("shop", "web", 4, 1)
    container_id = bed.create(request_of(new))

    def meanwhile(method: str) -> Optional[HullmarkError]:
        if method == "container" and not marked:
            marked.append(bed.observer.mark_known(container_id))
        return None

    bed.observer.mark(container_id)
    bed.trouble = meanwhile
    assert bed.look() == [new.container_name]
    assert marked == [True]
    assert bed.look() == [new.container_name]
