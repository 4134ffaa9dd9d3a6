"""The course of one change, decision by decision."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest

from hullmark.core.generations import next_record, taken_back
from hullmark.core.rollout import Course, course, resumed
from hullmark.core.rolloutview import rollout_view
from hullmark.core.roster import Roster
from hullmark.model.app import (
    App,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeployMode,
    DeploySpec,
    FailureAction,
    Service,
    UpdateConfig,
    UpdateOrder,
)
from hullmark.model.host import HostRecord
from hullmark.model.observed import Health, HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import AppRecord, HostAssignments, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import CHANGE, LOST_S, X86, snapshot

ROLLING, PAUSED, UNDOING, DONE = (
    RolloutState.ROLLING,
    RolloutState.PAUSED,
    RolloutState.UNDOING,
    RolloutState.DONE,
)
WATCH = UpdateConfig(monitor_s=5.0)
RUNS = InstanceStatus(InstanceId("shop", "web", 0, 0), Phase.RUNNING)
FAILS = dataclasses.replace(RUNS, phase=Phase.FAILED, exit_code=3)


def service(image: str, replicas: int = 3, *, one_shot: bool = False, **update: Any) -> Service:
    config = dataclasses.replace(WATCH, **update)
    return Service(
        ContainerSpec(image, one_shot=one_shot),
        DeploySpec(replicas=replicas, update=config, rollback=config),
    )


class Scene:
    """An app that went from generation 1 to 2, and one instance on a host of its own for each entry of `slots`:
    (slot, generation, status, seconds that it has served)."""

    def __init__(self, before: Service, after: Service, **more: Service) -> None:
        self.first = next_record(None, App("shop", {"web": before, **more}), CHANGE)
        self.record = next_record(self.first, App("shop", {"web": after, **more}), CHANGE)
        self.rollouts = {"shop": Rollout(1, DONE, 1)}
        self.assignments: dict[str, HostAssignments] = {}
        self.states: dict[str, HostState] = {}
        self.serving_s: dict[tuple[str, str], float] = {}
        self.heard_s: dict[str, float] = {}

    def put(
        self,
        slot: int,
        generation: int,
        status: Optional[InstanceStatus] = RUNS,
        serving_s: float = 100.0,
        *,
        name: str = "web",
        heard_s: float = 1.0,
    ) -> Scene:
        instance = InstanceId("shop", name, slot, generation)
        host_id = f"h{len(self.assignments) + 1}"
        self.assignments[host_id] = HostAssignments((Assignment(instance, "spec"),))
        found = {} if status is None else {instance.container_name: _of(status, instance)}
        self.states[host_id] = HostState(X86, found)
        self.heard_s[host_id] = heard_s
        if status is not None and status.serving:
            self.serving_s[host_id, instance.container_name] = serving_s
        return self

    @property
    def snapshot(self) -> Snapshot:
        hosts = [HostRecord(host_id, f"web-{host_id}", 1.0) for host_id in self.assignments]
        return dataclasses.replace(
            snapshot({"shop": self.record}, hosts, self.states),
            assignments=self.assignments,
            rollouts=self.rollouts,
            serving_s=self.serving_s,
            heard_s=self.heard_s,
            now=50.0,
        )

    def course(self) -> Course:
        return course(self.snapshot, self.record, Roster.of(self.snapshot))

    def replaced(self, name: str = "web") -> list[int]:
        return sorted(self.course().paces[name].replace)

    def retired(self) -> list[int]:
        return sorted(self.course().paces["web"].retire)

    def next(self) -> str:
        return rollout_view(self.snapshot, self.record, 1).services[-1].next


def _of(status: InstanceStatus, instance: InstanceId) -> InstanceStatus:
    return dataclasses.replace(status, instance=instance)


def scene(replicas: int = 3, **update: Any) -> Scene:
    return Scene(service("x:1", replicas, **update), service("x:2", replicas, **update))


def three_old(**update: Any) -> Scene:
    return scene(**update).put(1, 1).put(2, 1).put(3, 1)


def test_a_new_generation_begins_to_roll() -> None:
    found = three_old().course()
    assert found.rollout == Rollout(2, ROLLING, 1, at=50.0, services={"web": 3})
    assert found.paces["web"].replace == {1}


@pytest.mark.parametrize(
    ("parallelism", "slots"), [(1, [1]), (2, [1, 2]), (9, [1, 2, 3]), (0, [1, 2, 3])]
)
def test_as_many_at_once_as_it_says(parallelism: int, slots: list[int]) -> None:
    assert three_old(parallelism=parallelism).replaced() == slots


def test_what_does_not_serve_comes_first() -> None:
    found = (
        scene().put(1, 1).put(2, 1, dataclasses.replace(RUNS, health=Health.UNHEALTHY)).put(3, 1)
    )
    assert found.replaced() == [2]


@pytest.mark.parametrize(
    ("serving_s", "slots", "again"),
    [(0.0, [], 5.05), (4.9, [], 0.15), (5.0, [2], None)],
)
def test_the_next_begins_once_the_former_is_good(
    serving_s: float, slots: list[int], again: Optional[float]
) -> None:
    found = scene().put(1, 2, serving_s=serving_s).put(2, 1).put(3, 1)
    assert found.replaced() == slots
    in_s = found.course().again_in_s
    assert in_s is None if again is None else in_s == pytest.approx(again)


def test_and_once_the_delay_has_passed() -> None:
    found = scene(delay_s=10.0).put(1, 2, serving_s=60.0).put(2, 2, serving_s=8.0).put(3, 1)
    assert found.replaced() == []
    assert found.course().again_in_s == pytest.approx(7.05)
    assert found.next() == "the next begins in 7 s"
    found = scene(delay_s=10.0).put(1, 2, serving_s=60.0).put(2, 2, serving_s=15.0).put(3, 1)
    assert found.replaced() == [3]


@pytest.mark.parametrize(
    "status",
    [
        None,
        dataclasses.replace(RUNS, phase=Phase.PULLING),
        dataclasses.replace(RUNS, phase=Phase.WAITING),
        dataclasses.replace(RUNS, health=Health.STARTING),
    ],
)
def test_a_successor_that_is_not_up_yet_is_waited_for(status: Optional[InstanceStatus]) -> None:
    found = scene().put(1, 2, status).put(2, 1).put(3, 1)
    assert found.replaced() == []
    assert found.course().rollout.state is ROLLING
    assert found.next() == "web.1 has to come up"


def test_a_slot_whose_successor_has_no_place_takes_one() -> None:
    found = three_old()
    found.rollouts["shop"] = found.course().rollout
    found.assignments["h1"] = HostAssignments()  # it was stopped, and fits nowhere since
    assert found.replaced() == []
    assert found.next() == "no place for 1 slot: hullmark explain shop/web"
    # It had two of its three before: then what it lacks is not the change's doing.
    found.rollouts["shop"] = dataclasses.replace(found.rollouts["shop"], services={"web": 2})
    assert found.replaced() == [2]


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (FAILS, "ended with exit code 3"),
        (dataclasses.replace(FAILS, detail="no such image"), "no such image"),
        (dataclasses.replace(FAILS, phase=Phase.BACKOFF), "ended with exit code 3"),
        (dataclasses.replace(RUNS, health=Health.UNHEALTHY), "its health check fails"),
    ],
)
def test_a_failure_pauses(status: InstanceStatus, what: str) -> None:
    found = scene().put(1, 2, status).put(2, 1).put(3, 1)
    rollout = found.course().rollout
    assert (rollout.state, rollout.at, rollout.by) == (PAUSED, 50.0, "")
    assert rollout.reason == f"web.1 on web-h1: {what}; 1 of 3 failed"
    assert found.replaced() == []


def test_a_failure_of_the_only_slot_is_one_too() -> None:
    """Nothing of it is outdated any more by then."""
    found = scene(1, failure_action=FailureAction.ROLLBACK).put(1, 2, FAILS)
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 1})
    rollout = found.course().rollout
    assert (rollout.state, rollout.reason) == (UNDOING, "web.1 on web-h1: ended with exit code 3")


def test_a_failure_after_it_was_good_counts_while_the_change_goes_on() -> None:
    found = scene().put(1, 2).put(2, 2, FAILS).put(3, 1)
    assert found.course().rollout.state is PAUSED


def test_only_what_follows_another_can_stop_a_change() -> None:
    """An old one that fails, a service that is new, and a first deployment."""
    assert scene().put(1, 1, FAILS).put(2, 1).put(3, 1).course().rollout.state is ROLLING
    found = scene(1).put(1, 2).put(1, 2, FAILS, name="new")
    services = {"web": service("x:2"), "new": service("n:1", 1)}
    found.record = next_record(found.first, App("shop", services), CHANGE)
    assert found.course().rollout.state is ROLLING
    found = scene(1).put(1, 1, FAILS)
    found.record, found.rollouts = found.first, {}
    found.rollouts = {"shop": Rollout(1)}
    assert found.course().rollout.state is ROLLING


def test_failures_that_are_allowed_slow_it_down() -> None:
    update: dict[str, Any] = {"max_failure_ratio": 0.5, "parallelism": 2}
    found = scene(5, **update).put(1, 2, FAILS).put(2, 1).put(3, 1).put(4, 1).put(5, 1)
    assert found.replaced() == [2]
    assert found.course().rollout.state is ROLLING
    found = scene(5, **update).put(1, 2, FAILS).put(2, 2, FAILS).put(3, 1).put(4, 1).put(5, 1)
    assert found.replaced() == [3], "never the last place"
    found = (
        scene(5, **update).put(1, 2, FAILS).put(2, 2, FAILS).put(3, 2, FAILS).put(4, 1).put(5, 1)
    )
    assert found.course().rollout.state is PAUSED
    assert found.course().rollout.reason.endswith("3 of 5 failed")


def test_told_to_continue_it_goes_on_whatever_fails() -> None:
    found = scene(failure_action=FailureAction.CONTINUE).put(1, 2, FAILS).put(2, 2, FAILS).put(3, 1)
    assert found.replaced() == [3]
    assert found.course().rollout.state is ROLLING


def test_a_rollback_needs_a_generation_to_go_back_to() -> None:
    found = scene(failure_action=FailureAction.ROLLBACK).put(1, 2, FAILS).put(2, 1).put(3, 1)
    assert found.course().rollout.state is UNDOING
    assert found.replaced() == []
    found.rollouts = {"shop": Rollout(1)}
    rollout = found.course().rollout
    assert rollout.state is PAUSED
    assert rollout.reason.endswith("; there is no former generation to go back to")


def test_a_rollback_that_fails_pauses() -> None:
    found = scene(failure_action=FailureAction.ROLLBACK).put(1, 1, FAILS).put(2, 2).put(3, 2)
    found.record = taken_back(found.record, found.first, CHANGE)
    found.rollouts = {"shop": Rollout(3, ROLLING, 1, services={"web": 3}, undid=2)}
    assert found.course().rollout.state is PAUSED


def test_a_rollback_goes_at_its_own_pace() -> None:
    before, after = service("x:1"), service("x:2")
    slow = dataclasses.replace(WATCH, parallelism=3)
    deploy = dataclasses.replace(before.deploy, rollback=slow)
    found = Scene(dataclasses.replace(before, deploy=deploy), after).put(1, 2).put(2, 2).put(3, 2)
    found.record = taken_back(found.record, found.first, CHANGE)
    assert found.replaced() == [1, 2, 3]


def test_nothing_is_replaced_while_it_is_stopped() -> None:
    for state in (PAUSED, UNDOING):
        found = three_old()
        found.rollouts["shop"] = Rollout(2, state, 1, "why", "alice", services={"web": 3})
        assert found.replaced() == []
        assert found.course().rollout.state is state


def test_a_paused_one_is_done_once_nothing_is_left() -> None:
    found = scene().put(1, 2).put(2, 2).put(3, 2)
    found.rollouts["shop"] = Rollout(2, PAUSED, 1, "web.3 failed", services={"web": 3})
    assert found.course().rollout == Rollout(2, DONE, 2, at=50.0, former=1)


def test_resumed_what_failed_does_not_stop_it_again() -> None:
    found = scene().put(1, 2, FAILS).put(2, 1).put(3, 1)
    paused = found.course().rollout
    goes_on = resumed(found.snapshot, found.record, Roster.of(found.snapshot), paused)
    assert (goes_on.state, goes_on.reason, goes_on.forgiven) == (ROLLING, "", ("shop.web.1.g2",))
    found.rollouts["shop"] = goes_on
    assert found.replaced() == [2]
    # Once it was good, its failing counts again.
    found = scene().put(1, 2).put(2, 1).put(3, 1)
    found.rollouts["shop"] = goes_on
    assert found.course().rollout.forgiven == ()


def test_done_once_all_of_it_is_good() -> None:
    found = scene().put(1, 2).put(2, 2).put(3, 2, serving_s=3.0)
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 3})
    assert found.course().rollout.state is ROLLING
    assert found.course().again_in_s == pytest.approx(2.05)
    assert found.next() == "web.3 has to serve for 2 s more"
    found = scene().put(1, 2).put(2, 2).put(3, 2)
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 3}, former=0)
    assert found.course().rollout == Rollout(2, DONE, 2, at=50.0, former=1)


def test_done_stays_done_when_an_instance_fails_later() -> None:
    found = scene().put(1, 2, FAILS).put(2, 2).put(3, 2)
    found.rollouts["shop"] = Rollout(2, DONE, 2)
    assert found.course() == Course({}, Rollout(2, DONE, 2), None)


def test_a_first_deployment_is_done_once_it_serves() -> None:
    def first(status: Optional[InstanceStatus]) -> RolloutState:
        found = scene(2).put(1, 1, serving_s=0.0).put(2, 1, status, serving_s=0.0)
        found.record, found.rollouts = found.first, {"shop": Rollout(1)}
        return found.course().rollout.state

    assert first(dataclasses.replace(RUNS, phase=Phase.STARTING)) is ROLLING
    assert first(None) is ROLLING
    assert first(RUNS) is DONE


def test_nothing_of_a_new_app_is_good_before_it_is_placed() -> None:
    for mode in DeployMode:
        spec = service("x:1")
        spec = dataclasses.replace(spec, deploy=dataclasses.replace(spec.deploy, mode=mode))
        found = Scene(spec, spec)
        found.rollouts = {}
        assert found.course().rollout == Rollout(1, at=50.0)


def test_an_app_from_before_there_were_rollouts() -> None:
    found = scene(1).put(1, 1)
    found.record, found.rollouts = found.first, {}
    assert found.course().rollout == Rollout(1, DONE, 1)
    found = scene(2).put(1, 1).put(2, 2)
    found.rollouts = {}
    assert found.course().rollout == Rollout(2, ROLLING, at=50.0, services={"web": 2})


def test_a_change_of_numbers_is_done_at_once_and_resumes_nothing() -> None:
    found = scene()
    scaled = App("shop", {"web": service("x:1", 5)})
    found.record = next_record(found.first, scaled, CHANGE)
    found.put(1, 1).put(2, 1).put(3, 1)
    assert found.course().rollout == Rollout(2, DONE, 2, at=50.0, former=1)
    known = Rollout(1, PAUSED, 0, "why", "alice", 7.0, services={"web": 3})
    found.put(4, 0)
    found.rollouts["shop"] = known
    assert found.course().rollout == dataclasses.replace(known, generation=2)


def test_a_service_that_changed_before_is_watched_on() -> None:
    """The second change leaves it alone, and it had not shown yet that it is good."""
    found = Scene(service("x:2"), service("x:2"), db=service("d:1", 1))
    spec = App("shop", {"web": service("x:2"), "db": service("d:2", 1)})
    found.record = dataclasses.replace(next_record(found.first, spec, CHANGE), generation=3)
    found.record = dataclasses.replace(found.record, generations={"web": 2, "db": 3})
    found.put(1, 2, FAILS).put(2, 1).put(3, 1).put(1, 1, name="db")
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 3})
    assert found.course().rollout.state is PAUSED
    assert found.course().rollout.services == {"web": 3, "db": 1}


def test_start_first_retires_once_the_successor_is_good() -> None:
    update: dict[str, Any] = {"order": UpdateOrder.START_FIRST}
    found = scene(2, **update).put(1, 1).put(1, 2, serving_s=3.0).put(2, 1)
    assert (found.replaced(), found.retired()) == ([], [])
    found = scene(2, **update).put(1, 1).put(1, 2, serving_s=6.0).put(2, 1)
    assert (found.replaced(), found.retired()) == ([2], [1])
    found = scene(2, **update).put(1, 1).put(1, 2, FAILS).put(2, 1)
    assert (found.course().rollout.state, found.retired()) == (PAUSED, [])


def test_a_stopped_change_still_ends_what_had_begun() -> None:
    found = scene(2, order=UpdateOrder.START_FIRST).put(1, 1).put(1, 2).put(2, 1)
    found.rollouts["shop"] = Rollout(2, PAUSED, 1, services={"web": 2})
    assert (found.replaced(), found.retired()) == ([], [1])


def test_a_host_that_is_lost_blocks_nothing() -> None:
    found = scene().put(1, 1, heard_s=LOST_S * 2).put(2, 1).put(3, 1)
    assert found.replaced() == [2]
    found = scene().put(1, 1, heard_s=LOST_S * 2).put(2, 2).put(3, 2)
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 3})
    assert found.course().rollout.state is DONE
    found = scene().put(1, 2, None, heard_s=LOST_S * 2).put(2, 2).put(3, 1)
    assert found.replaced() == [3]


def test_what_is_back_with_its_host_follows_later() -> None:
    found = scene().put(1, 1).put(2, 2).put(3, 2)
    found.rollouts["shop"] = Rollout(2, DONE, 2, former=1)
    rollout = found.course().rollout
    assert (rollout.state, rollout.services) == (ROLLING, {"web": 3})
    assert found.replaced() == [1]


@pytest.mark.parametrize("blind", [False, True])
def test_what_cannot_be_seen_is_not_replaced_and_takes_a_place(blind: bool) -> None:
    """Its host has not called this leader yet, or can't see its containers."""
    found = three_old()
    if blind:
        problem = HostProblem("engine.unavailable", "no answer")
        found.states["h1"] = dataclasses.replace(found.states["h1"], problems=(problem,))
    else:
        del found.heard_s["h1"], found.states["h1"]
    assert found.replaced() == []
    found.record = next_record(
        found.first, App("shop", {"web": service("x:2", parallelism=2)}), CHANGE
    )
    assert found.replaced() == [2]


def test_while_the_brake_holds_nothing_begins() -> None:
    """Three of four hosts went silent: what still serves on the fourth may be all there is."""
    found = scene(4, parallelism=4).put(1, 1, heard_s=30.0).put(2, 1, heard_s=30.0)
    found.put(3, 1, heard_s=30.0).put(4, 1)
    assert found.replaced() == []
    assert found.next() == "3 of 4 hosts are silent: nothing moves"


def with_database(db: Optional[InstanceStatus]) -> Scene:
    """A service that waits for a database which is changed too."""
    after = Service(
        ContainerSpec("x:2"),
        DeploySpec(replicas=1, update=WATCH),
        depends_on=(Dependency("db", DependencyCondition.HEALTHY),),
    )
    found = Scene(service("x:1", 1), after, db=service("d:1", 1))
    spec = App("shop", {"web": after, "db": service("d:2", 1)})
    found.record = next_record(found.first, spec, CHANGE)
    return found.put(1, 1).put(1, 2, db, name="db")


def test_a_service_waits_for_what_it_depends_on() -> None:
    healthy = dataclasses.replace(RUNS, health=Health.HEALTHY)
    assert with_database(RUNS).replaced() == []
    assert with_database(RUNS).next() == "waits for db to be healthy"
    assert with_database(healthy).replaced() == [1]


def test_a_one_shot_is_replaced_at_once() -> None:
    job = service("j:1", 1, one_shot=True)
    found = Scene(service("x:1", 1), service("x:2", 1), job=job)
    ended = dataclasses.replace(RUNS, phase=Phase.COMPLETED)
    found.put(1, 1).put(1, 1, ended, name="job")
    assert found.replaced("job") == [1]
    found = Scene(service("x:1", 1), service("x:2", 1), job=job)
    found.put(1, 2).put(1, 2, FAILS, name="job")
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 1, "job": 1})
    assert found.course().rollout.reason == "job.1 on web-h2: ended with exit code 3"
    found = Scene(service("x:1", 1), service("x:2", 1), job=job)
    found.put(1, 2).put(1, 2, RUNS, name="job")
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 1, "job": 1})
    assert found.course().rollout.state is ROLLING, "it has to complete, however long it runs"


def test_slots_that_are_not_wanted_any_more_do_not_count() -> None:
    found = Scene(service("x:1", 3), service("x:2", 1)).put(1, 2).put(2, 1).put(3, 2, FAILS)
    found.rollouts["shop"] = Rollout(2, ROLLING, 1, services={"web": 3})
    assert found.course().rollout.state is DONE


def test_a_global_service_counts_what_it_has() -> None:
    def everywhere(image: str) -> Service:
        spec = service(image, max_failure_ratio=0.4)
        return dataclasses.replace(
            spec, deploy=dataclasses.replace(spec.deploy, mode=DeployMode.GLOBAL)
        )

    found = Scene(everywhere("x:1"), everywhere("x:2")).put(4, 2, FAILS).put(7, 1).put(9, 1)
    assert (found.course().rollout.state, found.replaced()) == (ROLLING, [7])


def test_an_undone_generation_is_as_it_was() -> None:
    before = App("shop", {"web": service("x:1"), "job": service("j", 1, one_shot=True)})
    first = next_record(None, before, CHANGE)
    other = App("shop", {"web": service("x:2"), "job": before.services["job"], "db": service("d")})
    second = next_record(first, other, CHANGE)
    taken = taken_back(second, first, CHANGE, floor=7)
    assert isinstance(taken, AppRecord)
    assert (taken.app, taken.generation, taken.rolled_back_to) == (before, 8, 1)
    assert taken.generations == {"web": 1, "job": 8}
    assert taken_back(first, first, CHANGE) is first
    # What is as it was then, under another number, keeps that.
    third = next_record(second, App("shop", {"web": service("x:1")}), CHANGE)
    assert taken_back(third, first, CHANGE).generations == {"web": 3, "job": 4}
