"""A route: what a port answers at one path, who may ask, and what it takes and gives."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from hullmark.errors import InvalidInput, NotFound, Problem
from hullmark.masterd.answers import WrongMethod
from hullmark.masterd.desk import Call, Desk

SMALL_BODY_MAX_BYTES = 16 << 10

Handler = Callable[[Desk, Call], Awaitable[Any]]
Value = Union[str, int, float, bool]


class Login(enum.Enum):
    """Who may ask."""

    NOBODY = "nobody"
    PERSON = "person"
    LOCAL = "local"  # a person on the Unix socket
    HOST = "host"


@dataclass(frozen=True)
class Parameter:
    """One of the query. Its type is its default's; numbers have bounds."""

    name: str
    default: Value
    meaning: str
    least: float = 0
    most: float = 1 << 62

    def read(self, text: str) -> Value:
        """Raises ValueError with what is allowed."""
        if isinstance(self.default, bool):
            if text not in ("true", "false"):
                raise ValueError("true or false")
            return text == "true"
        if isinstance(self.default, str):
            return text
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        allowed = f"{kind} from {self.least:g} to {self.most:g}"
        try:
            value = int(text[:20]) if isinstance(self.default, int) else float(text[:40])
        except ValueError:
            raise ValueError(allowed) from None
        if not self.least <= value <= self.most:
            raise ValueError(allowed)
        return value


@dataclass(frozen=True)
class Route:
    """`path` has names in braces. `answer` is a dataclass; with `lines` the answer is one on each line.
    `streams`: the handler reads the body itself. `careful`: failures are slowed down."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Optional[type] = None
    body: Optional[type] = None
    login: Login = Login.PERSON
    query: tuple[Parameter, ...] = ()
    body_max_bytes: int = SMALL_BODY_MAX_BYTES
    lines: bool = False
    streams: bool = False
    careful: bool = False

    def match(self, parts: Sequence[str]) -> Optional[dict[str, str]]:
        """The names of the path, or None where it is another's."""
        own = self.path.split("/")
        if len(own) != len(parts):
            return None
        found = {}
        for expected, part in zip(own, parts):
            if expected.startswith("{") and part:
                found[expected.strip("{}")] = part
            elif expected != part:
                return None
        return found

    def read_query(self, given: Sequence[tuple[str, str]]) -> dict[str, Value]:
        """Raises InvalidInput."""
        known = {parameter.name: parameter for parameter in self.query}
        values = {parameter.name: parameter.default for parameter in self.query}
        problems = []
        for name, text in given:
            if name not in known:
                allowed = ", ".join(known) or "none here"
                problems.append(Problem("unknown parameter", field=name[:64], allowed=allowed))
                continue
            try:
                values[name] = known[name].read(text)
            except ValueError as error:
                problems.append(Problem("bad value", field=name, allowed=str(error)))
        if problems:
            raise InvalidInput(problems)
        return values


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Raises NotFound, or WrongMethod where only the method differs."""
    parts = path.split("/")
    allowed = []
    for route in routes:
        names = route.match(parts)
        if names is not None:
            if route.method == method:
                return route, names
            allowed.append(route.method)
    if allowed:
        raise WrongMethod(f"{method[:16]} is not possible here", remedy=f"use {', '.join(allowed)}")
    raise NotFound(f"there is nothing at {path[:200]}", remedy="GET /v1/openapi.json lists all")
