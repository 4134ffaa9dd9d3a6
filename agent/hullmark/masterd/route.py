"""A route: what a port answers at one path, who may ask, and what it takes and gives."""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from hullmark.errors import InvalidInput, NotFound, Problem
from hullmark.masterd.answers import WrongMethod
from hullmark.masterd.desk import Call, Desk
from hullmark.model.people import Role

READERS = frozenset(Role)
RECORDS = frozenset({Role.AUDITOR, Role.DEPLOYER, Role.ADMIN})
"""Who did what, from where."""
DEPLOYERS = frozenset({Role.DEPLOYER, Role.ADMIN})
ACCESS = frozenset({Role.AUDITOR, Role.ADMIN})
"""Who can come in."""
ADMINS = frozenset({Role.ADMIN})

SMALL_BODY_MAX_BYTES = 16 << 10
HOLD_MAX_S = 60.0

Handler = Callable[[Desk, Call], Awaitable[Any]]
Value = Union[str, int, float, bool]


# What `int` and `float` read is more: other scripts' digits, underscores, "infinity".
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?")


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
        whole = isinstance(self.default, int)
        kind = "a whole number" if whole else "a number"
        allowed = f"{kind} from {self.least:g} to {self.most:g}"
        if not (_WHOLE if whole else _DECIMAL).fullmatch(text):
            raise ValueError(allowed)
        value = int(text) if whole else float(text)
        if not self.least <= value <= self.most:
            raise ValueError(allowed)
        return value


AFTER = Parameter("after", 0, "the `version` of an earlier answer: wait for a change since")
HOLD = Parameter("hold_s", 30.0, "how long to wait for it, in seconds", most=HOLD_MAX_S)


@dataclass(frozen=True)
class Route:
    """`path` has names in braces. `answer` is a dataclass; with `lines` the answer is one on each line.
    `streams`: the handler reads the body itself. `careful`: failures are slowed down. `sync`: agents ask it all
    the time, so only what is refused is logged. `wakes`: what is held ends by itself, soon or as soon as its caller
    is no longer let in. `anywhere`: a master that doesn't lead answers it where the leader can't. `standby`: one that
    doesn't lead answers it as well as the leader. `needs`: the roles of which a person must have one; left out,
    whoever reads may ask a GET, and only an administrator anything else. `question`: it changes nothing that anybody would look
    for in the audit log, though it is no GET. `told`: it is a GET, and who asked it is recorded.
    `trim`: what is done with a body's JSON value before it is read."""

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
    sync: bool = False
    wakes: bool = False
    anywhere: bool = False
    standby: bool = False
    needs: frozenset[Role] = frozenset()
    question: bool = False
    told: bool = False
    trim: Optional[Callable[[Any], Any]] = None

    @property
    def changes(self) -> bool:
        """Whether it is in the audit log before it is carried out."""
        return self.method != "GET" and self.login is not Login.HOST and not self.question

    @property
    def roles(self) -> frozenset[Role]:
        return self.needs or (READERS if self.method == "GET" else ADMINS)

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
        problems, seen = [], set()
        for name, text in given:
            if name in seen:
                problems.append(Problem("given twice", field=name[:64], allowed="once"))
                continue
            seen.add(name)
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


def find(
    routes: Sequence[Route], method: str, parts: Sequence[str]
) -> tuple[Route, dict[str, str]]:
    """`parts` are those of the path between its slashes. Raises NotFound, or WrongMethod where only the method
    differs."""
    allowed = []
    for route in routes:
        names = route.match(parts)
        if names is not None:
            if route.method == method:
                return route, names
            allowed.append(route.method)
    if allowed:
        raise WrongMethod(method, allowed)
    raise nothing_at("/".join(parts))


def nothing_at(path: str) -> NotFound:
    return NotFound(f"there is nothing at {path[:200]}", remedy="GET /v1/openapi.json lists all")
