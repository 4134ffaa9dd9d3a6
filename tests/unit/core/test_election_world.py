"""Two electors in a world of delays, lost answers, pauses and uneven clocks: never two leaders, and soon one again."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.election import Timing
from tests.unit.core.election_world import TIMING, Fault, World

LENGTH_S = 24.0
FAULTS = st.builds(
    Fault,
    st.sampled_from(["paused", "deaf", "mute", "slow", "asked"]),
    st.integers(0, 1),
    st.floats(1, LENGTH_S - 8),
    st.floats(0.1, 8),
)
SEEDS = st.integers(0, 1 << 30)


@dataclasses.dataclass(frozen=True)
class Late(Timing):
    """A leader that believes in itself for longer than its standby waits."""

    @property
    def deadline_s(self) -> float:
        return self.ttl_s * 1.5


@settings(max_examples=200)
@given(SEEDS, st.lists(FAULTS, max_size=6))
def test_there_are_never_two_and_an_agent_never_goes_back(seed: int, faults: list[Fault]) -> None:
    world = World(seed, faults)
    world.run(LENGTH_S)
    assert not world.broken


@settings(max_examples=80)
@given(SEEDS, st.lists(FAULTS, max_size=4))
def test_one_leads_again_once_the_faults_are_over(seed: int, faults: list[Fault]) -> None:
    world = World(seed, faults)
    world.run(LENGTH_S)
    world.run(15.0)
    assert not world.broken
    assert world.longest_gap_s(LENGTH_S + 8.0) < 1.0


@settings(max_examples=30)
@given(SEEDS)
def test_without_faults_one_leads_and_stays(seed: int) -> None:
    world = World(seed)
    world.run(LENGTH_S)
    assert not world.broken
    assert world.store.term == 1
    assert world.longest_gap_s(1.0) < 0.1
    assert len(world.store.writes) > 50


@pytest.mark.parametrize("process", [0, 1])
def test_a_leader_that_stood_still_finds_itself_followed(process: int) -> None:
    """Paused for longer than its time to live, with writes and orders of its own on the way."""
    changes = 0
    for seed in range(12):
        world = World(seed, [Fault("paused", process, 5.0, 6.0)])
        world.run(20.0)
        assert not world.broken
        changes += world.store.term > 1
    assert changes >= 3, "the paused one led now and then, and was followed"


def _broken(timing: Timing, *, fenced: bool) -> list[str]:
    found = []
    for seed in range(24):
        # No sign of life arrives any more, and writes that were sent before arrive late.
        faults = [Fault("mute", seed % 2, 5.0, 6.0), Fault("slow", seed % 2, 4.0, 8.0)]
        world = World(seed, faults, timing, fenced=fenced)
        world.run(20.0)
        found += world.broken
    return found


def test_this_world_finds_a_deadline_that_is_too_late() -> None:
    assert any("both" in what for what in _broken(Late(), fenced=True))


def test_this_world_finds_writes_without_a_fence() -> None:
    assert any("a write of term" in what for what in _broken(TIMING, fenced=False))
    assert not _broken(TIMING, fenced=True)
