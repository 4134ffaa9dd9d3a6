"""How agents that lost their leader together come back one after the other."""

from __future__ import annotations

import random

import pytest

from hullmark.agentd.waits import Comeback


def test_hosts_that_lost_their_leader_together_are_spread_out() -> None:
    chance = random.Random(7)
    waits = []
    for _ in range(1000):
        comeback = Comeback(chance.random)
        comeback.found(4.0)
        waits.append(comeback.lost(several=True))
    for second in range(4):
        arrived = sum(second <= wait < second + 1 for wait in waits)
        assert 180 < arrived < 320, "a quarter of them in each quarter of the time"


def test_the_first_wait_of_a_small_fleet_is_none_to_speak_of() -> None:
    comeback = Comeback(lambda: 1.0)
    comeback.found(0.015)
    assert comeback.lost(several=True) == 0.015


def test_after_it_a_large_fleet_asks_more_seldom() -> None:
    for spread_s, first_s, longest_s in ((0.0, 0.2, 1.0), (1.5, 0.5, 1.5), (30.0, 1.0, 3.0)):
        comeback = Comeback(lambda: 1.0)
        comeback.found(spread_s)
        waits = [comeback.lost(several=True) for _ in range(9)][1:]
        assert waits[:2] == pytest.approx([first_s, 2 * first_s])
        assert waits[-1] == longest_s


def test_a_leader_that_is_named_is_called_soon_unless_masters_only_name_each_other() -> None:
    comeback = Comeback(lambda: 1.0)
    comeback.found(0.0)
    for _ in range(6):
        comeback.lost(several=True)
    assert comeback.lost(several=True, named=True) == 0.2
    assert comeback.lost(several=True, named=True) == 1.0
    assert comeback.lost(several=True) == 1.0
    assert comeback.lost(several=True, named=True) == 0.2


def test_the_only_master_is_asked_at_once_and_then_more_seldom() -> None:
    comeback = Comeback(lambda: 0.0)
    comeback.found(3.0)
    waits = [comeback.lost(several=False) for _ in range(6)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.5, 1.5])
    comeback.found(3.0)
    assert comeback.lost(several=False) == pytest.approx(0.1)
