"""Readers of single values: properties of sizes, durations and numbers, and their edges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.compose import forms, values
from hullmark.document import parse

UNITS = {"b": 0, "k": 10, "kb": 10, "K": 10, "m": 20, "MiB": 20, "g": 30, "GB": 30}


@given(st.integers(0, 1 << 20), st.sampled_from(sorted(UNITS)))
def test_sizes_are_powers_of_1024(amount: int, unit: str) -> None:
    assert values.size(forms.BYTES)(f"{amount}{unit}") == amount << UNITS[unit]


@given(st.integers(0, 1 << 50))
def test_a_size_without_a_unit_is_bytes(amount: int) -> None:
    read = values.size(forms.BYTES)
    assert read(amount) == read(str(amount)) == amount


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    read = values.duration(forms.DURATION)
    total = hours * 3600 + minutes * 60 + seconds + millis / 1000
    assert read(f"{hours}h{minutes}m{seconds}s{millis}ms") == pytest.approx(total)


@given(st.text())
def test_any_text_is_read_or_refused_with_what_is_allowed(text: str) -> None:
    readers: list[Any] = [
        values.size(forms.BYTES),
        values.duration(forms.DURATION),
        values.whole(forms.REPLICAS),
        values.number(forms.CPUS),
        values.mode(forms.FILE_MODE),
        values.boolean,
        values.words,
        values.text(forms.USER),
    ]
    said = []
    for read in readers:
        try:
            read(text)
        except ValueError as error:
            said.append(str(error))
    assert all(said)


@given(st.integers(-(10**6), 10**6))
def test_numbers_are_read_from_text_too(number: int) -> None:
    form = forms.between(-(10**6), 10**6)
    assert values.whole(form)(str(number)) == values.whole(form)(number) == number
    assert values.number(form)(f"{number}.0") == number


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (values.size(forms.MEMORY), "1.5g", 3 << 29),
        (values.size(forms.MEMORY), "64 m", 64 << 20),
        (values.size(forms.MEMORY_SWAP), "-1", -1),
        (values.size(forms.MEMORY_SWAP), -1, -1),
        (values.duration(forms.DURATION), "1m30s", 90.0),
        (values.duration(forms.DURATION), "1.5h", 5400.0),
        (values.duration(forms.DURATION), 0, 0.0),
        (values.duration(forms.DURATION), "1d", 86400.0),
        (values.mode(forms.FILE_MODE), 0o440, 0o440),
        (values.mode(forms.FILE_MODE), "0440", 0o440),
        (values.mode(forms.FILE_MODE), "0o440", 0o440),
        (values.boolean, "Yes", True),
        (values.boolean, "off", False),
        (values.whole(forms.PORT), "80", 80),
        (values.whole(forms.PORT), 80.0, 80),
        (values.scalar, 1.0, "1"),
        (values.scalar, 0.5, "0.5"),
        (values.scalar, True, "true"),
        (values.scalar, 1e21, "1e+21"),
        (values.text(forms.USER), 1000, "1000"),
        (values.words, "sh -c 'echo \"a b\" c'", ("sh", "-c", 'echo "a b" c')),
        (values.words, "", ()),
        (values.words, r"a\ b", ("a b",)),
        (values.capability(forms.CAPABILITY), "cap_net_admin", "NET_ADMIN"),
    ],
)
def test_read(reader: Any, value: Any, read: Any) -> None:
    found = reader(value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("reader", "value", "allowed"),
    [
        (values.size(forms.MEMORY), "5m", "at least 6m"),
        (values.size(forms.BYTES), "5x", "such as 64m"),
        (values.size(forms.BYTES), "-1", "such as 64m"),
        (values.size(forms.BYTES), True, "such as 64m"),
        (values.size(forms.BYTES), "9" * 30, "such as 64m"),
        (values.duration(forms.DURATION), "10", "such as 10s"),
        (values.duration(forms.DURATION), 10, "such as 10s"),
        (values.duration(forms.DURATION), "25h", "24h"),
        (values.duration(forms.DURATION), "-1s", "0s to 24h"),
        (values.duration(forms.DURATION), False, "0s to 24h"),
        (values.duration(forms.CHECK_DURATION), "0s", "1ms"),
        (values.mode(forms.FILE_MODE), "888", "in octal"),
        (values.mode(forms.FILE_MODE), 0o1777, "0000 to 0777"),
        (values.boolean, 1, "true or false"),
        (values.boolean, "maybe", "true or false"),
        (values.whole(forms.PORT), 80.5, "1 to 65535"),
        (values.whole(forms.PORT), True, "1 to 65535"),
        (values.whole(forms.REPLICAS), float("nan"), "0 to 5000"),
        (values.number(forms.CPUS), float("inf"), "cores"),
        (values.number(forms.CPUS), "1e400", "cores"),
        (values.scalar, None, "text"),
        (values.scalar, "a\0b", "NUL"),
        (values.scalar, "\ud800", "text"),
        (values.scalar, "a" * (129 << 10), "128 KiB"),
        (values.words, "echo 'a", "every quote is closed"),
        (values.words, 5, "a list of words"),
        (values.text(forms.USER), True, "USER"),
        (values.capability(forms.CAPABILITY), "FLY", "NET_ADMIN"),
    ],
)
def test_refused(reader: Any, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        reader(value)


def test_lists_of_words_may_hold_numbers() -> None:
    assert values.words(parse(b"[sleep, 10, true, 0.5]", "f")) == ("sleep", "10", "true", "0.5")
