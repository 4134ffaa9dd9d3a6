"""Registry credentials from /etc/hullmark/registries.d, read anew at every pull.

One YAML file for each registry, owned by root and not readable by others:

    registry: registry.example.com:5000
    username: deploy
    password_file: /etc/hullmark/registry.password     # or  password: ...

A `*.json` file has the form of Docker's config.json, with `auths` by registry.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import yaml

from hullmark.errors import InvalidInput, Problem

_KEYS = {"registry", "username", "password", "password_file"}
MAX_BYTES = 65536


@dataclass(frozen=True)
class Credential:
    """The password is in no text form of this. `changed_at`: when its file last changed, seconds since 1970."""

    registry: str
    username: str
    password: str = field(repr=False)
    file: str
    changed_at: float

    def describe(self, now: float) -> str:
        """`user deploy from FILE, 12 d old`: for messages."""
        age_d = max(0, int((now - self.changed_at) // 86400))
        return f"user {self.username} from {self.file}, {age_d} d old"


def find(folder: Path, registry: str) -> Optional[Credential]:
    """The credential for a registry, None where there is none.

    Raises InvalidInput for a file that is malformed or too open, or two files for one registry.
    """
    found = [
        one for file in _files(folder) for one in _credentials(file) if one.registry == registry
    ]
    if len(found) > 1:
        raise _twice(found[1], found[0])
    return found[0] if found else None


def check(folder: Path) -> list[str]:
    """The files. Raises InvalidInput with the problems of all files: no password is in one."""
    problems: list[Problem] = []
    first: dict[str, Credential] = {}
    files = _files(folder)
    for file in files:
        try:
            for one in _credentials(file):
                if first.setdefault(one.registry, one) is not one:
                    raise _twice(one, first[one.registry])
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems, remedy="mend what is named")
    return [str(file) for file in files]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".json"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _wrong(str(folder), f"can't be read: {error.strerror}") from error


def _credentials(file: Path) -> Iterator[Credential]:
    text, changed_at = _read(file)
    if file.suffix == ".json":
        yield from _docker_form(file, text, changed_at)
        return
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _wrong(str(file), "not YAML", mark.line + 1 if mark else None) from None
    if not isinstance(data, Mapping) or not all(isinstance(v, str) for v in data.values()):
        raise _wrong(str(file), "not a mapping of text", allowed=", ".join(sorted(_KEYS)))
    unknown = sorted(str(key) for key in set(data) - _KEYS)
    if unknown:
        raise _wrong(str(file), f"unknown key {unknown[0]}", allowed=", ".join(sorted(_KEYS)))
    if not data.get("registry") or not data.get("username"):
        raise _wrong(str(file), "registry and username are needed")
    if ("password" in data) == ("password_file" in data):
        raise _wrong(str(file), "exactly one of password and password_file is needed")
    password = data.get("password")
    if password is None:
        secret, changed_at = _read(Path(data["password_file"]))
        password = secret.rstrip("\r\n")
    yield Credential(data["registry"], data["username"], password, str(file), changed_at)


def _docker_form(file: Path, text: str, changed_at: float) -> Iterator[Credential]:
    try:
        auths: Mapping[str, Any] = json.loads(text)["auths"]
        for server, entry in auths.items():
            user, _, password = (
                base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            )
            registry = server.partition("://")[2] or server
            registry = registry.partition("/")[0]
            registry = "docker.io" if registry == "index.docker.io" else registry
            yield Credential(registry, user, password, str(file), changed_at)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise _wrong(str(file), "not in the form of Docker's config.json") from None


def _read(file: Path) -> tuple[str, float]:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (0, os.geteuid()):
                raise _wrong(
                    str(file),
                    f"open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                    allowed=f"root's own: chown root: {file}; chmod 600 {file}",
                )
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(str(file), f"can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _wrong(str(file), f"larger than {MAX_BYTES} bytes")
    try:
        return content.decode(), found.st_mtime
    except UnicodeDecodeError:
        raise _wrong(str(file), "not UTF-8 text") from None


def _twice(one: Credential, before: Credential) -> InvalidInput:
    return _wrong(one.file, f"registry {one.registry} stands in {before.file} too")


def _wrong(file: str, message: str, line: Optional[int] = None, allowed: str = "") -> InvalidInput:
    return InvalidInput([Problem(message, file=file, line=line, allowed=allowed)])
