"""Readers of single values. Each takes a YAML value and raises ValueError saying what is allowed.

A variable's value is text, so numbers and truth values are read from text as well.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from hullmark.compose.forms import TEXT, Form
from hullmark.document import ListValue
from hullmark.model.durations import in_seconds

_TRUE = {"true", "yes", "on", "y"}
_FALSE = {"false", "no", "off", "n"}
_NUMBER = re.compile(r"[-+]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})")
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?(?:b|([kmgtp])(?:i?b)?)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def scalar(value: Any) -> str:
    """Any single value as text, as Compose writes it: `true`, `1`, `0.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str) and TEXT.holds(value):
        return value
    raise ValueError(TEXT.allowed)


def text(form: Form) -> Callable[[Any], str]:
    """Text of a form; a whole number counts as its digits."""

    def read(value: Any) -> str:
        if (isinstance(value, str) or type(value) is int) and form.holds(str(value)):
            return str(value)
        raise ValueError(form.allowed)

    return read


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("true or false")


def whole(form: Form) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _number(value)
        if number is not None and number == int(number) and form.holds(int(number)):
            return int(number)
        raise ValueError(form.allowed)

    return read


def number(form: Form) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        found = _number(value)
        if found is not None and form.holds(found):
            return float(found)
        raise ValueError(form.allowed)

    return read


def _number(value: Any) -> Any:
    """An int or a float, or None for what is no finite number."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return None


def mode(form: Form) -> Callable[[Any], int]:
    """Permission bits: a number as YAML reads it (`0440` is octal there), or octal digits as text."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"(0o)?[0-7]{1,6}", value):
            value = int(value.replace("o", ""), 8)
        if type(value) is int and form.holds(value):
            return int(value)
        raise ValueError(f"{form.allowed}, in octal")

    return read


def duration(form: Form) -> Callable[[Any], float]:
    """Seconds, from text such as `1m30s`; units are us, ms, s, m, h, d and w."""

    def read(value: Any) -> float:
        if (value == "0" or (type(value) is int and value == 0)) and form.holds(0.0):
            return 0.0
        seconds = in_seconds(value) if isinstance(value, str) else None
        if seconds is not None and form.holds(seconds):
            return seconds
        raise ValueError(form.allowed)

    return read


def size(form: Form) -> Callable[[Any], int]:
    """Bytes, from a number of them or from text such as `64m` or `1.5gb`; k is 1024."""

    def read(value: Any) -> int:
        if type(value) is int and form.holds(value):
            return int(value)
        if value == "-1" and form.holds(-1):
            return -1
        if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
            amount, unit = found.groups(default="")
            factor = _FACTORS[unit.lower()]
            bytes_ = int(float(amount) * factor) if "." in amount else int(amount) * factor
            if form.holds(bytes_):
                return bytes_
        raise ValueError(form.allowed)

    return read


def choice(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise ValueError(", ".join(words))

    return read


def words(value: Any) -> tuple[str, ...]:
    """A command: a list as it is, text split as a shell does."""
    if isinstance(value, ListValue):
        return tuple(map(scalar, value))
    if isinstance(value, str) and TEXT.holds(value):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError("text in which every quote is closed, or a list of words") from None
    raise ValueError("text, or a list of words")


def capability(form: Form) -> Callable[[Any], str]:
    """The name as the kernel has it, without CAP_ and in capitals."""

    def read(value: Any) -> str:
        name = value.upper() if isinstance(value, str) else ""
        name = name[4:] if name.startswith("CAP_") else name
        if form.holds(name):
            return name
        raise ValueError(form.allowed)

    return read


def pairs(item: str, separators: Sequence[str] = ("=",)) -> tuple[str, str, bool]:
    """(name, value, whether there was one) of `NAME=VALUE`, cut at the first separator found."""
    for separator in separators:
        name, found, value = item.partition(separator)
        if found:
            return name, value, True
    return item, "", False
