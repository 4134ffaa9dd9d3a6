"""What must not run without a leader (`on_host_lost: stop`): stopped in time, kept so, started again when one is heard."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Optional

import pytest

from hullmark.agentd.hearing import FILE, Hearing, limit_s
from hullmark.engine.protocol import ContainerState
from hullmark.errors import EngineUnavailable, HullmarkError
from hullmark.model.app import Restart, RestartCondition
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId, Orders
from tests.unit.agentd.fakes import Agent, Clock, bundle_of, orders_of, shows_itself

WEB, DB = InstanceId("shop", "web", 1, 1), InstanceId("shop", "db", 1, 1)
NEXT_DB = InstanceId("shop", "db", 1, 2)
WEB_NAME, NAME = WEB.container_name, DB.container_name
LIMIT_S = 12.0


def limited(orders: Orders) -> Orders:
    """Those of `db` are to be stopped."""
    return dataclasses.replace(
        orders,
        assignments=tuple(
            dataclasses.replace(
                one, stop_unheard_s=LIMIT_S if one.instance.service == "db" else 0.0
            )
            for one in orders.assignments
        ),
        tombstones=tuple(
            dataclasses.replace(one, stop_unheard_s=LIMIT_S) for one in orders.tombstones
        ),
    )


ONE_SHOT = bundle_of("db", one_shot=True, restart=Restart(RestartCondition.NONE))
ORDERS = limited(orders_of([(WEB, bundle_of()), (DB, ONE_SHOT)]))


def running(folder: Path, orders: Orders = ORDERS) -> Agent:
    agent = Agent(folder)
    agent.leader.orders = orders
    assert agent.sync.once()
    agent.settle()
    return agent


def passes(agent: Agent, seconds: float) -> None:
    agent.clock.now += seconds
    agent.boot_clock.now += seconds
    agent.settle()


def started_again(agent: Agent) -> Agent:
    """As after kill -9: its files and its host go on."""
    again = Agent(agent.folder, agent.engine, agent.leader, boot=agent.boot)
    again.clock, again.boot_clock.now = agent.clock, agent.boot_clock.now
    agent.leader.resend = True
    return again


def stuck(method: str) -> Optional[HullmarkError]:
    return EngineUnavailable("it hangs") if method == "stop" else None


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return running(tmp_path / "agent")


def test_it_is_stopped_at_its_limit_and_others_run_on(agent: Agent) -> None:
    passes(agent, LIMIT_S - 1)
    assert agent.engine.running() == {WEB_NAME, NAME}
    assert 0.9 < agent.reconciler.turn() <= 1.0, "it wakes by itself at the limit"
    passes(agent, 1)
    assert agent.engine.running() == {WEB_NAME}
    assert agent.engine.named(NAME).state is ContainerState.EXITED, "its container is kept"
    assert agent.phases() == {WEB_NAME: "running", NAME: "waiting"}
    state = agent.board.state
    assert state is not None
    said = "stopped: no leader heard for 12 s (on_host_lost: stop)"
    assert state.instances[NAME].detail == said
    assert agent.kinds() == ["instance.started", "instance.started", "instance.stopped"]
    before = agent.board.state
    passes(agent, 100)
    assert agent.board.state == before, "what is said of it doesn't change all the time"
    assert agent.engine.running() == {WEB_NAME}


def test_it_starts_again_when_a_leader_is_heard_and_that_counts_as_nothing(agent: Agent) -> None:
    passes(agent, LIMIT_S)
    assert agent.sync.once()
    agent.settle()
    assert agent.engine.running() == {WEB_NAME, NAME}
    state = agent.board.state
    assert state is not None
    assert state.instances[NAME].restarts == 0
    assert "instance.ended" not in agent.kinds()
    agent.engine.crash(NAME, 3)
    agent.settle()
    assert agent.phases()[NAME] == "failed", "its next end is its own"


def test_a_poll_that_says_changed_counts_once_its_orders_are_accepted(agent: Agent) -> None:
    passes(agent, LIMIT_S)
    agent.leader.orders = dataclasses.replace(ORDERS, revision=2)
    agent.leader.lease_s = -1.0
    assert not agent.sync.once()
    agent.settle()
    assert agent.engine.running() == {WEB_NAME}
    agent.leader.lease_s = 10.0
    assert agent.sync.once()
    agent.settle()
    assert agent.engine.running() == {WEB_NAME, NAME}


def test_a_leader_that_is_not_believed_was_not_heard(agent: Agent) -> None:
    agent.leader.orders = dataclasses.replace(ORDERS, epoch=Epoch(0, 9))
    passes(agent, LIMIT_S)
    assert not agent.sync.once()
    agent.settle()
    assert agent.engine.running() == {WEB_NAME}


def test_it_is_stopped_under_a_leader_that_showed_itself_and_died(agent: Agent) -> None:
    assert shows_itself(agent.ledger, Epoch(1, 2), "m2") == ""
    assert not agent.ledger.standing.current
    passes(agent, LIMIT_S)
    assert agent.engine.running() == {WEB_NAME}


def test_counting_goes_on_across_a_restart_of_the_agent(agent: Agent) -> None:
    passes(agent, LIMIT_S - 1)
    again = started_again(agent)
    again.settle()
    assert again.engine.running() == {WEB_NAME, NAME}
    passes(again, 1)
    assert again.engine.running() == {WEB_NAME}
    third = started_again(again)
    passes(third, 5)
    assert third.engine.running() == {WEB_NAME}
    assert third.phases()[NAME] == "waiting"
    assert third.sync.once()
    third.settle()
    assert third.engine.running() == {WEB_NAME, NAME}
    assert "instance.ended" not in third.kinds(), "the agent before it stopped it"


def test_after_a_boot_only_the_others_start(agent: Agent) -> None:
    for name in (NAME, WEB_NAME):
        agent.engine.crash(name, 255)
    again = started_again(agent)
    booted = Agent(again.folder, again.engine, again.leader, boot="boot-2")
    booted.settle()
    passes(booted, 1.0)
    assert booted.engine.running() == {WEB_NAME}


def test_a_new_one_is_not_started_without_a_leader(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")
    agent.accept(limited(orders_of([(DB, bundle_of("db"))])))
    agent.settle()
    assert agent.engine.running() == set()
    assert agent.phases() == {NAME: "waiting"}


def test_a_former_instance_that_waits_to_be_replaced_is_stopped_as_well(agent: Agent) -> None:
    changed = limited(
        orders_of([(NEXT_DB, bundle_of("db", "localhost/db:none"))], [DB], revision=2)
    )
    agent.leader.orders = changed
    assert agent.sync.once()
    agent.settle()
    assert NAME in agent.engine.running(), "until its successor's image is here"
    passes(agent, LIMIT_S)
    assert NAME not in agent.engine.running()
    assert agent.engine.named(NAME).state is ContainerState.EXITED, "its container is kept"


def test_two_of_one_slot_are_both_stopped(tmp_path: Path) -> None:
    pair = limited(orders_of([(DB, bundle_of("db")), (NEXT_DB, bundle_of("db", init=True))]))
    agent = running(tmp_path / "agent", pair)
    assert agent.engine.running() == {NAME, NEXT_DB.container_name}
    passes(agent, LIMIT_S)
    assert agent.engine.running() == set()
    assert agent.sync.once()
    agent.settle()
    assert agent.engine.running() == {NAME, NEXT_DB.container_name}


def test_a_stop_that_fails_is_tried_again_soon_however_often(agent: Agent) -> None:
    agent.engine.trouble = stuck
    passes(agent, LIMIT_S)
    for _ in range(12):
        passes(agent, 2.0)
    assert NAME in agent.engine.running()
    agent.engine.trouble = lambda method: None
    passes(agent, 2.0)
    assert agent.engine.running() == {WEB_NAME}


def test_one_that_runs_on_because_a_leader_was_heard_in_time_ends_as_any_other(
    agent: Agent,
) -> None:
    agent.engine.trouble = stuck
    passes(agent, LIMIT_S)
    assert agent.sync.once()
    agent.settle()
    agent.engine.trouble = lambda method: None
    agent.engine.crash(NAME, 1)
    passes(agent, 2.0)
    assert agent.phases()[NAME] == "failed"


def test_what_ended_by_itself_is_told_as_ever(agent: Agent) -> None:
    agent.engine.crash(NAME, 0)
    agent.settle()
    assert agent.phases()[NAME] == "completed"
    passes(agent, LIMIT_S)
    assert agent.phases()[NAME] == "completed"


def test_polls_are_held_so_short_that_an_idle_host_never_comes_near_its_limit(agent: Agent) -> None:
    assert agent.sync.once()
    assert agent.leader.polls[-1].hold_s == pytest.approx(LIMIT_S / 4)
    assert agent.leader.polls[0].hold_s == pytest.approx(4.0)


def test_the_longer_nobody_was_heard_the_shorter_a_poll_is_held(agent: Agent) -> None:
    """One that was sent while a leader hung is answered late, and counts from when it was sent: the next answer has
    to come before the rest of the time is over."""
    assert agent.sync.once()
    passes(agent, LIMIT_S * 0.75)
    assert agent.sync.once()
    assert agent.leader.polls[-1].hold_s == pytest.approx(LIMIT_S / 16)
    passes(agent, LIMIT_S + 1.0)
    assert agent.sync.once()
    assert agent.leader.polls[-1].hold_s == 0.0


def test_the_file_is_believed_in_its_boot_only_and_written_only_where_it_is_needed(
    tmp_path: Path,
) -> None:
    clock = Clock(100.0)
    hearing = Hearing(tmp_path, lambda: "b1", clock)
    assert hearing.unheard_s() == math.inf
    hearing.heard(90.0, orders_of())
    assert hearing.unheard_s() == 10.0
    assert not (tmp_path / FILE).exists()
    hearing.heard(95.0, ORDERS)
    assert Hearing(tmp_path, lambda: "b1", clock).unheard_s() == 5.0
    assert Hearing(tmp_path, lambda: "b2", clock).unheard_s() == math.inf
    assert Hearing(tmp_path, lambda: "b1", Clock(94.0)).unheard_s() == math.inf
    for content in ("", "[]", "{}", '{"boot": "b1", "heard_at": null}', "[" * 9999):
        (tmp_path / FILE).write_text(content)
        assert Hearing(tmp_path, lambda: "b1", clock).unheard_s() == math.inf
    (tmp_path / FILE).write_text(json.dumps({"boot": "", "heard_at": 95.0}))
    assert Hearing(tmp_path, lambda: "", clock).unheard_s() == math.inf


def test_a_disk_that_is_full_takes_nothing_from_a_running_agent(tmp_path: Path) -> None:
    hearing = Hearing(tmp_path / "gone", lambda: "b1", Clock(100.0))
    hearing.heard(99.0, ORDERS)
    assert hearing.unheard_s() == 1.0


def test_the_shortest_limit_is_found() -> None:
    assert limit_s(orders_of()) is None
    assert limit_s(ORDERS) == LIMIT_S
    assert limit_s(limited(orders_of(buried=[DB]))) == LIMIT_S
