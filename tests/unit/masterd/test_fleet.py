"""How long hosts have been silent: what is theirs, and what is this process's own sleep."""

from __future__ import annotations

from hullmark.masterd.fleet import Fleet


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fleet_of(clock: Clock, lost_after_s: float = 10.0) -> Fleet:
    return Fleet(clock, silent_after_s=lost_after_s * 0.8, lost_after_s=lost_after_s)


def pass_time(clock: Clock, fleet: Fleet, seconds: float) -> list[str]:
    """As ticks come in time. What hosts went over to."""
    found, end = [], clock.now + seconds
    while clock.now < end:
        clock.now = min(clock.now + 0.5, end)
        found += [f"{passage.host_id} {passage.word}" for passage in fleet.tick()]
    return found


def test_hosts_that_were_never_heard_are_waited_for_from_the_start_of_the_term() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    clock.now += 60.0  # taking leadership took long
    fleet.expect(["a"])
    assert (fleet.heard_s(), fleet.waited_s()) == ({}, 0.0)
    pass_time(clock, fleet, 4.0)
    assert (fleet.heard_s(), fleet.waited_s()) == ({}, 4.0)


def test_a_snapshot_between_a_stall_and_the_next_tick_shows_nobody_as_lost() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.expect(["a", "b"])
    fleet.hear("a", "run-1")
    pass_time(clock, fleet, 3.0)
    clock.now += 30.0
    assert fleet.heard_s() == {"a": 0.0}
    assert fleet.waited_s() == 0.0
    assert pass_time(clock, fleet, 9.9) == ["a silent", "b silent"]
    assert pass_time(clock, fleet, 0.5) == ["a lost", "b lost"]


def test_whoever_looks_first_after_a_stall_ends_it_for_all() -> None:
    for look in (Fleet.tick, Fleet.waited_s, lambda fleet: fleet.hear("b", "run-1")):
        clock = Clock()
        fleet = fleet_of(clock)
        fleet.hear("a", "run-1")
        clock.now += 30.0
        look(fleet)
        assert fleet.heard_s()["a"] == 0.0
        assert fleet.waited_s() == 0.0


def test_when_the_term_has_ended_it_stays_as_it_was() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.hear("a", "run-1")
    pass_time(clock, fleet, 3.0)
    fleet.rest()
    clock.now += 30.0
    assert fleet.heard_s() == {"a": 3.0}
    fleet.rest()
    assert fleet.quiet() == {"a": ("ready", 3.0, True)}


def test_a_host_that_was_lost_before_a_stall_stays_lost() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.hear("a", "run-1")
    assert pass_time(clock, fleet, 11.0) == ["a silent", "a lost"]
    fleet.hear("b", "run-1")
    clock.now += 30.0
    assert fleet.heard_s() == {"a": 41.0, "b": 0.0}
    assert pass_time(clock, fleet, 5.0) == []


def test_a_loop_that_is_only_slow_is_no_stall() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.hear("a", "run-1")
    for _ in range(6):
        clock.now += 1.9
        fleet.tick()
    assert fleet.heard_s()["a"] > 10.0


def test_with_a_short_lost_after_a_shorter_stall_counts() -> None:
    clock = Clock()
    fleet = fleet_of(clock, 2.0)
    fleet.hear("a", "run-1")
    clock.now += 1.1
    assert fleet.heard_s() == {"a": 0.0}
    assert pass_time(clock, fleet, 2.5) == ["a silent", "a lost"]


def test_at_the_end_of_its_maintenance_a_host_has_its_time_anew() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.expect(["never"])
    fleet.hear("a", "run-1")
    both = frozenset({"a", "never"})
    fleet.excuse(both)
    pass_time(clock, fleet, 60.0)
    fleet.excuse(both)
    assert fleet.heard_s() == {"a": 60.0}
    fleet.excuse(frozenset())
    assert fleet.heard_s() == {"a": 0.0, "never": 0.0}
    assert pass_time(clock, fleet, 11.0) == ["never silent", "a silent", "never lost", "a lost"]


def test_a_host_that_is_enrolled_in_this_term_has_its_time_from_then_on() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.expect(["a"])
    pass_time(clock, fleet, 30.0)
    fleet.know(["a", "b"])
    assert fleet.enrolled_s() == {"b": 0.0}, "a was there before"
    pass_time(clock, fleet, 4.0)
    fleet.know(["a", "b", "c"])
    assert fleet.enrolled_s() == {"b": 4.0, "c": 0.0}
    clock.now += 30.0
    assert fleet.enrolled_s() == {"b": 0.0, "c": 0.0}, "this process stood still"
    assert pass_time(clock, fleet, 20.0) == [], (
        "of a it was told before, and of those two by other words"
    )
    assert fleet.enrolled_s() == {"b": 20.0, "c": 20.0}
    fleet.hear("b", "run-1")
    fleet.know(["a", "b"])
    assert fleet.enrolled_s() == {}


def test_a_host_that_was_removed_is_not_waited_for() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.hear("a", "run-1")
    fleet.forget("a")
    assert fleet.heard_s() == {}
    assert pass_time(clock, fleet, 20.0) == []


def test_after_many_were_silent_it_is_known_how_long_ago_that_was() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.expect(["a", "b", "c"])
    for host in "abc":
        fleet.hear(host, "run")
    pass_time(clock, fleet, 5.5)
    assert fleet.calm_s() is None
    pass_time(clock, fleet, 5.0)
    assert fleet.calm_s() == 0.0
    fleet.hear("a", "run")
    assert fleet.calm_s() == 0.0, "two of three are still more than by chance"
    fleet.hear("b", "run")
    pass_time(clock, fleet, 3.0)
    assert fleet.calm_s() == 3.0


def test_hosts_in_maintenance_make_nobody_restless() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    for host in "abc":
        fleet.hear(host, "run")
    fleet.excuse(frozenset("bc"))
    for _ in range(20):
        pass_time(clock, fleet, 1.0)
        fleet.hear("a", "run")
    assert fleet.calm_s() is None


def test_what_is_told_of_a_hosts_silence_counts_from_when_it_really_called() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.expect(["never"])
    fleet.hear("a", "run-1")
    both = frozenset({"a", "never"})
    fleet.excuse(both)
    pass_time(clock, fleet, 3600.0)
    fleet.excuse(frozenset())
    end = clock.now + 11.0
    passages = []
    while clock.now < end:
        clock.now += 0.5
        passages += [one for one in fleet.tick() if one.host_id == "a"]
    assert [(one.word, one.heard_s) for one in passages] == [("silent", 3608.5), ("lost", 3610.5)]
    assert fleet.heard_s() == {"a": 11.0, "never": 11.0}
    assert fleet.spoke_s() == {"a": 3611.0}
    assert fleet.quiet() == {"a": ("lost", 3611.0, False), "never": ("lost", 11.0, False)}
    back = fleet.hear("a", "run-1")
    assert back is not None
    assert back.heard_s == 3611.0
    assert fleet.spoke_s() == {"a": 0.0}


def test_a_stall_makes_nothing_younger_that_a_host_told() -> None:
    clock = Clock()
    fleet = fleet_of(clock)
    fleet.hear("a", "run-1")
    clock.now += 300.0
    assert (fleet.heard_s(), fleet.spoke_s()) == ({"a": 0.0}, {"a": 300.0})
