"""Readers of what a controls file gives a check, one for each form. Each raises ValueError with what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hullmark.config import values
from hullmark.model import linepattern
from hullmark.model.checkkinds import Form, Parameter

ITEMS_MOST = 100
TEXT_MOST = 2000
DURATION_MOST_S = 400 * 86400.0
NUMBER_MOST = 1 << 53


def read(parameter: Parameter, value: Any) -> object:
    """Lists as tuples, durations as seconds, modes as numbers. Raises ValueError."""
    if parameter.form is Form.CHOICE:
        return values.choice(*parameter.choices)(value)
    if parameter.bounds is not None:
        return values.number(*parameter.bounds)(value)
    found = _BY_FORM[parameter.form](value)
    if parameter.holds and not any(parameter.holds in one for one in value):
        raise ValueError(f"{parameter.form.value} with {parameter.holds} in one of them")
    return found


def text(value: Any) -> str:
    """Of one line."""
    if isinstance(value, str) and 0 < len(value) <= TEXT_MOST and value.isprintable():
        return value
    raise ValueError("text of one line")


def paragraph(value: Any) -> str:
    """Text that may have had several lines; they become one."""
    if isinstance(value, str) and 0 < len(value) <= TEXT_MOST:
        flat = " ".join(value.split())
        if flat and flat.isprintable():
            return flat
    raise ValueError(f"text of at most {TEXT_MOST} characters")


def yes_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(Form.YES_NO.value)


def number(value: Any) -> int:
    if type(value) is int and abs(value) <= NUMBER_MOST:
        return int(value)
    raise ValueError(Form.NUMBER.value)


def path(value: Any) -> str:
    found = values.path(value)
    if ".." in found.split("/") or len(found) > TEXT_MOST:
        raise ValueError("an absolute path without ..")
    return found


def pattern(value: Any) -> str:
    why = linepattern.problem(value) if isinstance(value, str) else "text"
    if why:
        raise ValueError(f"a regular expression of Python's: {why}")
    return str(value)


def mode(value: Any) -> int:
    """Its bits. `0640` is octal in our YAML; `640` is not, and most such numbers can be told by their size."""
    form = "a file mode in octal, such as 0640"
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3,4}", value):
        return int(value, 8)
    if type(value) is int and 0 <= value <= 0o777:
        return int(value)
    raise ValueError(form)


def duration(value: Any) -> float:
    """Seconds."""
    try:
        return values.duration(0.0, DURATION_MOST_S)(value)
    except ValueError:
        raise ValueError(f"{Form.DURATION.value}; at most 400d") from None


def several(one: Callable[[Any], Any], form: str) -> Callable[[Any], tuple[Any, ...]]:
    """A list of at least one."""

    def read_all(value: Any) -> tuple[Any, ...]:
        allowed = f"{form}, of 1 to {ITEMS_MOST}"
        if not isinstance(value, list) or not 0 < len(value) <= ITEMS_MOST:
            raise ValueError(allowed)
        try:
            return tuple(one(item) for item in value)
        except ValueError as error:
            raise ValueError(f"{allowed}; each: {error}") from None

    return read_all


_BY_FORM: Mapping[Form, Callable[[Any], object]] = {
    Form.TEXT: text,
    Form.TEXTS: several(text, Form.TEXTS.value),
    Form.PATH: path,
    Form.PATHS: several(path, Form.PATHS.value),
    Form.NUMBER: number,
    Form.NUMBERS: several(number, Form.NUMBERS.value),
    Form.DURATION: duration,
    Form.PATTERN: pattern,
    Form.MODE: mode,
    Form.YES_NO: yes_no,
}
