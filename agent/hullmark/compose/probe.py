"""Collects what is wrong with an app, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from hullmark.compose.forms import KEY, TEXT, Form
from hullmark.errors import Problem
from hullmark.model.wire import describe

T = TypeVar("T")

MAX_PROBLEMS = 100
"""Nobody reads more, and an answer has to stay small."""


class Probe:
    """`problems` has the first ones found, in order. Values of variables are never quoted."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, field: str, message: str, allowed: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, field=_short(field), allowed=allowed))

    def form(self, field: str, value: Any, form: Form, *, private: bool = False) -> None:
        if not form.holds(value):
            shown = "this value" if private else describe(value)
            self.wrong(field, f"{shown} does not fit here", form.allowed)

    def each(self, field: str, values: tuple[Any, ...], form: Form) -> None:
        for index, value in enumerate(values):
            self.form(f"{field}[{index}]", value, form)

    def pairs(self, field: str, values: Mapping[str, str], form: Form) -> None:
        """A mapping of text; `form` is of its names."""
        for name, value in values.items():
            if form.holds(name):
                self.form(f"{field}.{name}", value, TEXT, private=True)
            else:
                self.wrong(field, f"{describe(name)} does not fit here", form.allowed)

    def named(
        self, field: str, values: Mapping[str, T], form: Form = KEY
    ) -> Iterator[tuple[str, T]]:
        """The entries whose names fit."""
        for name, value in values.items():
            if form.holds(name):
                yield name, value
            else:
                self.wrong(field, f"{describe(name)} is not a name that fits here", form.allowed)


def _short(field: str) -> str:
    return field if len(field) <= 300 else f"{field[:297]}..."
