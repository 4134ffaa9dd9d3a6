"""The engine's events, and what they are told to mean."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hullmark.agentd.byhand import ByHand
from hullmark.agentd.draining import Draining
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.owndeeds import OwnDeeds
from hullmark.agentd.watch import Watch
from hullmark.engine.protocol import EngineEvent
from hullmark.errors import EngineUnavailable
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Agent, FakeEngine, bundle_of, orders_of

WEB = InstanceId("shop", "web", 1, 1)
NAME = WEB.container_name
NETWORK = "shop_back"


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
        by_hand(agent),
    )


def by_hand(agent: Agent) -> ByHand:
    return ByHand(agent.engine, OwnDeeds(), lambda entry: None, agent.outbox)


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


def test_an_end_and_a_signal_are_told_the_proxy_before_anybody_looks(agent: Agent) -> None:
    told: list[str] = []
    draining = Draining(
        lambda: told.append("woken"), lambda _: 5.0, lambda _: 0, lambda _: 9.0, agent.clock
    )
    watching = Watch(
        agent.engine, agent.observer, agent.outbox, lambda: None, by_hand(agent), draining
    )
    container_id = agent.engine.named(NAME).container_id
    watching.take(event(agent, "kill", signal="1"))
    assert (told, draining.marked) == ([], frozenset())
    watching.take(event(agent, "kill", signal="15"))
    assert (told, draining.marked) == (["woken"], frozenset({container_id}))
    watching.take(event(agent, "die"))
    assert (draining.marked, draining.ended) == (frozenset(), {container_id: 9.0})


def test_what_was_learned_at_a_start_stands_until_a_look_that_began_later(agent: Agent) -> None:
    seen: list[int] = []
    agent.observer.when_changed(lambda: seen.append(1))
    one = agent.engine.named(NAME)
    agent.observer.learn(replace(one, addresses={"shop_back": "10.213.0.9"}))
    assert agent.observer.found is not None
    assert agent.observer.found[NAME].addresses == {"shop_back": "10.213.0.9"}
    agent.reconciler.turn()
    assert agent.observer.found[NAME].addresses == one.addresses, "looked at again"
    assert seen == [1, 1]
    agent.reconciler.turn()
    assert seen == [1, 1], "nothing changed"


def test_a_health_checks_own_events_wake_nobody(agent: Agent) -> None:
    woken: list[int] = []
    for action in ("exec_create", "exec_start", "exec_die", "top", "attach"):
        watch(agent, woken).take(event(agent, action))
    assert woken == []
    watch(agent, woken).take(event(agent, "health_status", detail="healthy"))
    assert woken == [1]


def test_want_of_memory_is_told(agent: Agent) -> None:
    watch(agent, []).take(event(agent, "oom"))
    assert agent.kinds()[1:] == ["instance.oom"]


def test_what_is_none_of_ours_is_not_looked_at(agent: Agent) -> None:
    woken: list[int] = []
    watching = watch(agent, woken)
    watching.take(replace(event(agent, "start"), ours=False))
    watching.take(replace(event(agent, "create"), about="volume", ours=False))
    assert woken == []


@pytest.mark.parametrize("action", ["connect", "disconnect"])
@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_change_of_its_networks_marks_a_container_and_wakes(
    agent: Agent, engine: str, action: str
) -> None:
    """Docker names it among what it says of the network, Podman in the network's place."""
    woken: list[int] = []
    watching = watch(agent, woken)

    def plugged(container_id: str) -> EngineEvent:
        subject = "n1" if engine == "docker" else container_id
        fields = {"container": container_id} if engine == "docker" else {}
        return EngineEvent(action, subject, NETWORK, 1.0, fields, "network", ours=False)

    agent.observer.follow(True)
    agent.clock.now += 2
    agent.reconciler.turn()
    watching.take(plugged("f" * 64))
    assert woken == [], "somebody else's"
    agent.engine.change(NAME, addresses={NETWORK: "10.213.0.9"})
    watching.take(plugged(agent.engine.named(NAME).container_id))
    assert woken == [1]
    agent.reconciler.turn()
    assert agent.observer.found is not None
    assert agent.observer.found[NAME].addresses == {NETWORK: "10.213.0.9"}


def test_when_the_stream_ends_all_is_looked_at_again(agent: Agent) -> None:
    stopping = threading.Event()
    woken: list[int] = []

    def wake() -> None:
        woken.append(1)
        if len(woken) > 2:
            stopping.set()

    watching = Watch(agent.engine, agent.observer, agent.outbox, wake, by_hand(agent))
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
