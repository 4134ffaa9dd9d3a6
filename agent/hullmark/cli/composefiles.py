"""Options and arguments that name a Compose project, and reading it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import click

from hullmark.cli.words import pairs
from hullmark.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from hullmark.compose import Loaded

DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""Where no file is named: the first that is there, as the Compose Specification orders them."""
OVERRIDES = {
    "compose.yaml": ("compose.override.yaml", "compose.override.yml"),
    "compose.yml": ("compose.override.yml", "compose.override.yaml"),
    "docker-compose.yaml": ("docker-compose.override.yaml", "docker-compose.override.yml"),
    "docker-compose.yml": ("docker-compose.override.yml", "docker-compose.override.yaml"),
}


@dataclass(frozen=True)
class Project:
    files: tuple[str, ...]
    project_name: str
    env_files: tuple[str, ...]
    profiles: tuple[str, ...]
    images: tuple[str, ...]


def project(function: Callable[..., Any]) -> Callable[..., Any]:
    """The command is called with a `Project` as `project`."""

    @functools.wraps(function)
    def called(
        *args: Any,
        files: tuple[str, ...],
        file_options: tuple[str, ...],
        project_name: str,
        env_files: tuple[str, ...],
        profiles: tuple[str, ...],
        images: tuple[str, ...],
        **more: Any,
    ) -> Any:
        named = Project((*file_options, *files), project_name, env_files, profiles, images)
        return function(*args, project=named, **more)

    decorated: Callable[..., Any] = called
    for decorate in reversed(_OPTIONS):
        decorated = decorate(decorated)
    return decorated


_OPTIONS = (
    click.argument("files", metavar="[FILE]...", nargs=-1),
    click.option(
        "-f", "--file", "file_options", multiple=True, metavar="FILE", help="The same as FILE."
    ),
    click.option(
        "-p",
        "--project-name",
        default="",
        metavar="NAME",
        help="The app's name, if not the file's.",
    ),
    click.option(
        "--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, instead of .env."
    ),
    click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="NAME",
        help="Include services of a profile.",
    ),
    click.option(
        "--image",
        "images",
        multiple=True,
        metavar="SERVICE=REF",
        help="The image of a service that has `build`.",
    ),
)


def load(project: Project) -> Loaded:
    """Read and check the project. Raises InvalidInput, UsageError where no file is named or found."""
    from hullmark import compose  # YAML and its readers take their time to import

    return compose.load(
        list(project.files or _default_files(Path.cwd())),
        project_name=project.project_name,
        environment=os.environ,
        env_files=list(project.env_files),
        profiles=list(project.profiles),
        images=pairs(project.images, "--image"),
    )


@contextlib.contextmanager
def placing(loaded: Loaded) -> Iterator[None]:
    """What a master finds wrong with the app is told with its file and line. Raises InvalidInput."""
    try:
        yield
    except InvalidInput as error:
        problems = [loaded.placed(each) for each in error.problems]
        raise InvalidInput(problems, remedy=error.remedy) from error


def _default_files(folder: Path) -> Sequence[str]:
    """The project of the current folder, with its override file, as Compose finds them."""
    for name in DEFAULT_FILES:
        if (folder / name).is_file():
            found = [name]
            found += [other for other in OVERRIDES[name] if (folder / other).is_file()][:1]
            return found
    raise UsageError(
        f"no Compose file is named, and {folder} has none",
        remedy=f"name one, or add {DEFAULT_FILES[0]}",
    )
