"""The mark as a file: YAML, each value with its file and line.

    require:                  # what a host has to prove before it gets new work
      - audit-trail           # a control, or a function of which one control is enough
      - control: time
        level: 3              # the least that it has to prove; without it any pass will do
    brake: 20%                # where more of the hosts fail one control, a person decides
    drain: false              # true: what may run elsewhere leaves a host that fails
    drain_after: 5m           # once it has failed for so long

Which names and numbers can be meant is judged by the master (`core/loadlinecheck`); `Read.placed` gives its words the file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hullmark.config.places import Place, placed
from hullmark.document import ListValue, MapValue, line_of, problem_at, read_mapping
from hullmark.errors import InvalidInput, Problem
from hullmark.model.durations import in_seconds
from hullmark.model.loadline import LoadLine, Required


@dataclass(frozen=True)
class Read:
    """`places`: where each field stands."""

    line: LoadLine
    places: Mapping[str, Place]

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """A master's problems, which have a field each, with file and line of it or of what it is in."""
        return placed(problems, self.places, "line")


def load_mark(file: str) -> Read:
    """Raises InvalidInput with every problem found."""
    reading = _Reading()
    line = reading.line(read_mapping(file))
    if reading.problems:
        raise InvalidInput(reading.problems)
    return Read(line, reading.places)


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _duration(value: Any) -> float:
    seconds = in_seconds(value) if isinstance(value, str) else None
    if seconds is None:
        raise ValueError("a duration such as 5m")
    return seconds


def _share(value: Any) -> float:
    """`20%`, or `0.2`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(value, str)
        and value.endswith("%")
        and value[:-1].replace(".", "", 1).isdecimal()
    ):
        return float(value[:-1]) / 100
    raise ValueError("a share of the hosts, such as 20%")


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "brake": ("brake", _share),
    "drain": ("drain", _yes_or_no),
    "drain_after": ("drain_after_s", _duration),
}
_KEYS = ("require", *_READERS)
_CONTROL = "a control or a function, such as audit-trail"


class _Reading:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}

    def line(self, found: MapValue) -> LoadLine:
        self.places[""] = line_of(found)
        values: dict[str, Any] = {}
        for key, value in found.items():
            self.places[key] = line_of(found, key)
            if key == "require":
                values[key] = tuple(self._required(value, found))
            elif key in _READERS:
                name, reader = _READERS[key]
                try:
                    values[name] = reader(value)
                except ValueError as error:
                    self._wrong(found, key, key, "bad value", str(error))
            else:
                self._wrong(found, key, key, "unknown key", ", ".join(_KEYS))
        return LoadLine(**values)

    def _required(self, found: Any, within: MapValue) -> Iterator[Required]:
        if not isinstance(found, ListValue):
            self._wrong(within, "require", "require", "bad value", "a list of controls")
            return
        for index, item in enumerate(found):
            field = f"require[{index}]"
            self.places[field] = line_of(found, index)
            if isinstance(item, str):
                yield Required(item)
            elif isinstance(item, MapValue):
                yield self._one(item, field, found, index)
            else:
                self._wrong(found, index, field, "bad value", _CONTROL)

    def _one(self, item: MapValue, field: str, within: ListValue, index: int) -> Required:
        for key in item:
            self.places[f"{field}.{key}"] = line_of(item, key)
            if key not in ("control", "level"):
                self._wrong(item, key, f"{field}.{key}", "unknown key", "control, level")
        control, level = item.get("control", ""), item.get("level", 0)
        if not isinstance(control, str) or not control:
            there = "control" in item
            holder, at = (item, "control") if there else (within, index)
            self._wrong(holder, at, f"{field}.control", "no control is named", _CONTROL)
        if type(level) is not int:
            self._wrong(item, "level", f"{field}.level", "bad value", "a whole number")
            level = 0
        return Required(str(control), level)

    def _wrong(self, container: object, key: Any, field: str, message: str, allowed: str) -> None:
        self.problems.append(problem_at(container, key, field, message, allowed))
