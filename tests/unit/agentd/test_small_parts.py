"""The agent's small parts: what waits, counts, remembers and is shown."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hullmark.agentd.attempts import FILE, Attempts
from hullmark.agentd.board import Board
from hullmark.agentd.inventory import REFRESH_S, Inventory
from hullmark.agentd.outbox import CAPACITY, Outbox
from hullmark.agentd.problems import MASTER_UNAVAILABLE, Problems
from hullmark.agentd.waits import Waits
from hullmark.core.found import Found, FoundState
from hullmark.engine.protocol import EngineInfo
from hullmark.model.app import Restart
from hullmark.model.host import HostFacts
from hullmark.model.observed import InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Clock

WEB = InstanceId("shop", "web", 1, 1)
NAME = WEB.container_name


def test_waits_grow_to_their_longest_and_start_anew() -> None:
    waits = Waits(1.0, 8.0)
    for full_s in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert full_s / 2 <= waits.next() <= full_s
    waits.reset()
    assert waits.next() <= 1.0


def ended(finished_at: float) -> Found:
    return Found("id", NAME, WEB, "h", FoundState.ENDED, exit_code=1, finished_at=finished_at)


def test_counts_survive_and_waits_do_not(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.ended(NAME, Restart(), ended(1.0), now=50.0)
    attempts.ended(NAME, Restart(), ended(2.0), now=60.0)
    attempts.restarted(NAME)
    attempts.write()
    kept = Attempts(tmp_path).all()[NAME]
    assert (kept.failures, kept.restarts, kept.not_before) == (2, 1, 0.0)
    assert kept.ended == ended(2.0).ended_key


def test_what_another_one_took_over_is_not_written_over(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.ended(NAME, Restart(), ended(1.0), now=50.0)
    attempts.write()
    attempts.close()
    successor = Attempts(tmp_path)
    successor.ended(NAME, Restart(), ended(2.0), now=60.0)
    successor.write()
    attempts.halts(NAME, "run")
    kept = Attempts(tmp_path).all()[NAME]
    assert (kept.failures, kept.halted) == (2, "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", 1]}'])
def test_counts_that_cannot_be_read_start_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert Attempts(tmp_path).all() == {}


def test_what_no_order_names_is_forgotten(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    assert attempts.failed(NAME, "no", 1.0)
    assert not attempts.failed(NAME, "no", 2.0), "the same reason is no news"
    assert attempts.failed(NAME, "other", 3.0)
    attempts.failed("spec/x", "no", 1.0)
    attempts.keep({NAME})
    assert set(attempts.all()) == {NAME}


def test_a_new_container_clears_failures_and_keeps_the_count_of_restarts(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.failed(NAME, "no", 1.0)
    attempts.restarted(NAME)
    attempts.made(NAME)
    kept = attempts.all()[NAME]
    assert (kept.failures, kept.restarts, kept.reason) == (0, 1, "")


def test_a_board_wakes_who_waits_and_only_for_changes() -> None:
    board = Board()
    assert board.state is None
    status = InstanceStatus(WEB, Phase.RUNNING)
    board.show({NAME: status}, {}, 1, ())
    version = board.wait(-1, 0.0)
    board.show({NAME: status}, {}, 1, ())
    assert board.wait(version, 0.0) == version, "a repeat is no change"
    woken: list[int] = []
    thread = threading.Thread(target=lambda: woken.append(board.wait(version, 5.0)))
    thread.start()
    board.show_work((NAME, "unknown"), Phase.STOPPING, "asked to")
    thread.join(5.0)
    assert woken == [version + 1]
    state = board.state
    assert state is not None
    assert state.instances[NAME].phase is Phase.STOPPING
    assert set(state.instances) == {NAME}


def test_what_is_set_before_the_first_look_is_shown_with_it() -> None:
    board = Board()
    board.set_facts(HostFacts(hostname="box"))
    assert board.state is None
    board.show_unseen()
    state = board.state
    assert state is not None
    assert state.facts.hostname == "box"
    assert state.accepted_revision == 0


def test_facts_are_gathered_now_and_then_and_keep_the_engine() -> None:
    clock, gathered = Clock(), []

    def gather() -> HostFacts:
        gathered.append(1)
        return HostFacts(hostname="box", cpus=len(gathered))

    inventory = Inventory(gather, clock)
    assert inventory.current(EngineInfo("docker", "20", "unix:///x")).engine_version == "20"
    assert inventory.current(EngineInfo("docker", "26", "unix:///x")).engine_version == "26"
    assert len(gathered) == 1
    clock.now += REFRESH_S
    facts = inventory.current(None)
    assert (facts.cpus, facts.engine, facts.engine_version) == (2, "docker", "26")


def test_facts_that_are_outdated_while_they_are_gathered_are_gathered_again() -> None:
    gathered: list[int] = []

    def gather() -> HostFacts:
        gathered.append(1)
        if len(gathered) == 1:
            inventory.outdated()
        return HostFacts(cpus=len(gathered))

    inventory = Inventory(gather, Clock())
    assert [inventory.current(None).cpus for _ in range(3)] == [1, 2, 2]


def test_news_waits_for_its_answer_and_the_oldest_goes_first() -> None:
    told: list[int] = []
    outbox = Outbox("host box", lambda: told.append(1))
    for number in range(CAPACITY + 5):
        outbox.add("instance.started", f"shop/web.{number}")
    assert len(told) == CAPACITY + 5
    first = outbox.peek(3)
    assert [event.subject for event in first] == ["shop/web.5", "shop/web.6", "shop/web.7"]
    outbox.add("instance.started", "later")
    outbox.drop(first)
    assert outbox.peek(1)[0].subject == "shop/web.8"
    assert outbox.peek(CAPACITY)[-1].subject == "later"


def test_a_problem_is_told_when_it_comes_changes_and_goes() -> None:
    told: list[int] = []
    problems = Problems(lambda: told.append(1))
    problems.set("a", "one")
    problems.set("a", "one")
    problems.set("a", "two")
    problems.clear("a", "b")
    problems.clear("a")
    assert len(told) == 3
    assert problems.all() == ()


def test_a_leader_is_not_told_that_there_is_none() -> None:
    problems = Problems()
    problems.set(MASTER_UNAVAILABLE, "no master answers")
    problems.set("engine.unavailable", "no engine")
    assert [one.code for one in problems.for_leader()] == ["engine.unavailable"]
    assert len(problems.all()) == 2
