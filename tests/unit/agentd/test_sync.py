"""The sync against a leader in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

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
