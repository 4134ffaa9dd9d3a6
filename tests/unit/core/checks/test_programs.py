"""A daemon is alive where a process of it is well, and only there."""

from __future__ import annotations

import pytest

from hullmark.core.checks.judge import Seen
from hullmark.core.checks.programs import judge_alive
from hullmark.model.control import Finding, Status, Trouble
from tests.unit.core.checks.looks import missing, process, program, reading


def judged(processes: str, trouble: Trouble = Trouble.NONE) -> Finding:
    found = reading("processes", processes, trouble=trouble, source="processes: tool")
    return judge_alive(Seen((program(), found), level=1))


@pytest.mark.parametrize("state", ["S", "R", "D", "I"])
def test_it_runs(state) -> None:
    assert judged(process(state)) == Finding(Status.PASS, 1)


def test_children_that_ended_say_nothing() -> None:
    assert judged(f"{process()}\n{process('Z', number=9)}").status is Status.PASS


@pytest.mark.parametrize(
    ("processes", "reason"),
    [
        ("", "no process of tool runs"),
        (process("T"), "tool: process 812 is stopped by a signal"),
        (process("t"), "tool: process 812 is stopped by a debugger"),
        (process("Z"), "tool: process 812 is a zombie"),
        (f"{process()}\n{process('T', number=9)}", "tool: process 9 is stopped by a signal"),
    ],
)
def test_it_is_dead(processes, reason) -> None:
    assert judged(processes) == Finding(Status.FAIL, reason=reason)


@pytest.mark.parametrize("processes", ["ls: no such thing", "1\tS\t0", "x\tS\t0\t/a\t/a"])
def test_a_list_that_is_none(processes) -> None:
    assert judged(processes).status is Status.ERROR


def test_it_is_not_installed() -> None:
    assert judge_alive(Seen((missing("program"),), level=1)).status is Status.NOT_APPLICABLE


def test_nobody_looked() -> None:
    assert judge_alive(Seen(())).status is Status.ERROR
    assert judge_alive(Seen((program(),))).status is Status.ERROR
    assert judged("", Trouble.FAILED).status is Status.ERROR
