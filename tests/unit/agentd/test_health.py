"""Health checks where the engine runs none: when each is due, and what a hanging one means."""

from __future__ import annotations

from pathlib import Path
from typing import Union

import pytest

from hullmark.agentd.health import THREADS, HealthChecks, Schedule
from hullmark.model.app import Healthcheck
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Agent, Inline, Parked, bundle_of, orders_of

WEB, DB = InstanceId("shop", "web", 1, 1), InstanceId("shop", "db", 1, 1)
CHECK = Healthcheck(("CMD", "true"), interval_s=10.0, timeout_s=3.0, retries=2)
SLOW = Healthcheck(("CMD", "true"), interval_s=25.0, timeout_s=30.0, retries=3)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    agent.engine.checks_itself = False
    assigned = [
        (WEB, bundle_of(healthcheck=CHECK)),
        (DB, bundle_of("db", healthcheck=SLOW)),
        (InstanceId("shop", "plain", 1, 1), bundle_of("plain")),
    ]
    agent.accept(orders_of(assigned))
    agent.settle()
    return agent


def checks(agent: Agent, pool: Union[Inline, Parked]) -> HealthChecks:
    return HealthChecks(
        agent.engine,
        agent.observer,
        lambda: None,
        pool=pool,
        clock=agent.clock,
    )


def checked(agent: Agent) -> list[str]:
    """Services in the order of their checks."""
    ids = [what for method, what in agent.engine.calls if method == "check_health"]
    return [agent.engine.containers[one].instance.service for one in ids]


def health(agent: Agent, instance: InstanceId) -> str:
    agent.reconciler.turn()
    state = agent.board.state
    assert state is not None
    return state.instances[instance.container_name].health.value


def test_each_container_is_checked_at_its_own_interval(agent: Agent) -> None:
    running = checks(agent, Inline())
    for _ in range(54):
        running.turn()
        agent.clock.now += 1
    assert checked(agent) == ["web", "web", "db", "web", "web", "db"]
    assert health(agent, WEB) == "healthy"


def test_an_engine_that_checks_by_itself_is_left_alone(agent: Agent) -> None:
    agent.engine.checks_itself = True
    running = checks(agent, Inline())
    for _ in range(30):
        running.turn()
        agent.clock.now += 1
    assert checked(agent) == []


def test_a_container_that_ended_is_not_checked(agent: Agent) -> None:
    running = checks(agent, Inline())
    running.turn()
    agent.engine.crash(WEB.container_name)
    agent.reconciler.turn()
    agent.clock.now += 11
    running.turn()
    assert checked(agent) == []


def test_a_hanging_check_counts_as_failed_until_one_ends_in_time(agent: Agent) -> None:
    pool = Parked()
    running = checks(agent, pool)
    running.turn()
    agent.clock.now += 10
    running.turn()
    assert len(pool.waiting) == 1
    agent.clock.now += 4
    running.turn()
    assert health(agent, WEB) == "none", "one failure of two"
    agent.clock.now += 10
    running.turn()
    assert health(agent, WEB) == "unhealthy"
    pool.run()
    running.turn()
    agent.clock.now += 10
    running.turn()
    pool.run()
    running.turn()
    assert health(agent, WEB) == "healthy"


def test_hanging_checks_hold_up_no_more_than_their_threads(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "many")
    agent.engine.checks_itself = False
    bundle = bundle_of(healthcheck=CHECK)
    instances = [InstanceId("shop", "web", slot, 1) for slot in range(1, THREADS + 5)]
    agent.accept(orders_of([(instance, bundle) for instance in instances]))
    agent.settle()
    pool = Parked()
    running = checks(agent, pool)
    running.turn()
    agent.clock.now += 10
    running.turn()
    assert len(pool.waiting) == THREADS
    agent.clock.now += 1
    pool.run()
    running.turn()
    assert len(pool.waiting) == 4


def test_the_schedule_wakes_for_what_comes_first() -> None:
    schedule = Schedule()
    schedule.keep({"a": CHECK, "b": Healthcheck(interval_s=2.0)}, 100.0)
    assert schedule.next_in(100.0) == 2.0
    assert schedule.due(101.9) == []
    assert schedule.due(102.0) == ["b"]
    schedule.begin("b", 102.0)
    assert schedule.due(102.0) == []
    schedule.end("b", 102.5)
    assert schedule.next_in(102.5) == 2.0
    schedule.keep({"a": CHECK}, 103.0)
    assert schedule.due(200.0) == ["a"]
