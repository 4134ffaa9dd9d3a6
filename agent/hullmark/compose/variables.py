"""A container's variables: `env_file`, then `environment`; what looks like a password gets a warning.

Values are never quoted in a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Optional

from hullmark.compose import forms, values
from hullmark.compose.environment import read_env_file
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.compose.project import Project
from hullmark.document import ListValue, MapValue
from hullmark.errors import InvalidInput

_TELLTALE = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS|(API|ACCESS|PRIVATE|ENCRYPTION|_)_?KEY$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"|yes|no|true|false|on|off|[01]|/\S*|\S*\.\S*_FILE", re.IGNORECASE)
"""Switches such as ALLOW_EMPTY_PASSWORD=yes, and paths such as /run/secrets/db."""


MAX_FROM_FILES = 30_000
"""Of the whole app; each takes some 30 bytes of the MiB that an app may take."""


class Variables:
    """Reads the variables of a project's services. A file that several of them name is read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._files: dict[tuple[Path, bool], Mapping[str, str]] = {}
        self._left = MAX_FROM_FILES

    def read(self, service: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        listed = service.get("env_file")
        if listed is not None:
            for item in listed.items() if isinstance(listed.value, ListValue) else [listed]:
                from_file = self._from_file(item)
                self._count(item, len(from_file))
                for name, value in from_file.items():
                    _warn_of_password(item, name, value)
                found.update(from_file)
        own = service.get("environment")
        if own is not None:
            for name, (node, given) in self._own(own).items():
                found.pop(name, None)
                if given is not None:
                    found[name] = given
                    _warn_of_password(node, name, given)
        return found

    def _count(self, item: Node, variables: int) -> None:
        """Raises InvalidInput where the app takes too many from files."""
        self._left -= variables
        if self._left < 0:
            item.wrong("too many variables from files", f"{MAX_FROM_FILES} in one app")
            raise InvalidInput(item.findings.problems)

    def _own(self, node: Node) -> Mapping[str, tuple[Node, Optional[str]]]:
        """Each variable with where it stands; a name alone has what the project's environment says."""
        found = {}
        for name, (item, value) in _entries(replace(node, private=True), forms.VARIABLE).items():
            known = value
            if value is None:
                known = self._project.environment.get(name)
                if known is None:
                    item.warn(
                        f"{name} has no value here, in the environment or in .env: it is not set"
                    )
                elif not forms.TEXT.holds(known):
                    item.wrong(
                        f"the value of {name} in the environment is not text", forms.TEXT.allowed
                    )
            found[name] = (item, known)
        return found

    def _from_file(self, item: Node) -> Mapping[str, str]:
        path, required, raw = item, True, False
        if isinstance(item.value, MapValue):
            judge(item, "services.*.env_file[]")
            named = item.get("path")
            if named is None:
                item.wrong("names no path", "the path of a file")
                return {}
            path = named
            required = item.field_of("required", values.boolean, True)
            raw = item.field_of("format", values.choice("raw"), "") == "raw"
        text = path.read(values.text(forms.LINE), "")
        return self._content(path, self._project.folder / text, raw, required) if text else {}

    def _content(self, node: Node, file: Path, raw: bool, required: bool) -> Mapping[str, str]:
        if (file, raw) in self._files:
            return self._files[file, raw]
        found: Mapping[str, str] = {}
        warnings = node.findings.warnings
        try:
            found = read_env_file(file, self._project.environment, raw=raw, warnings=warnings)
        except FileNotFoundError:
            if required:
                node.wrong(f"{file} does not exist", "a file, or `required: false`")
            return {}
        except InvalidInput as error:
            node.findings.problems += error.problems
        self._files[file, raw] = _fitting(node, found)
        return self._files[file, raw]


def looks_secret(name: str, value: str) -> bool:
    if not _TELLTALE.search(name) or name.upper().endswith("_FILE"):
        return False
    return _HARMLESS.fullmatch(value) is None


def read_pairs(node: Optional[Node], form: forms.Form) -> dict[str, str]:
    """A mapping, or a list of `NAME=VALUE`, as a mapping; no value means empty. `form`: of names."""
    if node is None:
        return {}
    return {name: value or "" for name, (_, value) in _entries(node, form).items()}


def _entries(node: Node, form: forms.Form) -> dict[str, tuple[Node, Optional[str]]]:
    found: dict[str, tuple[Node, Optional[str]]] = {}
    if isinstance(node.value, MapValue):
        pairs = [
            (item, name, None if item.value is None else item.read(values.scalar, ""))
            for name, item in node.entries().items()
        ]
    else:
        pairs = []
        for item in node.items("a mapping, or a list of NAME=VALUE"):
            name, value, has_value = values.pairs(item.read(values.scalar, "?"))
            pairs.append((item, name, value if has_value else None))
    for item, name, given in pairs:
        if form.holds(name):
            found[name] = (item, given)
        else:
            item.wrong("not a name that fits here", form.allowed)
    return found


def _fitting(path: Node, found: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in found.items():
        if not forms.VARIABLE.holds(name) or not forms.TEXT.holds(value):
            path.wrong(f"the file gives {name[:80]!r} a value that is not text", forms.TEXT.allowed)
            return {}
    return found


def _warn_of_password(node: Node, name: str, value: str) -> None:
    if looks_secret(name, value):
        node.warn(
            f"{name} looks like a password; its value becomes part of the app and is kept by the"
            " masters. Put it into a file on the host and use `secrets`; many images read"
            f" {name}_FILE"
        )
