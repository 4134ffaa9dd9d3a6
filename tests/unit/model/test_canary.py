"""A canary is found where it was written, whatever a log puts around it, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.model import canary
from hullmark.model.canary import Canary

NONCE = "0123456789abcdef0123456789abcdef"
TEXT = canary.make("alpha.example", NONCE)


@pytest.mark.parametrize(
    "log",
    [
        TEXT,
        f"2026-11-29T12:00:00+00:00 alpha hullmark[77]: {TEXT}\n",
        f"type=USER msg=audit(1796000000.123:77): pid=9 uid=0 msg='{TEXT} exe=\"/sbin/auditctl\"'",
        f'{{"MESSAGE":"{TEXT}"}}',
    ],
)
def test_found_in_a_log(log: str) -> None:
    assert canary.find(log) == (Canary("alpha.example", NONCE),)


def test_all_of_them_are_found_in_order() -> None:
    other = NONCE[::-1]
    found = canary.find(f"{TEXT}\nanother line\n{canary.make('beta', other)}")
    assert found == (Canary("alpha.example", NONCE), Canary("beta", other))


@pytest.mark.parametrize("cut", [TEXT[:20], TEXT[: TEXT.index(NONCE) + 31], NONCE, TEXT[9:], ""])
def test_a_part_is_none(cut: str) -> None:
    assert canary.find(cut) == ()


def test_it_says_what_it_is() -> None:
    assert canary.make("alpha", NONCE) == (
        f"hullmark-canary host=alpha nonce={NONCE} - synthetic test, no action needed"
    )


@given(st.text(max_size=300))
def test_any_host_gives_one_line_that_is_found(host: str) -> None:
    text = canary.make(host, NONCE)
    assert len(text.splitlines()) == 1
    assert [each.nonce for each in canary.find(text)] == [NONCE]
