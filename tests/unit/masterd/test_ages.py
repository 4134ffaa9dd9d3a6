"""For how long instances have served, as the leader counts it."""

from __future__ import annotations

import dataclasses
from typing import Any

from hullmark.masterd.ages import Ages
from hullmark.model.observed import Health, HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId

WEB = InstanceId("shop", "web", 1, 3)
KEY = ("h1", "shop.web.1.g3")
RUNS = InstanceStatus(WEB, Phase.RUNNING, container_id="c1", started_at=10.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def state(**more: Any) -> HostState:
    status = dataclasses.replace(RUNS, **more)
    return HostState(instances={status.instance.container_name: status})


def begun() -> tuple[Clock, Ages]:
    """A host that was heard, with an instance that serves."""
    clock = Clock()
    ages = Ages(clock, silent_after_s=8.0)
    ages.heard("h1")
    ages.take("h1", state())
    return clock, ages


def test_counts_from_the_first_report_that_it_serves() -> None:
    clock, ages = begun()
    clock.now += 3.0
    ages.take("h1", state())
    assert dict(ages.serving_s()) == {KEY: 3.0}
    assert ages.serving_s().get(("h2", "x"), 0.0) == 0.0
    assert ages.serving_s().get(("h1", "x"), 0.0) == 0.0


def test_any_break_begins_the_count_anew() -> None:
    breaks: tuple[dict[str, Any], ...] = (
        {"container_id": "c2"},
        {"started_at": 11.0},
        {"restarts": 1},
    )
    for change in breaks:
        clock, ages = begun()
        clock.now += 3.0
        ages.take("h1", state(**change))
        clock.now += 1.0
        assert dict(ages.serving_s()) == {KEY: 1.0}, change


def test_what_does_not_serve_has_no_age() -> None:
    clock, ages = begun()
    clock.now += 3.0
    ages.take("h1", state(health=Health.UNHEALTHY))
    assert len(ages.serving_s()) == 0
    ages.take("h1", state(health=Health.HEALTHY))
    clock.now += 1.0
    assert ages.serving_s()[KEY] == 1.0
    ages.take("h1", HostState())
    assert dict(ages.serving_s()) == {}


def test_a_silence_does_not_count() -> None:
    clock, ages = begun()
    clock.now += 2.0
    ages.heard("h1")
    clock.now += 7.0  # between two calls of a host that is well
    assert ages.serving_s()[KEY] == 9.0
    clock.now += 20.0
    assert ages.serving_s()[KEY] == 2.0
    ages.heard("h1")
    assert ages.serving_s()[KEY] == 2.0
    clock.now += 1.0
    ages.take("h1", state())
    assert ages.serving_s()[KEY] == 3.0


def test_a_host_that_cannot_see_its_containers_says_nothing_of_them() -> None:
    clock, ages = begun()
    clock.now += 3.0
    blind = HostProblem("engine.unavailable", "no answer")
    ages.take("h1", dataclasses.replace(state(), problems=(blind,)))
    assert dict(ages.serving_s()) == {}
    ages.take("h1", state())
    clock.now += 1.0
    assert ages.serving_s()[KEY] == 1.0


def test_what_was_given_does_not_change() -> None:
    clock, ages = begun()
    clock.now += 3.0
    before = ages.serving_s()
    clock.now += 3.0
    ages.heard("h1")
    ages.take("h1", HostState())
    assert dict(before) == {KEY: 3.0}
