"""`$NAME` and `${NAME...}` in text (Compose Specification, "Interpolation").

Text is parsed once, front to back, and only the branch that is taken is evaluated, so that nested
defaults cost what they are long. Messages never show the text itself: it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from hullmark.document import ListValue, MapValue, Tagged, problem_at
from hullmark.errors import InvalidInput, Problem

MAX_NESTING = 20
MAX_TEXT = 4 << 20
"""Characters that all replaced values of one load may come to: four times the largest file."""

MAX_VARIABLES = 100_000
"""As many as a file may hold values."""

FORMS = "$NAME, ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other}, $$ for a dollar sign"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_SPECIAL = re.compile(r"[${}]")


class Malformed(ValueError):
    """Text that can't be filled in. `message` says why, `allowed` what could stand there."""

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed


class TooLong(Malformed):
    """All texts together have become too long: no more are filled in."""


@dataclass(frozen=True)
class _Variable:
    name: str
    operator: str
    word: tuple[Union[str, _Variable], ...]


_Part = Union[str, _Variable]


class Filler:
    """Replaces variables by what `lookup` gives for their names (None: not set). `unset` names those
    that the last text needed and that became empty."""

    def __init__(self, lookup: Callable[[str], Optional[str]], most: int = MAX_TEXT) -> None:
        self._lookup = lookup
        self._left = most
        self._variables_left = MAX_VARIABLES
        self.unset: list[str] = []

    def fill(self, text: str) -> str:
        """The text with values. Raises Malformed."""
        self.unset = []
        if "$" not in text:
            return text
        self._variables_left -= text.count("$")
        if self._variables_left < 0:
            raise TooLong("too many variables", f"{MAX_VARIABLES} in all")
        out: list[str] = []
        self._write(_parse(text), out)
        return "".join(out)

    def _write(self, parts: tuple[_Part, ...], out: list[str]) -> None:
        for part in parts:
            if isinstance(part, str):
                self._put(part, out)
                continue
            value = self._lookup(part.name)
            lacking = value is None or (part.operator.startswith(":") and value == "")
            kind = part.operator[-1:]
            if kind == "+":
                self._write(() if lacking else part.word, out)
            elif not lacking:
                self._put(value or "", out)
            elif kind == "-":
                self._write(part.word, out)
            elif kind == "?":
                raise self._required(part, value)
            else:
                self.unset.append(part.name)

    def _put(self, text: str, out: list[str]) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooLong("variables make the text too long", f"{MAX_TEXT >> 20} MiB in all")
        out.append(text)

    def _required(self, part: _Variable, value: Optional[str]) -> Malformed:
        out: list[str] = []
        self._write(part.word, out)
        state = "not set" if value is None else "empty"
        said = "".join(out)[:200]
        return Malformed(f"variable {part.name} is {state}" + (f": {said}" if said else ""))


def _parse(text: str) -> tuple[_Part, ...]:
    parts, _ = _parse_word(text, 0, 0)
    return parts


def _parse_word(text: str, at: int, depth: int) -> tuple[tuple[_Part, ...], int]:
    """Parts up to the end of the text or, inside of braces, to behind the brace that closes."""
    parts: list[_Part] = []
    braces = 0
    while True:
        found = _SPECIAL.search(text, at)
        if found is None:
            if depth:
                raise Malformed("`${` without its `}`", FORMS)
            parts.append(text[at:])
            return tuple(parts), len(text)
        parts.append(text[at : found.start()])
        at = found.end()
        if found.group() == "$":
            part, at = _parse_dollar(text, at, depth)
            parts.append(part)
        elif found.group() == "}" and depth and not braces:
            return tuple(parts), at
        else:
            braces += 1 if found.group() == "{" else -1
            parts.append(found.group())


def _parse_dollar(text: str, at: int, depth: int) -> tuple[_Part, int]:
    """What begins behind a dollar sign."""
    if text.startswith("$", at):
        return "$", at + 1
    if text.startswith("{", at):
        return _parse_braces(text, at + 1, depth + 1)
    name = _NAME.match(text, at)
    if name is None:
        raise Malformed("`$` begins no variable", FORMS)
    return _Variable(name.group(), "", ()), name.end()


def _parse_braces(text: str, at: int, depth: int) -> tuple[_Part, int]:
    if depth > MAX_NESTING:
        raise Malformed(f"variables nested deeper than {MAX_NESTING} levels")
    name = _NAME.match(text, at)
    if name is None:
        raise Malformed("`${` is followed by no variable name", FORMS)
    if text.startswith("}", name.end()):
        return _Variable(name.group(), "", ()), name.end() + 1
    operator = _OPERATOR.match(text, name.end())
    if operator is None:
        seen = text[name.end() : name.end() + 1]
        what = f"is followed by {seen!r}" if seen else "has no `}`"
        raise Malformed(f"`${{{name.group()}` {what}", FORMS)
    word, end = _parse_word(text, operator.end(), depth)
    return _Variable(name.group(), operator.group(), word), end


@dataclass
class Notes:
    """What filling in documents has shown, in the order found."""

    problems: list[Problem] = field(default_factory=list)
    unset: list[Problem] = field(default_factory=list)


def fill_document(document: MapValue, filler: Filler, notes: Notes) -> MapValue:
    """A copy with the variables of all values replaced; keys stay. Top-level `x-*` keys, which nothing
    reads, are left out. Raises InvalidInput where variables make the text too long."""
    out = MapValue(document.file, document.line)
    for key, value in document.items():
        if not key.startswith("x-") or key == "x-hullmark":
            filled = _filled(value, _Place(document, key, key), filler, notes)
            out.put(key, filled, document.lines[key], document.files[key])
    return out


@dataclass(frozen=True)
class _Place:
    container: Union[MapValue, ListValue]
    key: Union[str, int]
    field: str


def _filled(value: Any, place: _Place, filler: Filler, notes: Notes) -> Any:
    if isinstance(value, Tagged):
        return Tagged(value.tag, _filled(value.value, place, filler, notes))
    if isinstance(value, MapValue):
        mapping = MapValue(value.file, value.line)
        for key, item in value.items():
            inner = _Place(value, key, f"{place.field}.{key}")
            filled = _filled(item, inner, filler, notes)
            mapping.put(key, filled, value.lines[key], value.files[key])
        return mapping
    if isinstance(value, ListValue):
        items = ListValue(value.file, value.line)
        for index, item in enumerate(value):
            inner = _Place(value, index, f"{place.field}[{index}]")
            filled = _filled(item, inner, filler, notes)
            items.put(filled, value.lines[index], value.files[index])
        return items
    return _filled_text(value, place, filler, notes) if isinstance(value, str) else value


def _filled_text(text: str, place: _Place, filler: Filler, notes: Notes) -> str:
    if "$" not in text:
        return text
    try:
        filled = filler.fill(text)
    except Malformed as error:
        problem = problem_at(place.container, place.key, place.field, error.message, error.allowed)
        if isinstance(error, TooLong):
            raise InvalidInput([problem]) from error
        notes.problems.append(problem)
        return ""
    for name in filler.unset:
        message = f"variable {name} is not set: left empty"
        notes.unset.append(problem_at(place.container, place.key, place.field, message))
    return filled
