"""Policy files: the host's own rules, which no master overrides.

This version has no rules yet. A file has a name and a description, and anything else is refused, so that nobody believes
in a rule that nobody enforces.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hullmark.config import ownership
from hullmark.config.loading import drop_ins
from hullmark.document import MapValue, problem_at, read
from hullmark.errors import InvalidInput, Problem

POLICY_DIR = "/etc/hullmark/policy.d"
KEYS = ("name", "description")
REMEDY = "mend what is named; hullmark config check policy FILE checks one file"


@dataclass(frozen=True)
class Policy:
    file: str
    name: str = ""
    description: str = ""


def load_policies(folder: str = POLICY_DIR) -> tuple[Policy, ...]:
    """Of a folder that need not exist. Raises InvalidInput with every problem found, also for what others than root and this
    user may change."""
    problems: list[Problem] = []
    files = drop_ins(Path(folder), problems)
    problems += ownership.problems((Path(folder), *map(Path, files)))
    found = []
    for file in files:
        try:
            found.append(load_policy(file))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems, remedy=REMEDY)
    return tuple(found)


def load_policy(file: str) -> Policy:
    """One file, whoever it belongs to. Raises InvalidInput."""
    try:
        document = _document(file)
        problems = [problem for key in document for problem in _wrong(document, key)]
        if problems:
            raise InvalidInput(problems)
    except InvalidInput as error:
        raise InvalidInput(error.problems, remedy=REMEDY) from error
    return Policy(file, document.get("name", ""), document.get("description", ""))


def _document(file: str) -> MapValue:
    if file != "-" and _is_link(Path(file)):
        raise InvalidInput([Problem("is a symbolic link", file=file, allowed="a regular file")])
    document = read(file)
    if document is None:
        return MapValue(file, 1)
    if not isinstance(document, MapValue):
        problem = Problem("not a mapping", file=file, line=1, allowed="KEY: VALUE lines")
        raise InvalidInput([problem])
    return document


def _wrong(document: MapValue, key: str) -> list[Problem]:
    value: Any = document[key]
    if key not in KEYS:
        message = "this version has no rules yet, so nobody would enforce it"
        return [problem_at(document, key, key, message, ", ".join(KEYS))]
    if not isinstance(value, str):
        return [problem_at(document, key, key, "bad value", "text")]
    return []


def _is_link(path: Path) -> bool:
    try:
        return stat.S_ISLNK(path.lstat().st_mode)
    except OSError:
        return False
