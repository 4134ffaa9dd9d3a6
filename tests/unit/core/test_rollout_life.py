"""What a rollout promises, held against versions that are good or fail, and leaders that die at any step."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core import schedule
from hullmark.core.loadline import Line
from hullmark.core.rollout import Course, Pace, course
from hullmark.core.roster import Roster
from hullmark.model.app import (
    ContainerSpec,
    DeployMode,
    DeploySpec,
    FailureAction,
    Service,
    UpdateConfig,
    UpdateOrder,
)
from hullmark.model.records import AppRecord, RolloutState
from hullmark.model.snapshot import Snapshot
from tests.unit.core.street import Street, slots_of

OVER = (RolloutState.DONE, RolloutState.PAUSED)


def updates(*actions: FailureAction) -> st.SearchStrategy[UpdateConfig]:
    return st.builds(
        UpdateConfig,
        parallelism=st.integers(0, 3),
        delay_s=st.sampled_from((0.0, 1.0)),
        failure_action=st.sampled_from(actions),
        monitor_s=st.sampled_from((0.0, 1.0, 2.5)),
        order=st.sampled_from(UpdateOrder),
    )


@st.composite
def services(draw: st.DrawFn, *actions: FailureAction) -> Service:
    deploy = DeploySpec(
        draw(st.sampled_from((DeployMode.REPLICATED, DeployMode.REPLICATED, DeployMode.GLOBAL))),
        draw(st.integers(1, 5)),
        update=draw(updates(*actions)),
        rollback=draw(updates(FailureAction.PAUSE)),
    )
    return Service(ContainerSpec("v1"), deploy)


def other(service: Service, image: str) -> Service:
    return dataclasses.replace(service, container=ContainerSpec(image))


def at_once(service: Service, slots: int) -> int:
    return service.deploy.update.parallelism or slots


def promised(service: Service, slots: int) -> int:
    """How many serve at least, all along, if all served before."""
    if service.deploy.update.order is UpdateOrder.START_FIRST:
        return slots
    return max(0, slots - at_once(service, slots))


def changed(street: Street, service: Service, restarts: frozenset[int] = frozenset()) -> None:
    """Apply it and go on until the change is over, with the promise held all along. At the steps of `restarts`
    another leader begins."""
    slots = street.serving()
    least = promised(service, slots)
    street.apply(service)
    for number in range(400):
        if street.rollout.generation == street.record.generation and street.rollout.state in OVER:
            return
        # A leader that is about to die doesn't come to take anything back.
        street.step(undo=number not in restarts)
        assert street.serving() >= least, f"{street.serving()} of {slots} serve at {street.now}"
        if number in restarts:
            street.restart()
    raise AssertionError(f"never over: {street.rollout}")


def steps() -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(0, 40), max_size=3)


@given(services(FailureAction.PAUSE, FailureAction.ROLLBACK), st.integers(1, 3), steps())
@settings(max_examples=40)
def test_a_good_version_is_everywhere_in_the_end(
    service: Service, hosts: int, restarts: frozenset[int]
) -> None:
    street = Street(service, hosts=hosts)
    slots = len(slots_of(street.state))
    changed(street, other(service, "v2"), restarts)
    assert street.rollout.state is RolloutState.DONE
    assert (street.rollout.good, street.rollout.former) == (2, 1)
    street.step()
    assert slots_of(street.state) == {slot: [2] for slot in range(1, slots + 1)}
    assert all(images == {"v2"} for images in street.images().values())


@given(
    services(FailureAction.PAUSE),
    st.integers(1, 3),
    st.sampled_from((0.0, 0.5)),
    steps(),
)
@settings(max_examples=30)
def test_a_bad_version_stops_at_its_first_slots(
    service: Service, hosts: int, fails_s: float, restarts: frozenset[int]
) -> None:
    """It never shows that it is good, so it takes no more slots than may change at once, ever."""
    if service.deploy.update.monitor_s <= fails_s:
        service = _watched(service, fails_s)
    street = Street(service, hosts=hosts, fails={"v2": fails_s})
    slots = street.serving()
    changed(street, other(service, "v2"), restarts)
    assert street.rollout.state is RolloutState.PAUSED
    assert "ended with exit code 1" in street.rollout.reason
    for _ in range(20):
        street.step()
        assert street.serving() >= promised(service, slots)
    assert len(street.touched) <= at_once(service, slots)


@given(
    services(FailureAction.ROLLBACK),
    st.integers(1, 3),
    st.sampled_from((0.0, 0.5)),
    steps(),
)
@settings(max_examples=30)
def test_a_bad_version_is_taken_back_everywhere(
    service: Service, hosts: int, fails_s: float, restarts: frozenset[int]
) -> None:
    if service.deploy.update.monitor_s <= fails_s:
        service = _watched(service, fails_s)
    street = Street(service, hosts=hosts, fails={"v2": fails_s})
    slots = street.serving()
    changed(street, other(service, "v2"), restarts)
    assert street.rollout.state is RolloutState.DONE
    assert street.record.rolled_back_to == 1
    assert street.record.app.services["web"] == service
    assert street.rollout.undid == 2
    assert "ended with exit code 1" in street.rollout.reason
    assert len(street.touched) <= at_once(service, slots)
    street.step()
    # What was never replaced is as it was, and the rest is the same again.
    assert slots_of(street.state) == {slot: [1] for slot in range(1, slots + 1)}
    assert all(images == {"v1"} for images in street.images().values())


@given(services(FailureAction.PAUSE, FailureAction.ROLLBACK), steps())
@settings(max_examples=15)
def test_a_version_that_follows_too_early_is_everywhere_too(
    service: Service, restarts: frozenset[int]
) -> None:
    """Two changes, the second while the first is under way, and the first one bad."""
    street = Street(service, fails={"v2": 0.0})
    slots = len(slots_of(street.state))
    street.apply(other(service, "v2"))
    for _ in range(3):
        street.step(undo=False)
    changed_from = street.record.generation
    street.apply(other(service, "v3"))
    for number in range(400):
        if street.rollout.generation > changed_from and street.rollout.state in OVER:
            break
        street.step()
        if number in restarts:
            street.restart()
    assert street.rollout.state is RolloutState.DONE, street.rollout
    street.step()
    assert all(images == {"v3"} for images in street.images().values())
    assert len(slots_of(street.state)) == slots


def _watched(service: Service, fails_s: float) -> Service:
    update = dataclasses.replace(service.deploy.update, monitor_s=fails_s + 1.0)
    return dataclasses.replace(service, deploy=dataclasses.replace(service.deploy, update=update))


# What the tests above would say of a course that keeps no promise.


def _reckless(snapshot: Snapshot, record: AppRecord, roster: Roster, line: Line) -> Course:
    """As the course is, but with everything at once."""
    found = course(snapshot, record, roster)
    slots = {item.assignment.instance.slot for item in roster.placed("shop", "web")}
    everything = Pace(frozenset(slots), frozenset(slots))
    return dataclasses.replace(found, paces=dict.fromkeys(found.paces, everything))


def _forgetful(snapshot: Snapshot, record: AppRecord, roster: Roster, line: Line) -> Course:
    """As if every instance had served for ever."""
    keys = {
        (item.host_id, item.assignment.instance.container_name)
        for item in roster.placed("shop", "web")
    }
    return course(dataclasses.replace(snapshot, serving_s=dict.fromkeys(keys, 1e9)), record, roster)


SERVICE = Service(
    ContainerSpec("v1"),
    DeploySpec(replicas=4, update=UpdateConfig(parallelism=1, monitor_s=2.0)),
)


def test_replacing_everything_at_once_breaks_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    street = Street(SERVICE)
    monkeypatch.setattr(schedule, "course", _reckless)
    with pytest.raises(AssertionError, match="of 4 serve"):
        changed(street, other(SERVICE, "v2"))


def test_not_watching_a_version_breaks_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    street = Street(SERVICE, fails={"v2": 1.0})
    monkeypatch.setattr(schedule, "course", _forgetful)
    with pytest.raises(AssertionError, match="of 4 serve"):
        changed(street, other(SERVICE, "v2"))
