"""What is newer than its orders keeps the older one of its slot from being started, and is left alone."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.actions import Prepare
from hullmark.core.found import FoundState
from hullmark.core.reconcile import Situation, reconcile
from hullmark.core.restart import Attempt
from hullmark.model.observed import Phase
from hullmark.model.orders import InstanceId
from hullmark.model.wire import digest
from tests.unit.core.engineroom import World, bundle_of, container, orders_of

OLD = InstanceId("shop", "web", 1, 4)
NEW = InstanceId("shop", "web", 1, 5)
ONE, TWO = bundle_of("web", "x:1"), bundle_of("web", "x:2")
HELD = "not started: shop.web.1.g5 is newer, and kept; see: hullmark orphans"


@pytest.mark.parametrize("state", list(FoundState))
@pytest.mark.parametrize("held", [[], [OLD]])
def test_the_older_one_is_not_started_beside_it(state: FoundState, held: list[InstanceId]) -> None:
    newer = container(NEW, TWO, state)
    world = World(orders_of([(OLD, ONE)], held=held), [newer])
    decision = world.settle()
    status = decision.statuses[OLD.container_name]
    assert (status.phase, status.detail) == (Phase.WAITING, HELD)
    assert world.found == {NEW.container_name: newer}
    assert set(decision.orphans) == {NEW.container_name}


@pytest.mark.parametrize("state", [FoundState.CREATED, FoundState.ENDED])
def test_nor_is_one_that_is_there_and_does_not_run(state: FoundState) -> None:
    older = container(OLD, ONE, state, finished_at=2.0, exit_code=1)
    found = {one.name: one for one in (older, container(NEW, TWO))}
    attempts = {OLD.container_name: Attempt(ended=older.ended_key)}
    prepared = frozenset([digest(ONE)])
    situation = Situation(orders_of([(OLD, ONE)]), found, attempts, prepared=prepared)
    decision = reconcile(situation, 100.0)
    assert decision.actions == ()
    assert decision.statuses[OLD.container_name].detail == HELD
    free = dataclasses.replace(situation, found={older.name: older})
    assert reconcile(free, 100.0).actions != ()


def test_one_that_runs_goes_on() -> None:
    world = World(orders_of([(OLD, ONE)]), [container(OLD, ONE), container(NEW, TWO)])
    decision = world.settle()
    assert decision.statuses[OLD.container_name].phase is Phase.RUNNING
    assert set(world.found) == {OLD.container_name, NEW.container_name}


@pytest.mark.parametrize(
    "stray", [dataclasses.replace(NEW, generation=3), dataclasses.replace(NEW, slot=2)]
)
def test_an_older_one_or_another_slot_s_holds_up_nothing(stray: InstanceId) -> None:
    world = World(orders_of([(OLD, ONE)]), [container(stray, TWO)])
    assert world.settle().statuses[OLD.container_name].phase is Phase.RUNNING


def test_what_an_order_names_is_no_newcomer() -> None:
    world = World(orders_of([(NEW, TWO), (OLD, ONE)]), [container(NEW, TWO)])
    decision = world.decide()
    assert [type(action) for action in decision.actions] == [Prepare]
    assert decision.statuses[OLD.container_name].phase is Phase.CREATING


def test_once_it_is_taken_in_it_just_goes_on() -> None:
    newer = container(NEW, TWO)
    world = World(orders_of([(OLD, ONE)]), [newer])
    world.settle()
    world.orders = orders_of([(NEW, TWO)], [OLD])
    decision = world.settle()
    assert decision.statuses[NEW.container_name].phase is Phase.RUNNING
    assert world.found == {NEW.container_name: newer}
    assert not world.starts
