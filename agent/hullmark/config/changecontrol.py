"""The change control document as a file: YAML, each value with its file and line.

    timezone: Europe/Berlin          # of freeze windows; UTC where it isn't said
    pending_for: 24h
    break_glass_at_most: 4h
    freezes:
      nights: {daily: 22:00-06:00, days: [mon, tue, wed, thu, fri]}
      year-end: {begins: 2026-12-20T00:00, ends: 2027-01-04T06:00}
    rules:
      - name: cardholder apps
        apps: [shop, pay-*]
        changes: [apply, remove]
        ticket: CHG-[0-9]+
        approval: true
        freeze: [nights, year-end]

What names, patterns and times have to be like is judged by the master (`core/controlcheck`); `Read.placed` gives its words the
file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hullmark.config.places import Place, placed
from hullmark.document import ListValue, MapValue, line_of, problem_at, read_mapping
from hullmark.errors import InvalidInput, Problem
from hullmark.model.changecontrol import ControlDocument, ControlRule, FreezeWindow
from hullmark.model.durations import in_seconds

Reader = Callable[[Any], Any]


@dataclass(frozen=True)
class Read:
    """`places`: where each field stands."""

    document: ControlDocument
    places: Mapping[str, Place]

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """A master's problems, which have a field each, with file and line of it or of what it is in."""
        return placed(problems, self.places, "document")


def load_change_control(file: str) -> Read:
    """Raises InvalidInput with every problem found."""
    reading = _Reading()
    document = reading.document(read_mapping(file))
    if reading.problems:
        raise InvalidInput(reading.problems)
    return Read(document, reading.places)


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("text")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("a list of texts, such as [a, b]")


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _duration(value: Any) -> float:
    seconds = in_seconds(value) if isinstance(value, str) else None
    if seconds is None:
        raise ValueError("a duration such as 24h")
    return seconds


def _any(value: Any) -> Any:
    return value


_DOCUMENT: Mapping[str, Reader] = {
    "timezone": _text,
    "pending_for": _duration,
    "break_glass_at_most": _duration,
    "freezes": _any,
    "rules": _any,
}
_RULE: Mapping[str, Reader] = {
    "name": _text,
    "apps": _texts,
    "changes": _texts,
    "ticket": _text,
    "approval": _yes_or_no,
    "freeze": _texts,
}
_WINDOW: Mapping[str, Reader] = {
    "daily": _text,
    "days": _texts,
    "begins": _text,
    "ends": _text,
    "timezone": _text,
}
_FIELDS = {"pending_for": "pending_for_s", "break_glass_at_most": "break_glass_most_s"}


class _Reading:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}

    def document(self, found: MapValue) -> ControlDocument:
        self.places[""] = line_of(found)
        values = self._values(found, "", _DOCUMENT)
        rules, freezes = values.pop("rules", ()), values.pop("freezes", {})
        return ControlDocument(
            rules=tuple(self._rules(rules, found)),
            freezes=tuple(self._windows(freezes, found)),
            **{_FIELDS.get(key, key): value for key, value in values.items()},
        )

    def _rules(self, found: Any, within: MapValue) -> Iterable[ControlRule]:
        if not isinstance(found, (list, tuple)):
            self._wrong(within, "rules", "rules", "bad value", "a list of rules")
            return
        for index, item in enumerate(found):
            field = f"rules[{index}]"
            if not isinstance(item, MapValue):
                self._wrong(found, index, field, "bad value", "KEY: VALUE lines")
                continue
            self.places[field] = line_of(found, index)
            values = self._values(item, f"{field}.", _RULE)
            if "name" not in item:
                self._wrong(found, index, field, "a rule without a name", "name: TEXT")
            yield ControlRule(values.pop("name", ""), **values)

    def _windows(self, found: Any, within: MapValue) -> Iterable[FreezeWindow]:
        if not isinstance(found, dict):
            self._wrong(within, "freezes", "freezes", "bad value", "NAME: windows")
            return
        for name, item in found.items():
            field = f"freezes.{name}"
            if not isinstance(item, MapValue):
                self._wrong(found, name, field, "bad value", "KEY: VALUE lines")
                continue
            self.places[field] = line_of(found, name)
            yield FreezeWindow(name, **self._values(item, f"{field}.", _WINDOW))

    def _values(self, found: MapValue, at: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
        values = {}
        for key, value in found.items():
            field = f"{at}{key}"
            self.places[field] = line_of(found, key)
            if isinstance(value, ListValue):
                for index in range(len(value)):
                    self.places[f"{field}[{index}]"] = line_of(value, index)
            reader = readers.get(key)
            if reader is None:
                self._wrong(found, key, field, "unknown key", ", ".join(readers))
                continue
            try:
                values[key] = reader(value)
            except ValueError as error:
                self._wrong(found, key, field, "bad value", str(error))
        return values

    def _wrong(self, container: object, key: Any, field: str, message: str, allowed: str) -> None:
        self.problems.append(problem_at(container, key, field, message, allowed))
