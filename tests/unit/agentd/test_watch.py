"""The engine's events, and what they are told to mean."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.watch import Watch
from hullmark.engine.protocol import EngineEvent
from hullmark.errors import EngineUnavailable
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Agent, FakeEngine, bundle_of, orders_of

WEB = InstanceId("shop", "web", 1, 1)
NAME = WEB.container_name


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    return agent


def watch(agent: Agent, woken: list[int]) -> Watch:
    return Watch(
        agent.engine,
        agent.observer,
        agent.outbox,
        lambda: woken.append(1),
        agent.reconciler.stopped_by_us,
    )


def event(agent: Agent, action: str, **fields: str) -> EngineEvent:
    return EngineEvent(action, agent.engine.named(NAME).container_id, NAME, 1.0, fields)


def test_an_event_marks_its_container_and_wakes(agent: Agent) -> None:
    woken: list[int] = []
    agent.observer.follow(True)
    agent.clock.now += 2
    agent.reconciler.turn()
    agent.engine.crash(NAME)
    watch(agent, woken).take(event(agent, "die"))
    assert woken == [1]
    agent.engine.asked.clear()
    agent.reconciler.turn()
    assert agent.phases() == {NAME: "backoff"}
    assert "listed" not in agent.engine.asked


def test_a_health_checks_own_events_wake_nobody(agent: Agent) -> None:
    woken: list[int] = []
    for action in ("exec_create: true", "exec_start: true", "exec_die", "top", "attach"):
        watch(agent, woken).take(event(agent, action))
    assert woken == []
    watch(agent, woken).take(event(agent, "health_status: healthy"))
    assert woken == [1]


def test_a_signal_of_somebody_else_and_memory_are_told(agent: Agent) -> None:
    watching = watch(agent, [])
    watching.take(event(agent, "kill", signal="9"))
    watching.take(event(agent, "oom"))
    assert agent.kinds()[1:] == ["instance.touched", "instance.oom"]
    assert "signal 9" in agent.outbox.peek()[1].message


def test_the_agents_own_stop_is_nobody_elses(agent: Agent) -> None:
    stopped = event(agent, "kill", signal="15")
    agent.accept(orders_of([], [WEB], revision=2))
    agent.settle()
    watch(agent, []).take(stopped)
    assert "instance.touched" not in agent.kinds()


def test_when_the_stream_ends_all_is_looked_at_again(agent: Agent) -> None:
    stopping = threading.Event()
    woken: list[int] = []

    def wake() -> None:
        woken.append(1)
        if len(woken) > 2:
            stopping.set()

    watching = Watch(agent.engine, agent.observer, agent.outbox, wake, lambda _: False)
    agent.engine.stream.put(event(agent, "start"))
    agent.engine.stream.put(None)
    watching.run(stopping)
    agent.engine.asked.clear()
    agent.reconciler.turn()
    assert "listed" in agent.engine.asked


def test_an_engine_that_comes_later_is_found_and_one_that_goes_is_looked_for_again() -> None:
    found: list[FakeEngine] = []

    def find() -> FakeEngine:
        if not found:
            raise EngineUnavailable("none of them is there")
        return found[-1]

    engine = EngineAtHand(find)
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="none of them"):
            engine.listed()
    found.append(FakeEngine())
    assert engine.listed() == []
    found.append(FakeEngine())
    engine.listed()
    assert found[1].asked == []
    engine.close()
    assert found[0].closed == 1
    engine.listed()
    assert found[1].asked == ["listed"]
