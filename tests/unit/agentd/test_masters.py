"""Which master is called: the list, who leads, who is silent, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.masters import FILE, MOST, SILENT_S, Masters
from tests.unit.agentd.fakes import Clock

M1, M2, M3 = (f"https://m{number}:7441" for number in (1, 2, 3))


def masters(
    folder: Path,
    *configured: str,
    clock: Optional[Clock] = None,
    cluster: str = "c1",
) -> Masters:
    enrolled = Enrolment(cluster, "h1", "box", (M1, M2), 0.0, 1e12)
    return Masters(folder, configured, lambda: enrolled, clock or Clock())


def test_the_leader_that_another_names_is_called_next(tmp_path: Path) -> None:
    found = masters(tmp_path)
    assert found.current() == M1
    assert found.follow(M1, M2)
    assert found.current() == M2
    assert found.follow(M2, M3), "one that joined while the host was away"
    assert found.current() == M3
    assert not found.follow(M3, "")
    assert found.current() == M1


def test_a_master_that_knows_no_leader_is_left_for_the_next(tmp_path: Path) -> None:
    found = masters(tmp_path)
    assert not found.follow(M1, "")
    assert found.current() == M2
    assert not found.follow(M2, M2), "it names itself"
    assert found.current() == M1


def test_one_that_was_just_silent_is_not_gone_to_because_it_is_named(tmp_path: Path) -> None:
    clock = Clock()
    found = masters(tmp_path, clock=clock)
    found.current()
    found.leave(M1, silent=True)
    assert found.current() == M2
    assert not found.follow(M2, M1)
    assert found.current() == M2, "it may be the next to lead"
    clock.now += SILENT_S
    assert found.follow(M2, M1)
    assert found.current() == M1


def test_a_silent_one_that_answers_is_not_passed_over(tmp_path: Path) -> None:
    found = masters(tmp_path)
    found.leave(M1, silent=True)
    found.answered(M1)
    assert found.follow(M2, M1)


def test_what_one_thread_left_is_not_left_twice(tmp_path: Path) -> None:
    found = masters(tmp_path)
    found.current()
    found.leave(M1)
    found.leave(M1)
    assert found.current() == M2
    assert found.follow(M1, M3), "that thread asks again, and at the one that is called"
    assert found.current() == M2


def test_where_all_are_silent_each_is_tried_in_turn(tmp_path: Path) -> None:
    found = masters(tmp_path)
    called = []
    for _ in range(4):
        called.append(found.current())
        found.leave(called[-1], silent=True)
    assert called == [M1, M2, M1, M2]


def test_of_configured_masters_no_other_is_gone_to(tmp_path: Path) -> None:
    found = masters(tmp_path, M1, M3)
    found.learn((M2,))
    assert found.all() == (M1, M3)
    assert not (tmp_path / FILE).exists()
    assert not found.follow(M1, M2), "an address that this host may not be able to reach"
    assert found.current() == M3
    assert found.follow(M3, M1)
    assert found.current() == M1


def test_what_the_leader_told_is_remembered_and_comes_first(tmp_path: Path) -> None:
    masters(tmp_path).learn((M3, M2, "http://elsewhere:1", M3))
    assert masters(tmp_path).all() == (M3, M2, M1)
    assert masters(tmp_path).current() == M3
    assert masters(tmp_path, cluster="c2").all() == (M1, M2), "of another cluster"
    assert masters(tmp_path, M2).all() == (M2,)


def test_nothing_told_changes_nothing(tmp_path: Path) -> None:
    found = masters(tmp_path)
    found.learn(())
    assert found.all() == (M1, M2)
    found.learn(tuple(f"https://m{number}:1" for number in range(1000)))
    assert len(found.all()) == MOST + 2


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"cluster_id": "c1", "masters": 3}', "[" * 10_000]
)
def test_a_damaged_file_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert masters(tmp_path).all() == (M1, M2)


def test_a_file_that_cannot_be_written_is_no_trouble_while_the_agent_runs(tmp_path: Path) -> None:
    found = masters(tmp_path / "none")
    found.learn((M3,))
    assert found.all() == (M3, M1, M2)
