"""Patterns that sites write: which are taken, and that none of those takes long, whatever the line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.model import linepattern


@pytest.mark.parametrize(
    ("pattern", "wide"),
    [
        (r"^status='connected'", 0),
        (r"^\s*(\d+)\s+([0-9]+)\s+(\d+)$", 0),
        (r"a\.*b.{0,20}c[.]+d\)*", 0),
        (r"rfm-state *= *false", 0),
        (r"^(up|down): .*$", 1),
        (r"[^,]*,\S+", 2),
        (r"(a|b)?[\S ]+.{300}", 1),
        (r".{3,}.{1,99}", 2),
        (r"[]*].+", 1),
        (r"([0-9]+)([0-9]+)x", 2),
        (r"[^]*]+", 1),
    ],
)
def test_wide_repeats(pattern: str, wide: int) -> None:
    assert linepattern.wide(pattern) == wide
    assert linepattern.problem(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "1 to 500 characters"),
        ("a" * 501, "1 to 500 characters"),
        ("(a+)+b", "no bracket is repeated"),
        ("(a|aa)*b", "no bracket is repeated"),
        ("(a|aa){40}b", "no bracket is repeated"),
        ("(?:ab){2,}", "no bracket is repeated"),
        ("a.*b.*c.*d", "two repeats at most"),
        ("(x+)x+x*b", "two repeats at most"),
        ("(", "missing )"),
        ("a{99999999999}", "too large"),
        ("\\", "bad escape"),
    ],
)
def test_what_is_not_taken(pattern: str, why: str) -> None:
    assert why in linepattern.problem(pattern)
    with pytest.raises(ValueError, match=r".+"):
        linepattern.first(pattern, ["x"])


def test_the_first_line_that_has_it() -> None:
    found = linepattern.first("b=([0-9]+)", ["a=1", "b=2 x", "b=3"])
    assert found is not None
    assert (found[1], found.string) == ("2", "b=2 x")
    assert linepattern.first("c", ["a", "b"]) is None
    assert linepattern.first("z", ["a" * 4000 + "z"]) is None
    assert linepattern.first("a.*z", ["a" * 2000 + "z"]) is None


@pytest.mark.parametrize(
    "pattern", [r"a.*b.*d", r"\S+x\S+y", r"[0-9]+x", r"a.*d", r"[0-9]+[0-9]+x", r".*.*q"]
)
def test_no_line_takes_long(pattern: str) -> None:
    """64 KiB of the worst that we know of."""
    lines = ["a" * 80 + "b" * 80 + "c" * 4000, "a" * 4400, "1" * 4400, "ax" * 2200] * 4
    lines += ["a" * 250] * 200
    began = time.thread_time()
    assert linepattern.first(pattern, lines) is None
    assert time.thread_time() - began < 10.0


@given(st.text("ab.*+?()[]{}^$|\\,019Swd-", max_size=30))
def test_any_text_is_taken_or_not(pattern: str) -> None:
    if not linepattern.problem(pattern):
        linepattern.first(pattern, ["ab", ""])
