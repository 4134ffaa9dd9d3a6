"""Compose files, as one merged document: the reading half of the room.

    files -> values -> variables filled in -> `extends` resolved -> merged -> services of no profile dropped

The translating half turns a `Project` into the model's app and never opens a Compose file itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from hullmark import document
from hullmark.compose import naming
from hullmark.compose.environment import read_env_file
from hullmark.compose.extends import Extending, Source
from hullmark.compose.findings import MAX_PROBLEMS
from hullmark.compose.interpolation import Filler, Notes, fill_document
from hullmark.compose.merging import TAGS, Merging, copied
from hullmark.compose.profiles import active_services, wanted_profiles
from hullmark.document import MapValue, problem_at
from hullmark.errors import InvalidInput, Problem

DEFAULT_ENV_FILE = ".env"
MAX_SERVICES = 1000
"""More than an app has, and few enough to be judged within a second."""


@dataclass(frozen=True)
class Project:
    """What the files say once they are merged.

    `folder` is absolute: relative paths of the document start there. In `document` every variable is
    replaced (a replaced value is text), `extends` is resolved, and services that no profile asks for
    are gone; each value keeps its file and line. `environment` is what variables were taken from.
    `unset` are the places where a variable that is not set left nothing; `warnings` name them too.
    """

    name: str
    folder: Path
    document: MapValue
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unset: tuple[Problem, ...] = ()


def read_project(
    files: Sequence[str],
    *,
    project_name: str = "",
    environment: Mapping[str, str],
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
) -> Project:
    """Read, merge and fill in the files. Raises InvalidInput with every problem found."""
    if not files:
        raise InvalidInput([Problem("no Compose file is named")])
    notes = Notes()
    near = Path() if files[0] == "-" else Path(files[0]).parent
    folder = Path(os.path.normpath(near.absolute()))
    warnings: list[str] = []
    found = _from_env_files(env_files, near, environment, warnings, notes.problems)
    variables = {**found, **environment}
    documents = _documents(files, notes.problems)
    _stop_at(notes.problems)
    name = _name(project_name, documents, variables, folder, notes.problems)
    if not project_name and not variables.get("COMPOSE_PROJECT_NAME"):
        warnings += naming.other_names(documents, name)
    variables["COMPOSE_PROJECT_NAME"] = name
    merged = _Reading(near, folder, variables, notes).merged(documents)
    asked = wanted_profiles(profiles, variables.get("COMPOSE_PROFILES", ""))
    _keep_active(merged, asked, notes.problems)
    _stop_at(notes.problems)
    unset = tuple(dict.fromkeys(notes.unset))
    return Project(
        name, folder, merged, variables, (*warnings, *(str(each) for each in unset)), unset
    )


class _Reading:
    """Fills in and merges documents of one project. `near` is its folder as people named it."""

    def __init__(
        self, near: Path, folder: Path, variables: Mapping[str, str], notes: Notes
    ) -> None:
        self._near = near
        self._notes = notes
        self._filler = Filler(variables.get)
        self._extending = Extending(folder, self._other_file, notes.problems)

    def merged(self, documents: Sequence[MapValue]) -> MapValue:
        merged: Optional[MapValue] = None
        for each in documents:
            filled = fill_document(each, self._filler, self._notes)
            self._extend(filled, merged)
            if merged is None:
                merged = copied(filled)
            else:
                merging = Merging()
                merged = merging.mappings(merged, filled)
                self._notes.problems += merging.problems
        assert merged is not None
        return merged

    def _extend(self, filled: MapValue, merged: Optional[MapValue]) -> None:
        services = filled.get("services")
        earlier = merged.get("services") if merged is not None else None
        if isinstance(services, MapValue):
            source = Source(Path(filled.file), self._near, services)
            known = earlier if isinstance(earlier, MapValue) else MapValue("", 0)
            filled["services"] = self._extending.resolve(source, known)

    def _other_file(self, path: Path) -> MapValue:
        name = "./-" if str(path) == "-" else str(path)
        return fill_document(_document(name), self._filler, self._notes)


def _documents(files: Sequence[str], problems: list[Problem]) -> list[MapValue]:
    found = []
    for file in files:
        try:
            found.append(_document(file))
        except InvalidInput as error:
            problems += error.problems
    return found


def _document(file: str) -> MapValue:
    value = document.read(file, tags=TAGS)
    if not isinstance(value, MapValue):
        message = "is empty" if value is None else "is no Compose file"
        allowed = "a mapping with `services`"
        raise InvalidInput([Problem(message, file=document.name_of(file), line=1, allowed=allowed)])
    _stop_at(_too_many_services(value))
    return value


def _too_many_services(mapping: MapValue) -> list[Problem]:
    services = mapping.get("services")
    if not isinstance(services, MapValue) or len(services) <= MAX_SERVICES:
        return []
    message = f"{len(services)} services in one app"
    return [problem_at(mapping, "services", "services", message, f"{MAX_SERVICES} of them")]


def _from_env_files(
    env_files: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    warnings: list[str],
    problems: list[Problem],
) -> dict[str, str]:
    """Variables of the named files, a later one above an earlier one; else of the folder's `.env`,
    unless that is a folder: some tools keep theirs there."""
    found: dict[str, str] = {}
    for file in env_files or [str(folder / DEFAULT_ENV_FILE)]:
        try:
            known = {**found, **environment}
            found.update(read_env_file(Path(file), known, warnings=warnings))
        except FileNotFoundError:
            if env_files:
                problems.append(Problem("does not exist", file=file))
        except InvalidInput as error:
            if env_files or not isinstance(error.__cause__, IsADirectoryError):
                problems += error.problems
    return found


def _name(
    asked: str,
    documents: Sequence[MapValue],
    variables: Mapping[str, str],
    folder: Path,
    problems: list[Problem],
) -> str:
    try:
        return naming.project_name(asked, documents, variables, folder)
    except InvalidInput as error:
        problems += error.problems
        return ""


def _keep_active(merged: MapValue, asked: Collection[str], problems: list[Problem]) -> None:
    services = merged.get("services")
    if not isinstance(services, MapValue):
        _refuse_first_format(merged)
        return
    _stop_at(_too_many_services(merged))
    merged["services"] = active_services(services, asked, problems)


def _refuse_first_format(merged: MapValue) -> None:
    """Files of Compose's first format have their services at the top; every other message would
    only confuse."""

    def is_service(value: Any) -> bool:
        return isinstance(value, MapValue) and ("image" in value or "build" in value)

    if "services" not in merged and "version" not in merged:
        for name, value in merged.items():
            if is_service(value):
                message = "a service at the top level, as in Compose's first format"
                raise InvalidInput(
                    [problem_at(merged, name, name, message, "services: below `services`")]
                )


def _stop_at(problems: Sequence[Problem]) -> None:
    left = len(problems) - MAX_PROBLEMS
    if left > 0:
        raise InvalidInput([*problems[:MAX_PROBLEMS], Problem(f"and {left} more problems")])
    if problems:
        raise InvalidInput(problems)
