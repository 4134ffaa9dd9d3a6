"""What is wrong with a mark, and with a word against it; what of it does nothing."""

from __future__ import annotations

import pytest

from hullmark.core.loadlinecheck import (
    asked_for,
    override_problems,
    problems_of,
    warnings_of,
)
from hullmark.model.app import Placement
from hullmark.model.loadline import LoadLine, LoadLineRecord, OverrideRequest, Required
from tests.unit.core.test_loadline import marked, shop, web


@pytest.mark.parametrize(
    ("line", "field", "allowed"),
    [
        (LoadLine((Required("Audit"),)), "require[0].control", "audit-trail"),
        (LoadLine((Required("a" * 64),)), "require[0].control", "audit-trail"),
        (LoadLine((Required("a", 5),)), "require[0].level", "3 (canary)"),
        (LoadLine((Required("a", -1),)), "require[0].level", "0 (installed)"),
        (LoadLine((Required("a"), Required("a", 1))), "require[1]", "once"),
        (LoadLine(brake=1.5), "brake", "0% to 100%"),
        (LoadLine(drain_after_s=1e9), "drain_after", "0 s to 7 d"),
    ],
)
def test_a_mark_that_can_not_be_meant(line: LoadLine, field: str, allowed: str) -> None:
    (found,) = problems_of(line)
    assert (found.field, allowed in found.allowed) == (field, True)


def test_too_many_are_told_once() -> None:
    found = problems_of(LoadLine(tuple(Required(f"c{n}") for n in range(101))))
    assert [(problem.field, problem.allowed) for problem in found] == [("require", "at most 100")]
    assert not problems_of(LoadLine(tuple(Required(f"c{n}", n % 5) for n in range(100))))


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (OverrideRequest("audit-trail", "r", "T"), []),
        (OverrideRequest("*", "r", "T", app="shop"), []),
        (OverrideRequest("*", "r", "T"), ["control"]),
        (OverrideRequest("", "r", "T", 1.0), ["control", "for_s"]),
        (OverrideRequest("a", "r", "T", 31 * 86400.0), ["for_s"]),
    ],
)
def test_a_word_that_can_not_be_meant(request_: OverrideRequest, fields: list[str]) -> None:
    assert [problem.field for problem in override_problems(request_)] == fields


def test_what_is_asked_for_and_what_no_host_has() -> None:
    world = marked(2, record=LoadLineRecord(LoadLine((Required("audit-trail"),))))
    own = Placement(require=(Required("time", 2),))
    world.apply(shop(("web", web(placement=own))))
    snapshot = world.snapshot()
    assert asked_for(snapshot) == {"audit-trail", "time"}
    assert asked_for(snapshot, "blog") == {"audit-trail"}
    assert list(warnings_of(snapshot, ["audit-trail", "audit-trail-auditd", "time"])) == [
        "no host has a control time: nothing that needs it is placed"
    ]
    world.new_leader()
    assert list(warnings_of(world.snapshot(), ["time"])) == [], "nothing is known yet"
