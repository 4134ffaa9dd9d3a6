"""What an app is called, by Compose's order: the command line, COMPOSE_PROJECT_NAME, the file's `name`,
the folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hullmark.compose.interpolation import Filler, Malformed
from hullmark.document import MapValue, Tagged, problem_at
from hullmark.errors import InvalidInput, Problem
from hullmark.model.names import APP_NAME

ALLOWED = "up to 63 lower-case letters, digits, - and _, the first a letter or a digit"


def project_name(
    asked: str, documents: Sequence[MapValue], variables: Mapping[str, str], folder: Path
) -> str:
    """The app's name. Raises InvalidInput where it can't be one."""
    for name, origin in ((asked, "the project name"), _of_environment(variables)):
        if name:
            return _checked(name, Problem(f"{origin} does not fit", allowed=ALLOWED))
    for document in reversed(documents):
        if document.get("name") is not None:
            return _of_document(document, variables)
    name = re.sub(r"[^a-z0-9_-]", "", folder.name.lower()).lstrip("-_")[:63]
    missing = f"the folder {folder.name!r} gives the app no name: set `name:` in the file"
    return _checked(name, Problem(missing, file=documents[0].file))


def other_names(documents: Sequence[MapValue], name: str) -> Iterator[str]:
    """Warnings of files with another name than the last one's, which counts: they may be of another app, and become part of this one."""
    named = [document for document in documents if document.get("name") is not None]
    for document in named[:-1]:
        if str(document["name"]) != str(named[-1]["name"]):
            yield str(
                problem_at(
                    document,
                    "name",
                    "name",
                    f"several files are one app, and {named[-1].file} names it {name}",
                )
            )


def _of_environment(variables: Mapping[str, str]) -> tuple[str, str]:
    return variables.get("COMPOSE_PROJECT_NAME", ""), "COMPOSE_PROJECT_NAME"


def _of_document(document: MapValue, variables: Mapping[str, str]) -> str:
    value = document["name"]
    if isinstance(value, Tagged):
        value = value.value
    wrong = problem_at(document, "name", "name", "not a name for an app", ALLOWED)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInput([wrong])
    try:
        return _checked(Filler(variables.get).fill(str(value)), wrong)
    except Malformed as error:
        message = problem_at(document, "name", "name", error.message, error.allowed)
        raise InvalidInput([message]) from error


def _checked(name: str, problem: Problem) -> str:
    if not APP_NAME.fullmatch(name):
        raise InvalidInput([problem])
    return name
