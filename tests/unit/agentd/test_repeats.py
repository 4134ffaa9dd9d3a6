"""What the agent tries again and again for as long as a disk is full or all masters are away: its log has a few lines of it."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.agentd import heads, localincidents, outagekeeping
from hullmark.agentd.problems import MASTER_UNAVAILABLE, Problems
from hullmark.errors import AuditUnavailable, MasterUnavailable
from hullmark.model.control import Status
from tests.unit.agentd import test_heads, test_outagekeeping, test_shipping
from tests.unit.agentd.fakes import Agent, bundle_of, orders_of, shows_itself
from tests.unit.agentd.test_reconciler import WEB

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Lines:
    """The messages so far."""
    monkeypatch.setattr(logging.getLogger("hullmark"), "propagate", True)
    caplog.set_level(logging.INFO, "hullmark")
    return lambda: [record.message for record in caplog.records]


def masters_by_turns() -> Iterator[MasterUnavailable]:
    for number in itertools.cycle("12"):
        yield MasterUnavailable(f"https://m{number}:7441: no answer")


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Times(threading.Event):
    """Set after so many looks; nothing waits."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def wait(self, timeout: object = None) -> bool:
        return False


def test_that_no_master_answers_is_told_of_each_once(lines: Lines) -> None:
    problems = Problems()
    away = masters_by_turns()
    for _ in range(2):
        for _ in range(100):
            problems.set_error(MASTER_UNAVAILABLE, next(away))
        assert problems.all()[0].message == "https://m2:7441: no answer"
        problems.clear(MASTER_UNAVAILABLE)
    assert lines() == ["problem", "problem", "problem is over"] * 2


def test_a_report_that_no_master_takes_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    agent = Agent(tmp_path / "agent")
    shows_itself(agent.ledger, agent.leader.orders.epoch, agent.leader.orders.leader)
    agent.board.show({}, {}, 1, ())
    monkeypatch.setattr(agent.board, "wait", lambda version, longest_s: 0)
    away = masters_by_turns()

    def fails() -> None:
        raise next(away)

    for number in "12":
        agent.problems.set("engine.unavailable", number)
        agent.leader.on_report = fails
        agent.reporter.run(Times(100))
        agent.leader.on_report = lambda: None
        agent.reporter.run(Times(1))
    assert lines().count("not reported") == 2


def test_records_that_no_master_takes_are_told_once(lines: Lines) -> None:
    bench = test_shipping.Bench()
    away = masters_by_turns()
    for _ in range(2):
        bench.grow(3)
        for _ in range(100):
            bench.error = next(away)
            bench.turns(20)
        bench.error = None
        bench.turns(61)
    assert lines().count("records not sent") == 2


def test_outages_that_a_full_disk_does_not_take_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    house = test_outagekeeping.House(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(outagekeeping, "write_file", full)
        patch.setattr(localincidents, "write_document", full)
        for _ in range(10):
            house.look(Status.PASS, Status.FAIL, Status.FAIL)
    house.look(Status.PASS, Status.FAIL, Status.FAIL)
    told = [line for line in lines() if "outages" in line]
    assert told == ["outages not written", "outages are written again"]
    assert lines().count("incidents not written") == 1


def test_seals_that_a_full_disk_does_not_take_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    bench = test_heads.Bench(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(heads, "write_document", full)
        for _ in range(10):
            bench.grow()
            bench.turns(60)
    bench.grow()
    bench.turns(60)
    assert [line for line in lines() if "kept" in line] == [
        "what the masters sealed is not kept",
        "what the masters sealed is kept again",
    ]


def test_what_the_log_does_not_take_is_told_once_as_put_off(tmp_path: Path, lines: Lines) -> None:
    agent = Agent(tmp_path / "agent")
    agent.engine.trouble = lambda method: AuditUnavailable("full") if method == "create" else None
    agent.accept(orders_of([(WEB, bundle_of())]))
    for _ in range(20):
        agent.settle()
        agent.clock.now += 60
    assert agent.engine.asked.count("create") > 5
    assert lines().count("put off") == 1
