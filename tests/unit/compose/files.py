"""Compose files for tests, written into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hullmark.compose.project import Project, read_project
from hullmark.errors import InvalidInput

MAIN = "compose.yaml"


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def project(
    folder: Path,
    *contents: str,
    environment: Mapping[str, str] = {},
    others: Mapping[str, str] = {},
    **arguments: Any,
) -> Project:
    """The project of these Compose files (compose.yaml, then 1.yaml, 2.yaml), beside `others`."""
    names = [MAIN, *(f"{number}.yaml" for number in range(1, len(contents)))]
    write(folder, {**others, **dict(zip(names, contents))})
    paths = [str(folder / name) for name in names]
    return read_project(paths, environment=environment, **arguments)


def problems(folder: Path, *contents: str, **arguments: Any) -> Sequence[str]:
    """What is wrong with these Compose files; names of files without the folder."""
    with pytest.raises(InvalidInput) as caught:
        project(folder, *contents, **arguments)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]
