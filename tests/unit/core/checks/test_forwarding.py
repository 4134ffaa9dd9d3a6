"""What is made of canaries that arrived elsewhere, and of those that did not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks.forwarding import judge_receipt
from hullmark.core.checks.judge import Seen
from hullmark.model.control import OTHER_HOST, Finding, Reading, Status, Trouble

NOW = 1_800_000_000.0
GIVEN = {"within": 60.0, "forwards": "auto"}
CONFIGURED = Reading("configured", "/etc/rsyslog.conf", "/etc/rsyslog.conf: *.* @@log1:514")
SENT = Reading("sent", "/dev/log", "hullmark-canary host=h nonce=n")


def receipts(newest: object, since: float = NOW - 3600, **facts: str) -> Reading:
    known = {"newest": str(newest), "asked_since": str(since), "seen_by": "host log1", **facts}
    return Reading("receipts", "leader", facts=known)


def judged(*readings: Reading, **changed: object) -> Finding:
    return judge_receipt(Seen(readings, {**GIVEN, **changed}, NOW, OTHER_HOST))


def test_a_young_receipt_proves_it() -> None:
    found = judged(CONFIGURED, SENT, receipts(NOW - 21))
    assert (found.status, found.level, found.reason) == (
        Status.PASS,
        OTHER_HOST,
        "seen by host log1",
    )


@pytest.mark.parametrize(
    ("newest", "words"),
    [(NOW - 61, "is 61 s old"), (0.0, "has ever arrived"), (NOW + 5, "s old")],
)
def test_canaries_that_do_not_arrive_fail(newest: float, words: str) -> None:
    found = judged(CONFIGURED, SENT, receipts(newest))
    assert found.status is Status.FAIL
    assert words in found.reason


def test_what_has_just_begun_proves_nothing_and_fails_nothing() -> None:
    for newest in (0.0, NOW - 300):
        assert judged(CONFIGURED, SENT, receipts(newest, NOW - 30)).status is Status.NOT_RUN


def test_nobody_can_be_asked_yet() -> None:
    alone = replace(
        receipts(0.0, 0.0, asked="no"), trouble=Trouble.FAILED, errors="this host is in no cluster"
    )
    found = judged(CONFIGURED, SENT, alone)
    assert found == Finding(Status.NOT_RUN, reason="this host is in no cluster")


def test_a_host_that_sends_nothing_away_has_no_such_control() -> None:
    nothing = replace(CONFIGURED, text="")
    assert judged(nothing).status is Status.NOT_APPLICABLE
    assert judged(nothing, SENT, receipts(0.0), forwards="yes").status is Status.FAIL


@pytest.mark.parametrize(
    "readings",
    [
        (),
        (CONFIGURED,),
        (replace(CONFIGURED, trouble=Trouble.DENIED),),
        (CONFIGURED, replace(SENT, trouble=Trouble.FAILED, errors="no such socket")),
        (CONFIGURED, SENT),
        (CONFIGURED, SENT, replace(receipts(NOW), trouble=Trouble.FAILED, errors="no master")),
        (CONFIGURED, SENT, receipts("soon")),
        (CONFIGURED, SENT, receipts("nan")),
    ],
)
def test_what_can_not_be_told_is_an_error(readings: tuple[Reading, ...]) -> None:
    found = judged(*readings)
    assert found.status is Status.ERROR
    assert found.reason


@given(st.dictionaries(st.sampled_from(["newest", "asked_since", "seen_by"]), st.text(max_size=9)))
def test_garble_never_passes(facts: dict[str, str]) -> None:
    found = judged(CONFIGURED, SENT, Reading("receipts", "leader", facts=facts))
    if found.status is Status.PASS:
        assert 0 <= NOW - float(facts["newest"]) <= 60
