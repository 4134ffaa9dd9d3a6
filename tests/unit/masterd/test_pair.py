"""The pair as one master sees it, from what the store holds."""

from __future__ import annotations

from typing import Any

from hullmark.masterd.pair import ABSENT_S, LED_BEFORE, Pair
from hullmark.masterd.settings import Settings
from hullmark.masterd.view import View, encode
from hullmark.model.epoch import Epoch
from hullmark.model.names import LEADER_KEY, MASTERS
from hullmark.model.records import LeaderRecord, MasterRecord
from hullmark.model.redundancy import waits_for


class Seen:
    """What m2, which leads, makes of m1's record."""

    def __init__(self) -> None:
        self.now = 100.0
        self.view = View()
        self.pair = Pair("m2", Settings(clock=lambda: self.now, shared=True))
        leader = LeaderRecord(Epoch(1, 7), "m2", "m2:7441", 0.0, "aa")
        self.view.apply(LEADER_KEY, encode(leader), 1)
        self.revision = 1

    def told(self, **fields: Any) -> None:
        self.revision += 1
        record = MasterRecord("m1", "run", "0.4.0", (), (), 0.0, beat=self.revision, **fields)
        self.view.apply(MASTERS + "m1", encode(record), self.revision)
        self.pair.follow(self.view)

    @property
    def other(self) -> Any:
        (found,) = [view for view in self.pair.masters("", 3) if view.name == "m1"]
        return found


def test_a_leader_that_was_followed_is_no_ready_standby_before_it_says_so() -> None:
    seen = Seen()
    seen.told(why="")
    assert (seen.other.role, seen.other.why) == ("standby", LED_BEFORE)
    assert not seen.other.is_ready("m2")
    seen.told(why=waits_for("m2"))
    assert seen.other.is_ready("m2")


def test_a_standby_that_says_nothing_more_is_absent() -> None:
    seen = Seen()
    seen.told(why=waits_for("m2"))
    seen.now += ABSENT_S + 1.0
    seen.pair.follow(seen.view)
    assert seen.other.role == "absent"
    assert not seen.other.is_ready("m2")
