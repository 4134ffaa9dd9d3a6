"""The reconciler's promises, held in a simulated engine that fails at any moment."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.actions import (
    Prepare,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Run,
    Start,
    slot_lane,
)
from hullmark.core.found import FoundState
from hullmark.core.reconcile import (
    Situation,
    Work,
    ended,
    reconcile,
    resumed,
)
from hullmark.core.restart import Attempt, after_error
from hullmark.model.app import Attachment, Bundle, ContainerSpec, Network, Restart, RestartCondition
from hullmark.model.observed import DISCONNECTED, PAUSED, Health, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, VolumeRemoval
from hullmark.model.wire import digest
from tests.unit.core.engineroom import EPOCH, Story, World, bundle_of, container, orders_of

WEB = InstanceId("shop", "web", 1, 1)
NEXT = InstanceId("shop", "web", 1, 2)
OTHER = InstanceId("shop", "web", 2, 1)
ORPHAN = InstanceId("old", "web", 1, 9)
ONE, TWO = bundle_of("web", "x:1"), bundle_of("web", "x:2")


# random stories


def lived(seed: int) -> tuple[World, Story]:
    """Orders, failures, crashes and strangers in any order."""
    chance = random.Random(seed)
    story = Story(chance)
    orphan = container(ORPHAN, ONE, chance.choice(list(FoundState)))
    world = World(story.next(None), [orphan])
    for _ in range(chance.randint(5, 40)):
        fate = chance.random()
        running = [n for n, c in world.found.items() if c.state is FoundState.RUNNING]
        running = [name for name in running if name != orphan.name]
        if fate < 0.35:
            world.step()
        elif fate < 0.7 and world.under_way:
            world.finish(chance.choice(world.under_way), fails=chance.random() < 0.3)
        elif fate < 0.8 and running:
            world.crash(chance.choice(running), chance.choice((0, 1)), chance.choice((0.1, 60.0)))
        elif fate < 0.9:
            world.orders = story.next(world)
        else:
            world.now += chance.choice((0.1, 5.0, 61.0))
    return world, story


SEEDS = st.integers(0, 1 << 32)


@given(SEEDS)
@settings(max_examples=150)
def test_it_converges_to_its_orders_whatever_happened(seed: int) -> None:
    world, story = lived(seed)
    world.orders = story.all_released()
    decision = world.settle()
    assert decision.actions == ()
    buried = {item.instance.container_name for item in world.orders.tombstones}
    assigned = {item.instance.container_name for item in world.orders.assignments}
    assert set(world.found) - buried == assigned | {ORPHAN.container_name}
    assert not buried & set(world.found), "a tombstone was not obeyed"
    for item in world.orders.assignments:
        name = item.instance.container_name
        one, status = world.found[name], decision.statuses[name]
        assert one.spec_hash == item.spec_hash
        if one.state is FoundState.RUNNING:
            assert status.phase is Phase.RUNNING
        else:
            assert status.phase in (Phase.COMPLETED, Phase.FAILED), "it ended, for good"
    assert set(decision.orphans) == {ORPHAN.container_name}


@given(SEEDS)
@settings(max_examples=60)
def test_the_same_question_gets_the_same_answer(seed: int) -> None:
    world, _ = lived(seed)
    situation = world.situation()
    first = reconcile(situation, world.now)
    assert reconcile(situation, world.now) == first
    known = {item.instance.container_name for item in world.orders.assignments}
    buried = {item.instance.container_name for item in world.orders.tombstones}
    assert known <= set(first.statuses)
    assert set(first.statuses) <= known | buried
    assert set(world.found) == (set(first.statuses) & set(world.found)) | set(first.orphans)
    assert first.next_at is None or first.next_at > world.now


@given(SEEDS)
@settings(max_examples=60)
def test_what_runs_as_ordered_is_left_alone(seed: int) -> None:
    """A new agent that knows nothing but orders and containers has nothing to do."""
    world, story = lived(seed)
    world.orders = story.all_released()
    world.settle()
    before = dict(world.found)
    fresh = World(world.orders, before.values())
    fresh.settle()
    running = {name for name, one in before.items() if one.state is FoundState.RUNNING}
    assert {name: fresh.found[name] for name in running} == {name: before[name] for name in running}
    assert not running & set(fresh.starts)


@given(SEEDS)
@settings(max_examples=60)
def test_a_job_that_completed_is_never_started_again(seed: int) -> None:
    chance = random.Random(seed)
    bundle = bundle_of("job", one_shot=True)
    job = InstanceId("shop", "job", 1, 1)
    world = World(orders_of([(job, bundle)]))
    failures = chance.randint(0, 3)
    for number in range(failures + 1):
        world.settle()
        world.crash(job.container_name, 0 if number == failures else 1)
    for _ in range(3):
        decision = world.settle()
        world.now += 1000.0
        assert decision.statuses[job.container_name].phase is Phase.COMPLETED
    assert world.starts[job.container_name] == failures + 1


# one situation each


def test_an_empty_host() -> None:
    decision = reconcile(Situation(orders_of([]), {}), 0.0)
    assert (decision.actions, decision.statuses, decision.orphans) == ((), {}, {})
    assert decision.next_at is None


def test_several_are_begun_at_once() -> None:
    world = World(orders_of([(WEB, ONE), (OTHER, ONE)]))
    assert [type(action) for action in world.step().actions] == [Prepare]
    world.finish(world.under_way[0])
    decision = world.decide()
    assert [type(action) for action in decision.actions] == [Run, Run]
    assert {status.phase for status in decision.statuses.values()} == {Phase.CREATING}


def test_an_image_that_cannot_be_had_holds_up_nobody_else() -> None:
    bad = bundle_of("db", "none")
    world = World(orders_of([(WEB, ONE), (InstanceId("shop", "db", 1, 1), bad)]))
    world.step()
    first, second = world.under_way
    world.finish(first)
    world.finish(second, fails=True)
    decision = world.decide()
    assert [type(action) for action in decision.actions] == [Run]
    assert decision.statuses["shop.db.1.g1"].detail == "no luck"


def test_what_is_held_has_its_image_fetched_once() -> None:
    world = World(orders_of([(WEB, ONE), (OTHER, ONE)], held=[WEB, OTHER]))
    decision = world.step()
    assert [type(action) for action in decision.actions] == [Prepare]
    assert {status.phase for status in decision.statuses.values()} == {Phase.WAITING}
    assert world.decide().actions == ()
    world.finish(world.under_way[0])
    assert world.decide().actions == ()


def test_a_failed_fetch_shows_and_is_tried_again() -> None:
    world = World(orders_of([(WEB, ONE)], held=[WEB]))
    world.step()
    world.finish(world.under_way[0], fails=True)
    decision = world.decide()
    status = decision.statuses[WEB.container_name]
    assert (status.phase, status.detail) == (Phase.BACKOFF, "no luck")
    assert decision.next_at == world.now + 1.0
    world.now += 1.0
    assert [type(action) for action in world.decide().actions] == [Prepare]


def test_the_old_one_runs_until_the_new_ones_image_is_here() -> None:
    world = World(orders_of([(NEXT, TWO)], [WEB]), [container(WEB, ONE)])
    decision = world.step()
    assert [type(action) for action in decision.actions] == [Prepare]
    assert decision.statuses[WEB.container_name].phase is Phase.RUNNING
    world.finish(world.under_way[0], fails=True)
    assert world.decide().statuses[NEXT.container_name].detail == "no luck"
    assert world.decide().actions == ()
    assert world.found[WEB.container_name].state is FoundState.RUNNING
    world.now += 1.0
    world.step()
    world.finish(world.under_way[0])
    decision = world.step()
    assert [type(action) for action in decision.actions] == [Remove]
    assert decision.statuses[WEB.container_name].phase is Phase.STOPPING
    assert decision.statuses[NEXT.container_name].detail == "for its predecessor to stop"
    world.finish(world.under_way[0])
    assert [type(action) for action in world.decide().actions] == [Run]


def test_a_new_container_that_is_there_already_waits_for_the_old_one_too() -> None:
    for state in (FoundState.CREATED, FoundState.ENDED):
        new = container(NEXT, TWO, state, exit_code=1, finished_at=2.0)
        world = World(orders_of([(NEXT, TWO)], [WEB]), [container(WEB, ONE), new])
        world.now += 100.0
        world.decide()
        world.now += 100.0
        decision = world.decide()
        assert [type(action) for action in decision.actions] == [Remove]
        assert decision.statuses[NEXT.container_name].phase is Phase.WAITING
        world.settle()
        assert world.found[NEXT.container_name].state is FoundState.RUNNING


def test_two_former_instances_of_one_slot_go_one_after_the_other() -> None:
    older = InstanceId("shop", "web", 1, 0)
    found = [container(older, ONE), container(WEB, ONE)]
    decision = World(orders_of([], [older, WEB]), found).decide()
    assert [type(action) for action in decision.actions] == [Remove]
    world = World(orders_of([], [older, WEB]), found)
    world.settle()
    assert world.found == {}


def test_a_tombstone_without_a_container_is_done_with() -> None:
    decision = World(orders_of([], [WEB])).decide()
    assert (decision.actions, decision.statuses) == ((), {})


def test_a_tombstone_is_not_done_with_while_its_container_may_be_being_made() -> None:
    """What was begun under the orders before ends with a container that nobody would name any more."""
    busy = frozenset({slot_lane(WEB)})
    decision = reconcile(Situation(orders_of([], [WEB]), {}, {}, busy=busy), 0.0)
    assert decision.actions == ()
    assert decision.statuses[WEB.container_name].phase is Phase.STOPPING


def test_what_could_not_be_started_is_removed_at_once() -> None:
    failed = {WEB.container_name: after_error(Attempt(), "no such command", 0.0)}
    found = {WEB.container_name: container(WEB, ONE, FoundState.CREATED)}
    decision = reconcile(Situation(orders_of([], [WEB]), found, failed), 0.0)
    assert [type(action) for action in decision.actions] == [Remove]
    assert decision.next_at is None


def test_a_removal_that_failed_is_tried_again_later() -> None:
    world = World(orders_of([], [WEB]), [container(WEB, ONE, FoundState.ENDED)])
    world.step()
    removal = world.under_way[0]
    assert isinstance(removal, Remove)
    assert not removal.running
    world.finish(removal, fails=True)
    assert world.decide().actions == ()
    assert world.decide().next_at == world.now + 1.0


@pytest.mark.parametrize(
    ("health", "output", "detail"),
    [
        (Health.UNHEALTHY, "probe says no", "its health check fails: probe says no"),
        (Health.UNHEALTHY, "", "its health check fails"),
        (Health.HEALTHY, "", ""),
        (Health.STARTING, "", ""),
    ],
)
def test_a_failing_health_check_is_quoted(health: Health, output: str, detail: str) -> None:
    one = container(WEB, ONE, FoundState.RUNNING)
    one = dataclasses.replace(one, health=health, health_output=output)
    status = World(orders_of([(WEB, ONE)]), [one]).decide().statuses[WEB.container_name]
    assert (status.phase, status.health, status.detail) == (Phase.RUNNING, health, detail)


def test_a_container_of_another_spec_is_left_alone() -> None:
    world = World(orders_of([(WEB, TWO)]), [container(WEB, ONE, FoundState.ENDED)])
    decision = world.decide()
    assert decision.actions == ()
    assert "another spec" in decision.statuses[WEB.container_name].detail


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (FoundState.RUNNING, Phase.RUNNING),
        (FoundState.PAUSED, Phase.BACKOFF),
        (FoundState.BROKEN, Phase.FAILED),
    ],
)
def test_nothing_is_done_about_these(state: FoundState, phase: Phase) -> None:
    decision = World(orders_of([(WEB, ONE)]), [container(WEB, ONE, state)]).decide()
    assert decision.actions == ()
    assert decision.statuses[WEB.container_name].phase is phase


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_what_unpauses_a_container_is_said_in_its_engines_words(engine: str) -> None:
    found = container(WEB, ONE, FoundState.PAUSED)
    situation = Situation(orders_of([(WEB, ONE)]), {found.name: found}, engine=engine)
    status = reconcile(situation, 0.0).statuses[WEB.container_name]
    assert status.detail == f"{PAUSED}{engine} unpause {found.name}"


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_who_was_taken_off_its_networks_is_told_until_it_is_put_back(engine: str) -> None:
    places = (
        Attachment("theirs"),
        Attachment("back", ("main",), ipv4_address="10.213.0.9", ipv6_address="fd00::9"),
        Attachment("front"),
    )
    networks = {"theirs": Network(external="theirs"), "back": Network(), "front": Network()}
    bundle = Bundle("shop", "web", ContainerSpec("web", networks=places), networks)

    def status(**more: object) -> InstanceStatus:
        found = container(WEB, bundle, FoundState.RUNNING, **more)
        situation = Situation(orders_of([(WEB, bundle)]), {found.name: found}, engine=engine)
        decision = reconcile(situation, 0.0)
        assert decision.actions == ()
        return decision.statuses[found.name]

    address = "10.213.0.2"
    whole = status(addresses={"shop_back": address, "shop_front": address})
    assert (whole.serving, whole.detail) == (True, "")
    end = f" {WEB.container_name}"
    begin = f"{DISCONNECTED}{engine} network connect --alias main --alias web --ip 10.213.0.9"
    for elsewhere in ({}, {"theirs": address}):
        taken = status(addresses=elsewhere)
        assert (taken.phase, taken.serving) == (Phase.BACKOFF, False)
        assert taken.detail == f"{begin} --ip6 fd00::9 shop_back{end}"
    on_one = status(addresses={"shop_back": address})
    assert (on_one.phase, on_one.serving) == (Phase.RUNNING, True), "it serves there"
    assert on_one.detail == f"{DISCONNECTED}{engine} network connect --alias web shop_front{end}"
    sick = status(addresses={"shop_back": address}, health=Health.UNHEALTHY, health_output="no")
    assert sick.detail == "its health check fails: no"


def test_who_is_on_networks_of_others_alone_may_have_no_address() -> None:
    spec = ContainerSpec("web", networks=(Attachment("theirs"),))
    bundle = Bundle("shop", "web", spec, {"theirs": Network(external="host")})
    found = container(WEB, bundle, FoundState.RUNNING)
    decision = World(orders_of([(WEB, bundle)]), [found]).decide()
    assert decision.statuses[found.name].serving


def test_what_was_made_but_not_started_is_started() -> None:
    created = container(WEB, ONE, FoundState.CREATED)
    assert isinstance(World(orders_of([(WEB, ONE)]), [created]).decide().actions[0], Run)
    held = World(orders_of([(WEB, ONE)], held=[WEB]), [created]).decide()
    assert held.actions == ()
    assert held.statuses[WEB.container_name].phase is Phase.WAITING


def test_an_ended_one_is_started_after_its_delay() -> None:
    world = World(orders_of([(WEB, ONE)]), [container(WEB, ONE)])
    world.crash(WEB.container_name, 7)
    assert [found.name for _, _, found in ended(world.situation())] == []
    decision = world.decide()
    assert decision.actions == ()
    status = decision.statuses[WEB.container_name]
    assert (status.phase, status.detail) == (Phase.BACKOFF, "ended with exit code 7")
    assert decision.next_at == world.now + 1.0
    world.now += 1.0
    (start,) = world.decide().actions
    assert isinstance(start, Start)


def test_an_end_is_counted_before_anything_is_done_about_it() -> None:
    found = container(WEB, ONE, FoundState.ENDED, exit_code=1, finished_at=5.0)
    situation = Situation(orders_of([(WEB, ONE)]), {found.name: found})
    assert [one.name for _, _, one in ended(situation)] == [found.name]
    assert reconcile(situation, 1000.0).actions == ()


def test_only_the_run_that_was_to_be_stopped_is_taken_as_going_on_after_all() -> None:
    found = container(WEB, ONE, started_at=7.0)
    halted = Situation(
        orders_of([(WEB, ONE)]), {found.name: found}, {found.name: Attempt(halted=found.run_key)}
    )
    assert list(resumed(halted)) == [found]
    later = dataclasses.replace(found, started_at=9.0)
    assert list(resumed(dataclasses.replace(halted, found={found.name: later}))) == []


def test_delays_double_up_to_a_minute_and_begin_anew_after_a_good_run() -> None:
    world = World(orders_of([(WEB, ONE)]))
    world.settle()
    waits = []
    for _ in range(9):
        world.crash(WEB.container_name, 1)
        next_at = world.decide().next_at
        assert next_at is not None
        waits.append(next_at - world.now)
        world.settle()
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    world.crash(WEB.container_name, 1, ran_s=10.0)
    assert world.decide().next_at == world.now + 1.0


def test_the_number_of_attempts_is_kept_to() -> None:
    for condition in (RestartCondition.ANY, RestartCondition.ON_FAILURE):
        bundle = bundle_of("web", restart=Restart(condition, max_attempts=3))
        world = World(orders_of([(WEB, bundle)]))
        decision = world.settle()
        for _ in range(4):
            world.crash(WEB.container_name, 1)
            decision = world.settle()
        assert world.starts[WEB.container_name] == 1 + 3
        status = decision.statuses[WEB.container_name]
        assert status.phase is Phase.FAILED
        assert status.detail == "ended with exit code 1; gave up after 3 restarts"
        assert decision.next_at is None


def test_work_under_way_shows_as_its_worker_says() -> None:
    world = World(orders_of([(WEB, ONE)]))
    for _ in range(2):
        world.step()
        if isinstance(world.under_way[0], Prepare):
            world.finish(world.under_way[0])
    work = {WEB.container_name: Work(Phase.STARTING, "soon")}
    decision = reconcile(dataclasses.replace(world.situation(), work=work), world.now)
    assert decision.actions == ()
    status = decision.statuses[WEB.container_name]
    assert (status.phase, status.detail) == (Phase.STARTING, "soon")


def test_a_status_says_what_the_engine_said() -> None:
    found = container(WEB, ONE, image="x:1", image_id="sha", addresses={"front": "10.0.0.2"})
    situation = Situation(
        orders_of([(WEB, ONE)]), {found.name: found}, {found.name: Attempt(restarts=4)}
    )
    status = reconcile(situation, 0.0).statuses[found.name]
    assert (status.spec_hash, status.epoch) == (digest(ONE), EPOCH)
    assert (status.image, status.image_id, status.restarts) == ("x:1", "sha", 4)
    assert status.addresses == {"front": "10.0.0.2"}


def test_a_pull_under_way_shows_in_all_that_wait_for_it() -> None:
    world = World(orders_of([(WEB, ONE), (OTHER, ONE)], held=[OTHER]))
    world.step()
    work = {world.under_way[0].key: Work(Phase.PULLING, "3 of 5 layers")}
    decision = reconcile(dataclasses.replace(world.situation(), work=work), world.now)
    assert {(one.phase, one.detail) for one in decision.statuses.values()} == {
        (Phase.PULLING, "3 of 5 layers")
    }


# networks and volumes


def test_a_network_goes_when_nothing_of_its_app_is_here() -> None:
    attached = dataclasses.replace(ONE, networks={"front": Network()})
    networks = (("shop", "front"), ("shop", "back"), ("old", "front"))
    situation = Situation(orders_of([(WEB, attached)]), {}, networks=networks)
    removed = [a for a in reconcile(situation, 0.0).actions if isinstance(a, RemoveNetwork)]
    assert [(one.app, one.name) for one in removed] == [("shop", "back"), ("old", "front")]
    found = container(ORPHAN, ONE)
    situation = dataclasses.replace(situation, found={found.name: found})
    removed = [a for a in reconcile(situation, 0.0).actions if isinstance(a, RemoveNetwork)]
    assert [(one.app, one.name) for one in removed] == [("shop", "back")]


def test_a_volume_goes_once_and_only_when_its_app_is_gone() -> None:
    orders = dataclasses.replace(
        orders_of([], [WEB]), volume_removals=(VolumeRemoval("shop", "data", EPOCH),)
    )
    found = container(WEB, ONE)
    situation = Situation(orders, {found.name: found})
    assert [type(action) for action in reconcile(situation, 0.0).actions] == [Remove]
    situation = dataclasses.replace(situation, found={})
    assert [type(action) for action in reconcile(situation, 0.0).actions] == [RemoveVolume]
    situation = dataclasses.replace(situation, removed_volumes=frozenset({("shop", "data")}))
    assert reconcile(situation, 0.0).actions == ()


# two instances of one slot, start-first


def test_a_successor_starts_beside_a_former_instance_that_has_no_tombstone() -> None:
    world = World(orders_of([(WEB, ONE), (NEXT, TWO)]), [container(WEB, ONE)])
    world.prepared |= {digest(ONE), digest(TWO)}
    (action,) = world.decide().actions
    assert isinstance(action, Run)
    assert action.assignment.instance == NEXT


def test_the_former_ones_tombstone_stops_only_it() -> None:
    both = [container(WEB, ONE), container(NEXT, TWO)]
    world = World(orders_of([(NEXT, TWO)], [WEB]), both)
    (action,) = world.decide().actions
    assert isinstance(action, Remove)
    assert action.instance == WEB
    world = World(orders_of([(WEB, ONE)], [NEXT]), both)
    (action,) = world.decide().actions
    assert isinstance(action, Remove)
    assert action.instance == NEXT


def test_one_that_serves_is_started_again_without_waiting_for_a_later_ones_end() -> None:
    third = dataclasses.replace(WEB, generation=3)
    ended_one = container(WEB, ONE, FoundState.ENDED, exit_code=1, finished_at=90.0)
    world = World(
        orders_of([(WEB, ONE), (third, bundle_of("web", "x:3"))], [NEXT]),
        [ended_one, container(NEXT, TWO)],
    )
    world.decide()
    world.now += 5.0
    assert Start in {type(action) for action in world.decide().actions}
