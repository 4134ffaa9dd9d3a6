"""Plain dicts and lists that remember where they stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

from hullmark.errors import Problem


class MapValue(dict[str, Any]):
    """A mapping with the line of each key (`lines`) and its own first line, counted from 1."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}
        self.files: dict[str, str] = {}

    def put(self, key: str, value: Any, line: int, file: str = "") -> None:
        """Set a value with where it stands; `file` where that is another than the mapping's."""
        self[key] = value
        self.lines[key] = line
        self.files[key] = file or self.file

    def drop(self, key: str) -> None:
        """Take a key away, if it is there."""
        if key in self:
            del self[key], self.lines[key], self.files[key]


class ListValue(list[Any]):
    """A list with the line of each item."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: list[int] = []
        self.files: list[str] = []

    def put(self, value: Any, line: int, file: str = "") -> None:
        self.append(value)
        self.lines.append(line)
        self.files.append(file or self.file)

    def replace(self, index: int, value: Any, line: int, file: str) -> None:
        self[index] = value
        self.lines[index] = line
        self.files[index] = file


@dataclass(frozen=True)
class Tagged:
    """A value with a tag that the caller allowed, such as `!reset`."""

    tag: str
    value: Any


def line_of(container: object, key: Union[str, int, None] = None) -> tuple[str, Optional[int]]:
    """(file, line) of a key or item, or of the container itself; ("", None) where it isn't known."""
    if isinstance(container, MapValue):
        if isinstance(key, str) and key in container.lines:
            return container.files[key], container.lines[key]
        return container.file, container.line
    if isinstance(container, ListValue):
        if isinstance(key, int) and key < len(container.lines):
            return container.files[key], container.lines[key]
        return container.file, container.line
    return "", None


def problem_at(
    container: object, key: Union[str, int, None], field: str, message: str, allowed: str = ""
) -> Problem:
    """A problem with the place of a key or item."""
    file, line = line_of(container, key)
    return Problem(message, file=file, line=line, field=field, allowed=allowed)
