"""Where the fields of a document stand in its file, so that what a master says of one is told with file and line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Optional

from hullmark.errors import Problem

Place = tuple[str, Optional[int]]


def placed(
    problems: Iterable[Problem], places: Mapping[str, Place], document: str
) -> tuple[Problem, ...]:
    """A master's problems, which have a field each, with file and line of it or of what it is in. `document` is the request's field
    that has the document."""
    return tuple(_placed(problem, places, f"{document}.") for problem in problems)


def _placed(problem: Problem, places: Mapping[str, Place], prefix: str) -> Problem:
    field = problem.field.removeprefix(prefix)
    while field and field not in places:
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    file, line = places.get(field, ("", None))
    return dataclasses.replace(problem, file=file, line=line)
