"""What is made of the watch's own words, and of files that others can write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks.judge import Seen
from hullmark.core.checks.watchedfiles import judge_safe, judge_unchanged, judge_watch
from hullmark.model.control import CANARY, RUNNING, SELF_REPORT, Reading, Status, Trouble

NOW = 1_800_000_000.0
GIVEN = {"paths": ("/etc/hullmark",), "compared": 1800.0}
FACTS = {
    "files": "9",
    "folders": "3",
    "changes": "0",
    "realtime": "yes",
    "compared_at": "1799999990",
}
WATCH = Reading("watch", "inotify", facts=FACTS)
SEEN = Reading("canary", "/run/c", facts={"nonce": "n", "seen": "yes"})


def watched(*readings: Reading) -> Any:
    return judge_watch(Seen(readings, GIVEN, NOW, CANARY))


def with_facts(**facts: str) -> Reading:
    return Reading("watch", "inotify", facts={**FACTS, **facts})


def test_it_passes_where_the_canary_was_noticed() -> None:
    found = watched(WATCH, SEEN)
    assert (found.status, found.level) == (Status.PASS, CANARY)


@pytest.mark.parametrize(
    "readings",
    [
        (WATCH, Reading("canary", "/run/c", facts={"nonce": "n", "seen": "no"})),
        (WATCH,),
        (with_facts(compared_at="1799998000"), SEEN),
        (with_facts(compared_at="1800009999"), SEEN),  # the clock was set back since
        (Reading("watch", "inotify", "/etc/docker: no watch", facts=FACTS), SEEN),
    ],
)
def test_what_would_not_be_seen_fails(readings: tuple[Reading, ...]) -> None:
    assert watched(*readings).status is Status.FAIL


def test_without_inotify_a_comparison_proves_less() -> None:
    found = watched(with_facts(realtime="no"))
    assert (found.status, found.level) == (Status.PASS, RUNNING)


@pytest.mark.parametrize(
    "readings",
    [
        (),
        (Reading("watch", "inotify", trouble=Trouble.FAILED),),
        (with_facts(compared_at="soon"), SEEN),
        (with_facts(compared_at="nan"), SEEN),
        (with_facts(compared_at="-inf"), SEEN),
        (Reading("watch", "inotify", facts={"realtime": "yes"}), SEEN),
    ],
)
def test_what_is_not_known_is_an_error(readings: tuple[Reading, ...]) -> None:
    assert watched(*readings).status is Status.ERROR


def safe(*readings: Reading) -> Any:
    return judge_safe(Seen(readings, GIVEN, NOW, SELF_REPORT))


def test_files_that_others_can_write_fail() -> None:
    assert safe(Reading("safe", "owner", facts={"files": "9"})).status is Status.PASS
    found = safe(
        Reading("safe", "owner", "/a can be written\n/b too\n/c\n/d", facts={"files": "9"})
    )
    assert found.status is Status.FAIL
    assert found.reason == "/a can be written; /b too; /c; and 1 more"
    assert safe(Reading("safe", "owner")).status is Status.ERROR
    assert safe().status is Status.ERROR


def unchanged(*readings: Reading) -> Any:
    return judge_unchanged(Seen(readings, {"quiet": 600.0}, NOW, SELF_REPORT))


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"changes": "0", "newest": "0.000"}, Status.PASS),
        ({"changes": "2", "newest": f"{NOW - 601}"}, Status.PASS),
        ({"changes": "2", "newest": f"{NOW - 5}"}, Status.FAIL),
        ({"changes": "2", "newest": f"{NOW + 500}"}, Status.FAIL),  # the clock was set back
        ({"changes": "2"}, Status.ERROR),
        ({"changes": "two", "newest": "0"}, Status.ERROR),
        ({}, Status.ERROR),
    ],
)
def test_a_change_fails_for_some_time(facts: dict[str, str], status: Status) -> None:
    reading = Reading("changes", "files", "/etc/a changed: mode 0644 -> 0666", facts=facts)
    found = unchanged(reading)
    assert found.status is status
    if status is Status.FAIL:
        assert found.reason == "/etc/a changed: mode 0644 -> 0666"
    assert unchanged().status is Status.ERROR


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(sorted(FACTS)), st.text(max_size=20)))
def test_garble_never_passes_with_a_canary(text: str, facts: dict[str, str]) -> None:
    found = watched(Reading("watch", "inotify", text, facts=facts), SEEN)
    if found.status is Status.PASS:
        assert abs(NOW - float(facts["compared_at"])) <= GIVEN["compared"]  # type: ignore[operator]
        assert not text.strip()
