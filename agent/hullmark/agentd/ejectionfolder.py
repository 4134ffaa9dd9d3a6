"""The folder that `eject` leaves behind: written aside, and put in place by one rename.

So it is there whole or not at all, and a run that was cut off is simply done again. Nothing that is not ours is ever
overwritten: the manifest, written first, tells ours.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hullmark.core.ejection import Ejection, Kept
from hullmark.core.ejectionproject import ConfigFile, Project
from hullmark.core.ejectionwords import Place, overview, page, unpublished
from hullmark.errors import Conflict, Refused
from hullmark.pki.files import sync_folder, write_file

MANIFEST = "eject.json"
_PLAIN = re.compile(r"(?!(?i:on|off|yes|no|true|false|null|y|n)$)[A-Za-z_][A-Za-z0-9_.-]*")
HEAD = """\
# The containers of the app {app} on the host {host}, as Hullmark ran them. README.md says how to hand them over.
# Values of variables stand here: keep this file to root.
"""


class Folder:
    """`target` is where it goes in the end. Raises Refused for what can't be written."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._draft = target.with_name(f".{target.name}.new")

    def is_ours(self) -> bool:
        return (self.target / MANIFEST).is_file()

    def check(self, *, force: bool) -> None:
        """Raises Conflict where something is in the way."""
        if not self.target.exists() and not self.target.is_symlink():
            return
        if not (force and self.is_ours()):
            again = "; or replace it: --force" if self.is_ours() else ""
            raise Conflict(f"{self.target} exists", remedy=f"name another one: --out DIR{again}")

    def write(
        self,
        ejection: Ejection,
        place: Place,
        unset: Sequence[Kept] = (),
        said: Sequence[str] = (),
    ) -> None:
        """All but the last step. `unset` as for `notes`, which `said` is."""
        try:
            self._write(ejection, place, unset, said)
        except OSError as error:
            raise Refused(
                f"{error.filename or self._draft}: {error.strerror}",
                remedy=f"free space, or name another place: --out DIR; df {self.target.parent}",
            ) from error

    def put(self) -> None:
        """A former one of ours gives way."""
        former = self.target.with_name(f".{self.target.name}.old")
        try:
            _remove(former)
            if self.is_ours():
                self.target.rename(former)
            self._draft.rename(self.target)
            sync_folder(self.target.parent)
            _remove(former)
        except OSError as error:
            raise Refused(f"{self.target}: {error.strerror}") from error

    def _write(
        self, ejection: Ejection, place: Place, unset: Sequence[Kept], said: Sequence[str]
    ) -> None:
        _remove(self._draft)
        self._draft.mkdir(mode=0o700, parents=True)
        manifest = {"schema": "hullmark.eject-folder/1", "host": place.host}
        _put(self._draft / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        for one in ejection.projects:
            folder = self._draft / one.app
            folder.mkdir(mode=0o700)
            _put(folder / "compose.yaml", document(one, place.host))
            # Whatever the folder is called later on.
            _put(folder / ".env", f"COMPOSE_PROJECT_NAME={one.app}\n")
            _put(folder / "README.md", page(one, ejection, unset, place))
            for path, file in one.files.items():
                _put_config(folder / path, file)
            sync_folder(folder)
        _put(self._draft / "README.md", overview(ejection, said, place))


def document(project: Project, host: str) -> str:
    """compose.yaml. Every text is quoted: what is a number to one reader of YAML is a word to another."""
    head = HEAD.format(app=project.app, host=host)
    services = project.document["services"]
    made = (_dumped({name: each}) + unpublished(project, name) for name, each in services.items())
    rest = {key: each for key, each in project.document.items() if key != "services"}
    body = "".join(f"  {line}" for line in "".join(made).splitlines(keepends=True))
    return f"{head}services:\n{body}{_dumped(rest) if rest else ''}"


def _dumped(value: Mapping[str, Any]) -> str:
    return yaml.dump(
        _quoted(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096
    )


class _Text(str):
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Text,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'),
)


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, Mapping):
        return {_key(key): _quoted(each) for key, each in value.items()}
    return [_quoted(each) for each in value] if isinstance(value, list) else value


def _key(key: str) -> str:
    """Plain words, as Compose's own keys are, stay so."""
    return key if _PLAIN.fullmatch(key) else _Text(key)


def _put(path: Path, text: str) -> None:
    write_file(path, text.encode(), 0o600)


def _put_config(path: Path, file: ConfigFile) -> None:
    """With the owner and mode that its container is to find; the folder above keeps everybody else out."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_file(path, base64.b64decode(file.config.content_b64), file.mode)
    path.chmod(file.mode)
    os.chown(path, file.uid, file.gid)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
