"""Records on their way to the leader: in order, what it lacks, and no more."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from hullmark.agentd.heads import Sources
from hullmark.agentd.problems import Problems
from hullmark.agentd.shipping import NOT_TAKEN, Shipping
from hullmark.core import shipping as core
from hullmark.errors import HullmarkError, MasterUnavailable, NotFound, Refused
from hullmark.model.audit import FIRST_PREV, Entry, Head
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.protocol import AUDIT_PATH, Received, Shipment


class Bench:
    """A log, and leaders each with a cursor."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.cursors = {"m1": 0, "m2": 0}
        self.leader = "m1"
        self.error: Optional[HullmarkError] = None
        self.why = ""
        self.calls: list[tuple[str, int, int]] = []
        self.now = 0.0
        self.problems = Problems()
        sources = Sources(lambda: (), lambda: self, lambda: self.leader)  # type: ignore[arg-type, return-value]
        self.shipping = Shipping(self, self.problems, sources, lambda: self.now)  # type: ignore[arg-type]

    @property
    def head(self) -> Head:
        return Head("host:h1", len(self.lines), hash_of(self.lines[-1]) if self.lines else "", 0.0)

    def read(self, first: int, most: int) -> list[bytes]:
        return self.lines[first - 1 :][:most]

    def grow(self, count: int, text: str = "") -> None:
        for _ in range(count):
            prev = hash_of(self.lines[-1]) if self.lines else FIRST_PREV
            entry, at = Entry("container.start", "shop/web.1", reason=text), "2026-11-29T05:40:01Z"
            seq = len(self.lines) + 1
            self.lines.append(line_of(entry, seq=seq, prev=prev, log="host:h1", boot="b", at=at))

    def call(
        self, path: str, body: Shipment, answer: Any, timeout_s: float
    ) -> tuple[Received, float]:
        assert path == AUDIT_PATH
        self.calls.append((self.leader, body.first, len(body.lines)))
        if self.error is not None:
            raise self.error
        cursor = self.cursors[self.leader]
        if body.lines and (self.why or body.first != cursor + 1):
            return Received(cursor, self.why or "another one is wanted"), 0.0
        self.cursors[self.leader] = cursor + len(body.lines)
        return Received(self.cursors[self.leader]), 0.0

    def turns(self, seconds: float) -> list[tuple[str, int, int]]:
        self.calls.clear()
        until = self.now + seconds
        while self.now < until:
            if not self.shipping.turn():
                self.now += 1.0
        return list(self.calls)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_all_is_sent_in_order_and_then_nothing(bench: Bench) -> None:
    bench.grow(1200)
    calls = bench.turns(5)
    assert calls == [("m1", 0, 0), ("m1", 1, 500), ("m1", 501, 500), ("m1", 1001, 200)]
    assert bench.turns(600) == []
    bench.grow(2)
    assert bench.turns(3) == [("m1", 1201, 2)]


def test_a_shipment_is_no_larger_than_is_taken(bench: Bench) -> None:
    bench.grow(400, "x" * 4000)
    calls = bench.turns(5)
    assert sum(count for _, _, count in calls) == 400
    assert max(count for _, _, count in calls) * 4000 < core.BYTES_MOST
    assert bench.cursors["m1"] == 400


def test_a_new_leader_is_sent_what_it_lacks(bench: Bench) -> None:
    bench.grow(30)
    bench.turns(3)
    bench.leader, bench.cursors["m2"] = "m2", 12
    assert bench.turns(3) == [("m2", 0, 0), ("m2", 13, 18)]
    bench.leader = "m1"
    assert bench.turns(3) == [("m1", 0, 0)]


def test_before_a_leader_is_known_nothing_is_sent(bench: Bench) -> None:
    bench.leader = ""
    bench.grow(3)
    assert bench.turns(60) == []


def test_an_older_leader_is_left_alone(bench: Bench) -> None:
    bench.error = NotFound("there is nothing there")
    bench.grow(3)
    assert len(bench.turns(599)) == 1
    assert bench.problems.all() == ()
    bench.error, bench.leader, bench.cursors["m2"] = None, "m2", 0
    bench.turns(3)
    assert bench.cursors["m2"] == 3


def test_without_an_answer_it_is_tried_again_ever_more_seldom(bench: Bench) -> None:
    bench.error = MasterUnavailable("no master answers")
    bench.grow(3)
    assert 15 < len(bench.turns(300)) < 50
    bench.error = None
    bench.turns(61)
    assert bench.cursors["m1"] == 3


@pytest.mark.parametrize("mend", ["taken", "begun anew"])
def test_a_log_that_is_not_taken_is_a_problem_until_it_is(bench: Bench, mend: str) -> None:
    bench.grow(3)
    bench.turns(3)
    bench.why = "it does not follow"
    bench.grow(1)
    seen = _codes_over(bench, 200)
    assert seen[-1] == [NOT_TAKEN]
    assert seen.count([]) <= 2, "it does not come and go"
    bench.why = ""
    if mend == "begun anew":
        bench.cursors["m1"] = 0
    bench.turns(200)
    assert (bench.cursors["m1"], bench.problems.all()) == (4, ())


def test_a_log_that_is_shorter_than_what_the_leader_has_is_a_problem(bench: Bench) -> None:
    bench.grow(3)
    bench.cursors["m1"] = 9
    bench.turns(30)
    assert [one.code for one in bench.problems.all()] == [NOT_TAKEN]
    assert "up to number 9, and the log ends at 3" in bench.problems.all()[0].message


def test_each_reason_why_nothing_is_sent_is_told_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hullmark.shipping")
    bench.grow(3)
    for error in (
        Refused("1200 bytes are too many"),
        Refused("1300 bytes are too many"),
        Refused("the store takes no login"),
        MasterUnavailable("no master answers"),
        MasterUnavailable("m1 stopped listening"),
    ):
        bench.error = error
        bench.turns(60)
    assert [vars(one)["fields"]["why"] for one in caplog.records] == [
        "1200 bytes are too many",
        "the store takes no login",
        "no master answers",
    ]


def _codes_over(bench: Bench, seconds: int) -> list[list[str]]:
    found: list[list[str]] = []
    for _ in range(seconds):
        bench.turns(1)
        found.append([one.code for one in bench.problems.all()])
    return found
