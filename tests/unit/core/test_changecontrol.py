"""What a change needs at a moment: rules in order, tickets, freeze windows over midnight and in time zones."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Optional
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.changecontrol import Judgement, Verdict, Wish, frozen_now, judge
from hullmark.core.controlcheck import problems_of, warnings_of
from hullmark.core.controlstanding import control_findings, waiting_finding
from hullmark.core.freezewindows import DAYS, ends_at, holds
from hullmark.core.ticketpattern import TICKET_MOST, fits, pattern_problem
from hullmark.masterd.walltime import zone_known
from hullmark.model.changecontrol import (
    Asker,
    BreakGlassRecord,
    ChangeKind,
    ControlDocument,
    ControlRule,
    FreezeWindow,
)
from tests.effort import at_most

APPLY = ChangeKind.APPLY
ZONED = pytest.mark.skipif(not zone_known("Europe/Berlin"), reason="tzdata is not installed")


def local(zone: str, at: float) -> datetime:
    found = timezone.utc if zone == "UTC" else ZoneInfo(zone)
    return datetime.fromtimestamp(at, found).replace(tzinfo=None)


def at(text: str, zone: str = "UTC") -> float:
    found = timezone.utc if zone == "UTC" else ZoneInfo(zone)
    return datetime.fromisoformat(text).replace(tzinfo=found).timestamp()


def judged(document: Optional[ControlDocument], wish: Wish, **more: bool) -> Judgement:
    return judge(document, wish, at("2026-11-27T23:30"), local, **more)  # a Friday


def document(*rules: ControlRule, freezes: tuple[FreezeWindow, ...] = ()) -> ControlDocument:
    return ControlDocument(rules, freezes)


STRICT = ControlRule("strict", ("shop", "pay-*"), ("apply",), "CHG-[0-9]+", True)


def test_without_a_document_nothing_is_asked() -> None:
    assert judged(None, Wish(APPLY, "shop")).verdict is Verdict.ALLOWED
    assert judged(document(), Wish(APPLY, "shop")).verdict is Verdict.ALLOWED


def test_the_first_rule_that_fits_decides() -> None:
    free = ControlRule("free", ("shop",))
    assert judged(document(free, STRICT), Wish(APPLY, "shop")).rule == "free"
    found = judged(document(STRICT, free), Wish(APPLY, "shop", "CHG-1"))
    assert (found.verdict, found.rule) == (Verdict.WAITS, "strict")


@pytest.mark.parametrize(
    ("kind", "app", "rule"),
    [
        (APPLY, "shop", "strict"),
        (APPLY, "pay-eu", "strict"),
        (APPLY, "pay", ""),
        (APPLY, "xpay-eu", ""),
        (ChangeKind.SCALE, "shop", ""),
        (ChangeKind.LABELS, "", ""),
    ],
)
def test_what_a_rule_fits(kind: ChangeKind, app: str, rule: str) -> None:
    assert judged(document(STRICT), Wish(kind, app, "CHG-1")).rule == rule


def test_a_rule_for_apps_is_none_for_hosts() -> None:
    every = ControlRule("every app", ("*",), approval=True)
    assert judged(document(every), Wish(ChangeKind.LABELS)).rule == ""
    assert judged(document(every), Wish(ChangeKind.MOVE, "a")).rule == "every app"


def test_all_that_is_missing_is_said() -> None:
    always = FreezeWindow("always", begins="2000-01-01T00:00")
    rule = ControlRule("all", ticket="CHG-[0-9]+", approval=True, freeze=("always",))
    found = judged(document(rule, freezes=(always,)), Wish(APPLY, "a"))
    assert found.verdict is Verdict.FROZEN
    assert found.reasons == (
        "rule 'all' asks for a ticket such as CHG-[0-9]+",
        "rule 'all' allows no change in the freeze window 'always'",
    )


def test_an_approval_and_break_glass_each_open_their_part() -> None:
    always = FreezeWindow("always", begins="2000-01-01T00:00")
    frozen = document(
        ControlRule("all", ticket="CHG-1", approval=True, freeze=("always",)), freezes=(always,)
    )
    good, without = Wish(APPLY, "a", "CHG-1"), Wish(APPLY, "a")
    assert judged(frozen, good, approved=True).verdict is Verdict.FROZEN
    assert judged(frozen, good, broken=True).verdict is Verdict.ALLOWED
    assert judged(frozen, without, broken=True).verdict is Verdict.NEEDS_TICKET
    thawed = document(ControlRule("all", approval=True))
    assert judged(thawed, without, approved=True).verdict is Verdict.ALLOWED


def test_the_rules_themselves_need_a_ticket_always() -> None:
    control = Wish(ChangeKind.CHANGE_CONTROL)
    assert judged(document(), control).verdict is Verdict.NEEDS_TICKET
    assert judged(document(), control, broken=True).verdict is Verdict.NEEDS_TICKET
    assert judged(document(), Wish(ChangeKind.CHANGE_CONTROL, "", "CHG-1")).rule == ""
    assert judged(None, control).verdict is Verdict.ALLOWED


# windows

NIGHTS = FreezeWindow("nights", "22:00-06:00", ("fri", "sat"))


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-11-27T21:59", False),  # a Friday
        ("2026-11-27T22:00", True),
        ("2026-11-28T05:59", True),
        ("2026-11-28T06:00", False),
        ("2026-11-28T22:00", True),
        ("2026-11-29T05:59", True),  # Sunday: it began on Saturday
        ("2026-11-29T22:00", False),
        ("2026-11-30T01:00", False),
        ("2026-11-27T01:00", False),  # it would have begun on Thursday
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(
    moment: str, frozen: bool
) -> None:
    assert holds(NIGHTS, datetime.fromisoformat(moment)) == frozen


@pytest.mark.parametrize(
    ("window", "moment", "frozen"),
    [
        (FreezeWindow("a", "09:00-17:00"), "2026-11-27T09:00", True),
        (FreezeWindow("a", "09:00-17:00"), "2026-11-27T17:00", False),
        (FreezeWindow("a", "00:00-24:00"), "2026-11-27T23:59", True),
        (FreezeWindow("a", "00:00-00:00"), "2026-11-27T00:00", True),
        (FreezeWindow("a", days=("fri",)), "2026-11-27T00:00", True),
        (FreezeWindow("a", days=("fri",)), "2026-11-28T00:00", False),
        (FreezeWindow("a", begins="2026-12-20T00:00"), "2026-12-19T23:59", False),
        (FreezeWindow("a", begins="2026-12-20T00:00"), "2036-12-20T00:00", True),
        (FreezeWindow("a", ends="2026-12-20T00:00"), "2026-12-20T00:00", False),
        (FreezeWindow("a", "22:00-06:00", ends="2026-11-28T01:00"), "2026-11-28T00:59", True),
        (FreezeWindow("a", "22:00-06:00", ends="2026-11-28T01:00"), "2026-11-28T01:00", False),
    ],
)
def test_a_window_holds_while_all_that_it_says_does(
    window: FreezeWindow, moment: str, frozen: bool
) -> None:
    assert holds(window, datetime.fromisoformat(moment)) == frozen


@ZONED
def test_a_window_is_on_the_wall_of_its_zone() -> None:
    window = FreezeWindow("night", "22:00-06:00", timezone="Europe/Berlin")
    berlin = ControlDocument((), (window,))
    assert frozen_now(berlin, at("2026-07-01T20:30"), local) == ("night",)  # 22:30 in summer
    assert frozen_now(berlin, at("2026-12-01T20:30"), local) == ()  # 21:30 in winter
    by_document = ControlDocument((), (FreezeWindow("n", "22:00-06:00"),), "Asia/Tokyo")
    assert frozen_now(by_document, at("2026-12-01T14:00"), local) == ("n",)
    assert frozen_now(ControlDocument((), (FreezeWindow("n", "22:00-06:00"),)), 0.0, local)


@ZONED
def test_an_hour_that_is_there_twice_is_frozen_twice() -> None:
    window = ControlDocument((), (FreezeWindow("w", "02:00-03:00"),), "Europe/Berlin")
    for text in ("2026-10-25T00:30", "2026-10-25T01:30"):  # both 02:30, before and after
        assert frozen_now(window, at(text), local) == ("w",)
    assert frozen_now(window, at("2026-10-25T02:30"), local) == ()


def test_when_a_window_ends() -> None:
    night = datetime.fromisoformat("2026-11-27T23:30")
    assert ends_at(NIGHTS, night) == datetime.fromisoformat("2026-11-28T06:00")
    year_end = FreezeWindow("y", begins="2026-11-20T00:00", ends="2027-01-04T06:00")
    assert ends_at(year_end, night) == datetime.fromisoformat("2027-01-04T06:00")
    weekend = FreezeWindow("w", days=("sat", "sun"))
    saturday = datetime.fromisoformat("2026-11-28T10:00")
    assert ends_at(weekend, saturday) == datetime.fromisoformat("2026-11-30T00:00")
    assert ends_at(FreezeWindow("e", days=DAYS), night) is None
    zoned = document(ControlRule("r", freeze=("nights",)), freezes=(NIGHTS,))
    assert judged(zoned, Wish(APPLY, "a")).reasons == (
        "rule 'r' allows no change in the freeze window 'nights' until 2026-11-28 06:00 UTC",
    )


@given(
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60 - 1),
    st.sets(st.sampled_from(DAYS)),
    st.integers(0, 14 * 24 * 60),
)
def test_a_window_that_holds_ends_when_it_says(
    first: int, last: int, days: set[str], minutes: int
) -> None:
    daily = f"{first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02}"
    window = FreezeWindow("w", daily, tuple(days))
    moment = datetime.fromisoformat("2026-11-23T00:00") + timedelta(minutes=minutes)
    if not holds(window, moment):
        return
    ends = ends_at(window, moment)
    if ends is None:
        assert first == last  # no minute of the day is left
        return
    assert not holds(window, ends)
    passed = moment
    while passed < ends:
        assert holds(window, passed)
        passed += timedelta(minutes=97)


# tickets


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (
            "CHG-[0-9]+",
            ["CHG-1", "CHG-123456"],
            ["", "CHG-", "CHG-1 ", "xCHG-1", "chg-1", "CHG-1\n"],
        ),
        ("(CHG|INC)-[0-9]{4,6}", ["CHG-1234", "INC-123456"], ["CHG-123", "REQ-1234"]),
        ("JIRA-\\d+", ["JIRA-7"], ["JIRA-x", "JIRA-\u0663"]),
        ("A|B", ["A", "B"], ["AB", ""]),
        ("", [""], ["x"]),
    ],
)
def test_a_ticket_fits_as_a_whole(pattern: str, good: list[str], bad: list[str]) -> None:
    assert pattern_problem(pattern) == ""
    assert all(fits(pattern, ticket) for ticket in good)
    assert not any(fits(pattern, ticket) for ticket in bad)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+", "(a|a)*", "a*b*c*d*", "((a))", "(a", "a)", "(a)(b)(c)", "[a", "a**", "\\1", "(?i)a",
        "^a$", "+a", "a{1,2}{3}", "[z-a]", "a{9,1}", "x" * 201, "a?" * 30, "\\",
    ],
)  # fmt: skip
def test_what_is_no_pattern(pattern: str) -> None:
    assert pattern_problem(pattern)
    assert not fits(pattern, "a")


@given(st.text("abc()|[]?*+{}01,\\.-", max_size=24), st.text("abc01", max_size=80))
def test_a_pattern_that_is_let_in_is_one_and_fast(pattern: str, ticket: str) -> None:
    if pattern_problem(pattern):
        return
    with at_most(1.0):
        found = fits(pattern, ticket)
    whole = re.fullmatch(pattern, ticket, re.ASCII) is not None
    assert found == (whole and len(ticket) <= TICKET_MOST)


def test_the_slowest_patterns_are_not_slow() -> None:
    for pattern in (".*.*.*b", "[a-z]+[a-z]*[a-z]?c", "(a|a|a)(a|a|a).*.*.*b"):
        with at_most(2.0):
            assert pattern_problem(pattern) == ""
            assert not fits(pattern, "a" * TICKET_MOST)


# the document


def test_what_is_wrong_with_a_document() -> None:
    wrong = ControlDocument(
        (
            ControlRule("ok", ("shop",)),
            ControlRule("ok", ("Shop*",), ("nothing",), "(", freeze=("none",)),
        ),
        (
            FreezeWindow("a", "25:00-26:00", ("monday",), "soon", "later", "Mars"),
            FreezeWindow("b"),
            FreezeWindow("c", begins="2026-12-02T00:00", ends="2026-12-01T00:00"),
        ),
        "",
        1.0,
        1e9,
    )
    found = [problem.field for problem in problems_of(wrong, lambda zone: zone == "UTC")]
    assert found == [
        "timezone",
        "pending_for",
        "break_glass_at_most",
        "rules[1].name",
        "rules[1].apps[0]",
        "rules[1].changes[0]",
        "rules[1].freeze[0]",
        "rules[1].ticket",
        "freezes.a.timezone",
        "freezes.a.days[0]",
        "freezes.a.daily",
        "freezes.a.begins",
        "freezes.a.ends",
        "freezes.b",
        "freezes.c.ends",
    ]
    many = ControlDocument(tuple(ControlRule(f"r{number}") for number in range(101)))
    assert problems_of(many, lambda zone: True)[0].field == "rules"


def test_what_never_does_anything_is_told() -> None:
    rules = (
        ControlRule("playground", ("try-*",)),
        ControlRule("apps", ("shop",), approval=True, freeze=("old",)),
        ControlRule("shadowed", ("shop",), ("apply",), approval=True),
        ControlRule("idle"),
    )
    windows = (FreezeWindow("old", ends="2020-01-01T00:00"), FreezeWindow("unused", "01:00-02:00"))
    assert warnings_of(document(), ["shop"], {}) == [
        "there are no rules in it: nothing is asked of any change"
    ]
    found = warnings_of(document(*rules, freezes=windows), ["shop"], {"old": True})
    assert found == [
        "rule 'shadowed' is never reached: 'apps' fits all of it before",
        "rule 'idle' is the last one, and asks for nothing",
        "freeze window 'old' is over",
        "freeze window 'unused' is in no rule",
    ]


def test_what_the_status_tells() -> None:
    glass = BreakGlassRecord("5d0a11f7", Asker("alice"), "shop is down", "", 0.0, 600.0)
    ((weight, note, remedy),) = control_findings([glass], 0.0)
    assert (weight, note) == (1, "break-glass 5d0a11f7 of alice is OPEN, 10 min left: shop is down")
    ((weight, note, remedy),) = control_findings([glass], 600.0)
    assert (weight, "not signed off" in note) == (1, True)
    assert remedy.startswith("hullmark break-glass sign-off 5d0a11f7")
    assert list(waiting_finding(0)) == []
    assert [weight for weight, _, _ in waiting_finding(2)] == [0]
