"""The sync against a leader in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd.sync import AMONG_LATE_S, LATE_S
from hullmark.errors import BrokenState, Forbidden, MasterUnavailable, NotFound
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId, Task
from tests.unit.agentd.fakes import Agent, bundle_of, orders_of, shows_itself

WEB = InstanceId("shop", "web", 1, 1)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    agent.leader.orders = orders_of([(WEB, bundle_of())], revision=8)
    return agent


def test_a_poll_brings_orders_and_the_next_one_knows_them(agent: Agent) -> None:
    assert agent.sync.turn() == 0
    assert agent.ledger.standing.orders == agent.leader.orders
    assert agent.sync.turn() == 0
    first, second = agent.leader.polls
    assert (first.epoch, first.revision) == (Epoch(0, 0), 0)
    assert (second.epoch, second.revision) == (Epoch(1, 1), 8)


def test_an_answer_later_than_its_lease_is_dropped(agent: Agent) -> None:
    began = agent.clock.now
    agent.leader.began = lambda: began
    agent.clock.now += 10.1
    assert agent.sync.turn() > 0
    assert agent.ledger.standing.orders.revision == 0
    agent.leader.began = agent.clock
    assert agent.sync.turn() == 0
    assert agent.ledger.standing.orders.revision == 8


def test_an_answer_that_comes_after_the_agent_began_anew_is_nobodys(agent: Agent) -> None:
    agent.problems.set("master.unavailable", "gone")
    agent.ledger.close()
    assert agent.sync.turn() > 0
    assert agent.ledger.standing.orders.revision == 0
    assert agent.problem_codes() == {"master.unavailable"}, "the next one's to clear"


def test_a_leader_of_the_past_is_refused_once_and_left(agent: Agent) -> None:
    agent.sync.turn()
    agent.leader.orders = orders_of(epoch=Epoch(1, 0), leader="m2", revision=99)
    waits = [agent.sync.turn() for _ in range(3)]
    assert all(wait > 0 for wait in waits)
    assert agent.kinds() == ["order.refused"]
    assert agent.leader.switched == 3
    assert agent.ledger.standing.orders.revision == 8


def test_a_new_leader_is_asked_for_its_orders_even_where_it_has_none(agent: Agent) -> None:
    agent.sync.turn()
    shows_itself(agent.ledger, Epoch(1, 2), "m1")
    agent.leader.orders = orders_of(epoch=Epoch(1, 2), revision=0)
    assert agent.sync.turn() == 0
    assert agent.leader.polls[-1].revision == -1
    assert agent.ledger.standing.current


def test_with_unreadable_files_it_is_heard_and_asks_for_nothing(agent: Agent) -> None:
    (agent.folder / "state-a.json").write_text("x")
    again = Agent(agent.folder, leader=agent.leader)
    assert again.sync.turn() > 0
    assert again.sync.turn() > 0
    assert again.kinds() == []
    assert len(again.leader.polls) == 2


def test_tasks_come_once_and_are_counted_anew_by_a_new_leader(agent: Agent) -> None:
    agent.leader.tasks = (Task("t1", "logs"), Task("t2", "logs"))
    agent.sync.turn()
    agent.sync.turn()
    assert agent.leader.polls[-1].tasks_seen == 2
    agent.leader.orders = orders_of(epoch=Epoch(1, 2), revision=8)
    agent.sync.turn()
    agent.leader.tasks = ()
    agent.sync.turn()
    assert [one.task_id for one in agent.tasks[:2]] == ["t1", "t2"]
    shows_itself(agent.ledger, Epoch(1, 3), "m1")
    agent.leader.orders = orders_of(epoch=Epoch(1, 3), revision=8)
    agent.sync.turn()
    assert agent.leader.polls[-1].tasks_seen == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MasterUnavailable("nobody"), "master.unavailable"),
        (Forbidden("not you"), "host.refused"),
        (NotFound("no such host"), "host.refused"),
        (BrokenState("expired"), "certificate.invalid"),
    ],
)
def test_each_trouble_is_one_problem_and_over_with_the_first_answer(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(agent.leader, "call", fail)
        waits = [agent.sync.turn() for _ in range(10)]
    assert agent.problem_codes() == {code}
    assert all(0 < wait <= 15.0 for wait in waits)
    assert agent.sync.turn() == 0
    assert agent.problem_codes() == set()


def test_a_wrong_clock_is_one_problem(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    off_s = 7400.0
    monkeypatch.setattr(agent.sync, "_wall", lambda: agent.leader.now + off_s)
    for _ in range(5):
        agent.sync.turn()
        off_s += 1
        said += [problem.message for problem in agent.problems.all()]
    assert set(said) == {"this host's clock is about 2 h ahead of the leader's"}
    off_s = 0
    agent.sync.turn()
    assert agent.problem_codes() == set()


def test_a_refused_agent_is_back_before_its_host_is_lost_if_it_is_let_in_again(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Forbidden("another agent is connected")

    with monkeypatch.context() as patch:
        patch.setattr(agent.leader, "call", fail)
        waits = [agent.sync.turn() for _ in range(6)]
    assert sum(waits[:2]) <= 6.0
    assert waits[-1] > 7.0
    assert agent.sync.turn() == 0
    with monkeypatch.context() as patch:
        patch.setattr(agent.leader, "call", fail)
        assert agent.sync.turn() <= 2.0


def test_what_the_leader_tells_of_masters_and_of_spreading_out_is_heeded(agent: Agent) -> None:
    agent.leader.masters = ("https://m1:7441", "https://m2:7441")
    agent.leader.number, agent.leader.spread_s = 2, 3.0
    agent.sync = agent.with_chance(lambda: 0.5)
    agent.sync.turn()
    assert agent.leader.learned == [agent.leader.masters]
    agent.leader.down = True
    waits = [agent.sync.turn() for _ in range(8)]
    assert waits[0] == 1.5
    assert waits[1] == pytest.approx(0.75)
    assert waits[-1] == pytest.approx(2.25)


def test_with_another_master_one_that_says_nothing_is_left_sooner(agent: Agent) -> None:
    agent.sync.turn()
    agent.leader.number = 2
    agent.sync.turn()
    polls = [timeout_s for timeout_s in agent.leader.timeouts if timeout_s != 10.0]
    assert polls == [4.0 + LATE_S, 4.0 + AMONG_LATE_S]


@pytest.mark.parametrize("silent", [False, True], ids=["killed", "cut off"])
@pytest.mark.parametrize("after_s", [20.0 + step / 4 for step in range(12)])
def test_nothing_stops_in_a_failover(agent: Agent, after_s: float, silent: bool) -> None:
    """The last sync counts from before it was sent, so that a part of the silence has passed when the leader dies."""
    orders = orders_of([(WEB, bundle_of())], revision=8)
    stops = tuple(dataclasses.replace(one, stop_unheard_s=10.0) for one in orders.assignments)
    agent.leader.orders = dataclasses.replace(orders, assignments=stops)
    agent.leader.number, agent.leader.spread_s = 2, 3.0
    agent.sync = agent.with_chance(lambda: 1.0)
    clock, real = agent.boot_clock, agent.leader.call
    dies_at, longest = clock.now + after_s, 0.0

    def call(path: str, body: Any, answer: type[Any], timeout_s: float) -> tuple[Any, float]:
        nonlocal longest
        until = clock.now + getattr(body, "hold_s", 0.0)
        if until <= dies_at or clock.now >= dies_at + 5.0:
            clock.now = until
            return real(path, body, answer, timeout_s)
        if clock.now < dies_at:
            clock.now = clock.now + timeout_s if silent else dies_at
        else:
            clock.now += 0.01  # the other one is there, and does not lead yet
        longest = max(longest, agent.hearing.unheard_s())
        raise MasterUnavailable("gone")

    agent.leader.call = call  # type: ignore[method-assign]
    while clock.now < dies_at + 20.0:
        wait_s = agent.sync.turn()
        clock.now += wait_s + 0.001
        longest = max(longest, agent.hearing.unheard_s())
    assert 5.0 < longest < 9.0
