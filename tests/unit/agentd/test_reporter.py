"""Reports: whatever is lost on the way, the leader's picture becomes the host's state."""

from __future__ import annotations

import random
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.agentd import reporter
from hullmark.errors import MasterUnavailable, Refused
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostProblem, InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Agent, orders_of, shows_itself

WEB = InstanceId("shop", "web", 1, 1)


def status(slot: int, phase: Phase = Phase.RUNNING) -> tuple[str, InstanceStatus]:
    instance = InstanceId("shop", "web", slot, 1)
    return instance.container_name, InstanceStatus(instance, phase)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(tmp_path / "agent")
    shows_itself(agent.ledger, agent.leader.orders.epoch, agent.leader.orders.leader)
    return agent


def show(agent: Agent, *statuses: tuple[str, InstanceStatus], revision: int = 1) -> None:
    agent.board.show(dict(statuses), {}, revision, ())


def test_nothing_is_said_before_the_first_look(agent: Agent) -> None:
    assert not agent.reporter.once()


def test_the_first_report_is_whole_and_the_next_ones_are_changes(agent: Agent) -> None:
    show(agent, status(1), status(2))
    assert agent.reporter.once()
    show(agent, status(1), status(2, Phase.BACKOFF))
    assert agent.reporter.once()
    assert not agent.reporter.once(), "a repeat is not sent"
    first, second = agent.leader.reports
    assert first.full
    assert not second.full
    assert list(second.instances) == ["shop.web.2.g1"]
    assert agent.leader.picture.state == agent.board.state


def test_problems_and_facts_go_out_too(agent: Agent) -> None:
    show(agent)
    agent.reporter.once()
    agent.problems.set("engine.unavailable", "gone")
    agent.board.set_facts(HostFacts(hostname="box"))
    assert agent.reporter.once()
    report = agent.leader.reports[-1]
    assert report.problems == (HostProblem("engine.unavailable", "gone"),)
    assert report.facts == HostFacts(hostname="box")


def test_a_resend_asked_for_during_a_report_is_not_lost(agent: Agent) -> None:
    show(agent, status(1))
    agent.leader.on_report = agent.reporter.resend
    assert agent.reporter.once()
    agent.leader.on_report = lambda: None
    assert agent.reporter.once()
    assert [report.full for report in agent.leader.reports] == [True, True]
    assert not agent.reporter.once()


def test_after_a_lost_answer_everything_is_sent_and_no_event_is_lost(agent: Agent) -> None:
    show(agent, status(1))
    agent.reporter.once()
    agent.outbox.add("instance.started", "shop/web.1")
    agent.leader.lose_answers = 1
    with pytest.raises(MasterUnavailable):
        agent.reporter.once()
    assert agent.reporter.once()
    lost, again = agent.leader.reports[-2:]
    assert again.full
    assert again.sequence > lost.sequence
    assert [event.event_id for event in again.events] == [event.event_id for event in lost.events]
    assert agent.outbox.peek() == ()


def test_a_leader_that_lost_count_gets_everything(agent: Agent) -> None:
    show(agent, status(1), status(2))
    agent.reporter.once()
    agent.leader.forget()
    show(agent, status(1))
    assert agent.reporter.once()
    assert agent.reporter.once()
    assert agent.leader.picture.state == agent.board.state


def test_each_reason_why_nothing_is_reported_is_told_once(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reporter, "RETRY_S", (0.001, 0.001))
    caplog.set_level("INFO", "hullmark.report")
    stopping = threading.Event()
    errors = [
        MasterUnavailable("no master answers"),
        MasterUnavailable("m1 stopped listening"),
        Refused("1200 bytes are too many"),
        Refused("1300 bytes are too many"),
        Refused("the picture differs"),
    ]

    def refuse() -> None:
        error = errors.pop(0)
        if not errors:
            stopping.set()
        raise error

    agent.leader.on_report = refuse
    show(agent, status(1))
    agent.reporter.run(stopping)
    assert [vars(one)["fields"]["why"] for one in caplog.records] == [
        "no master answers",
        "1200 bytes are too many",
        "the picture differs",
    ]


@given(st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_the_leaders_picture_becomes_the_hosts_state(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agrees(Agent(Path(folder)), random.Random(seed))


def agrees(agent: Agent, chance: random.Random) -> None:
    agent.accept(orders_of())
    for _ in range(25):
        fate = chance.random()
        if fate < 0.5:
            slots = [slot for slot in range(4) if chance.random() < 0.6]
            named = dict(status(slot, chance.choice(list(Phase))) for slot in slots)
            orphans = dict([status(9)]) if chance.random() < 0.3 else {}
            moved = named if chance.random() < 0.1 else {}
            agent.board.show({} if moved else named, {**orphans, **moved}, chance.randrange(5), ())
        elif fate < 0.6:
            agent.problems.set(chance.choice("ab"), str(chance.random()))
        elif fate < 0.7:
            agent.outbox.add("instance.started", "shop/web.1")
        elif fate < 0.8:
            agent.leader.lose_answers = 1
        elif fate < 0.85:
            agent.leader.forget()
        elif fate < 0.9:
            agent.reporter.resend()
        try:
            agent.reporter.once()
        except MasterUnavailable:
            continue
    agent.leader.lose_answers = 0
    if agent.leader.resend:
        agent.reporter.resend()  # as the answer to the next poll makes it
    while agent.reporter.once():
        pass
    state = agent.board.state
    if state is not None:
        assert agent.leader.picture.state == state
    assert agent.outbox.peek() == () or state is None
