"""From Compose files to an app, in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.compose.project import Project, read_project
from hullmark.compose.services import Loaded, build_app
from hullmark.errors import InvalidInput, Problem


def load(
    files: Sequence[str],
    *,
    project_name: str = "",
    environment: Mapping[str, str],
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
    images: Mapping[str, str] = {},
) -> Loaded:
    """The app that the files describe; `-` is standard input. `images` take the place of a service's.

    Raises InvalidInput with every problem found, by file and line.
    """
    try:
        project = read_project(
            files,
            project_name=project_name,
            environment=environment,
            env_files=env_files,
            profiles=profiles,
        )
    except InvalidInput as error:
        raise InvalidInput(_in_order(error.problems), remedy=error.remedy) from error
    try:
        return build_app(project, images)
    except InvalidInput as error:
        problems = _explained(project, _in_order(error.problems))
        raise InvalidInput(problems, remedy=error.remedy) from error


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """By file and line, as a person mends them; what belongs to no file stays last."""
    return sorted(problems, key=lambda each: (not each.file, each.file, each.line or 0))


def _explained(project: Project, problems: Sequence[Problem]) -> list[Problem]:
    """The problems, each below the variables that left nothing in its line."""
    unset: dict[tuple[str, Optional[int]], list[Problem]] = {}
    for each in project.unset:
        unset.setdefault((each.file, each.line), []).append(each)
    found: list[Problem] = []
    for problem in problems:
        found += unset.pop((problem.file, problem.line), [])
        found.append(problem)
    return found
