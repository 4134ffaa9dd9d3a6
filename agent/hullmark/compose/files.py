"""Configs and secrets: declared by the app, used by services; and files that a bind ships.

A config's content travels with the app. Of a secret only its path on the hosts does: nothing here opens it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Optional

from hullmark.compose import forms, values
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.compose.project import Project
from hullmark.document import MapValue
from hullmark.model.app import Config, FileRef, Secret

MAX_CONFIG_BYTES = 256 << 10
MAX_SHIPPED_BYTES = 1 << 20
SECRETS_FOLDER = "/run/secrets"


class Unreadable(Exception):
    """A file can't be shipped; the text says why."""


class Shelf:
    """The configs of the app: those that it declares, and files that binds ship on the way.

    `names` has every declared key, also of configs that couldn't be read.
    """

    def __init__(self, project: Project, top: Node) -> None:
        self.project = project
        self.configs: dict[str, Config] = {}
        self._shipped: dict[Path, tuple[int, Config]] = {}
        declared = top.get("configs")
        nodes = declared.entries() if declared is not None else {}
        self.names = frozenset(nodes)
        self._declare(nodes)

    def _declare(self, nodes: Mapping[str, Node]) -> None:
        left = MAX_SHIPPED_BYTES
        for name, node in nodes.items():
            content = _content(node, self.project) if _is_key(node, name) else None
            if content is not None:
                self.configs[name] = config(content)
                left -= len(content)
            if left < 0:
                node.wrong("the configs up to here are more than an app may hold")
                return

    def ship(self, path: Path, target: str) -> tuple[FileRef, Config]:
        """Add one regular file and say how a container gets it. Raises Unreadable."""
        if path not in self._shipped:
            if sum(each.size_bytes for _, each in self._shipped.values()) > MAX_SHIPPED_BYTES:
                raise Unreadable("the files shipped so far are more than an app may hold")
            content, mode = read_regular(path, self.project.folder)
            self._shipped[path] = (mode, config(content))
        mode, shipped = self._shipped[path]
        name = f"bind.{shipped.sha256[:32]}"
        self.configs[name] = shipped
        return FileRef(name, target, mode=0o555 if mode & 0o111 else 0o444), shipped


def config(content: bytes) -> Config:
    return Config(
        base64.b64encode(content).decode(), hashlib.sha256(content).hexdigest(), len(content)
    )


def read_regular(path: Path, folder: Path) -> tuple[bytes, int]:
    """Content and mode of a file that may be shipped; never waits. Raises Unreadable.

    What lies outside of the project's folder, also by a symbolic link, is not shipped: a Compose file
    from a stranger would otherwise collect files of who runs the command.
    """
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, inside]) != inside:
        raise Unreadable(f"{path} leads out of the project's folder, {folder}")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(f"{path} is {_kind(found.st_mode)}, not a regular file")
        # Should it turn into a pipe just now, opening still doesn't wait.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', error) or error}") from error
    if len(content) > MAX_CONFIG_BYTES:
        raise Unreadable(f"{path} is larger than {MAX_CONFIG_BYTES >> 10} KiB")
    return content, stat.S_IMODE(found.st_mode)


def local_path(project: Project, text: str) -> Path:
    """A path as the file has it, from the project's folder on; `~` is the home of who runs the command.

    Raises Unreadable where there is no home.
    """
    if text == "~" or text.startswith("~/"):
        home = project.environment.get("HOME", "")
        if not home.startswith("/"):
            raise Unreadable(f"{text}: HOME is not set")
        text = home + text[1:]
    return Path(os.path.normpath(project.folder / text))


def read_secrets(top: Node) -> dict[str, Secret]:
    declared = top.get("secrets")
    found = {}
    for name, node in (declared.entries() if declared is not None else {}).items():
        if not _is_key(node, name) or not judge(node, "secrets.*"):
            continue
        file = node.get("file")
        if file is not None:
            found[name] = Secret(file.read(_secret_path, "/"))
        elif not any(node.has(other) for other in ("environment", "external", "driver")):
            node.wrong("names no file", "file: /PATH/ON/THE/HOST")
    return found


def read_references(service: Node, kind: str, declared: Collection[str]) -> tuple[FileRef, ...]:
    """A service's `configs` or `secrets`."""
    listed = service.get(kind)
    found = []
    for item in listed.items() if listed is not None else ():
        place = item
        if isinstance(item.value, MapValue):
            judge(item, f"services.*.{kind}[]")
            named = item.get("source")
            if named is None:
                item.wrong("names no source", f"a key of the top-level {kind}")
                continue
            place = named
        source = place.read(values.text(forms.KEY), "")
        if source and source not in declared:
            place.missing(kind[:-1], source, declared)
        elif source:
            found.append(_reference(item, kind, source))
    return tuple(found)


def _reference(item: Node, kind: str, source: str) -> FileRef:
    folder = SECRETS_FOLDER if kind == "secrets" else "/"
    target = posixpath.join(folder, source)
    if not isinstance(item.value, MapValue):
        return FileRef(source, target)

    def below(value: object) -> str:
        return values.text(forms.MOUNT_PATH)(posixpath.join(folder, values.scalar(value)))

    target = item.field_of("target", below, target)
    if kind == "secrets":
        return FileRef(source, target)
    return FileRef(
        source,
        target,
        item.field_of("uid", values.text(forms.OWNER), ""),
        item.field_of("gid", values.text(forms.OWNER), ""),
        item.field_of("mode", values.mode(forms.FILE_MODE), 0o444),
    )


def _content(node: Node, project: Project) -> Optional[bytes]:
    if not judge(node, "configs.*"):
        return None
    given = [name for name in ("file", "content", "environment") if node.has(name)]
    if len(given) != 1:
        if not node.has("external"):
            node.wrong("needs exactly one source", "file, content or environment")
        return None
    source = node.child(given[0])
    if given == ["file"]:
        return _file(source, project)
    if given == ["environment"]:
        name = source.read(values.text(forms.VARIABLE), "")
        if name and name not in project.environment:
            source.wrong(f"variable {name} is not set")
            return None
        text = project.environment.get(name, "")
    else:
        text = source.read(values.scalar, "")
    content = text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_CONFIG_BYTES:
        source.wrong(f"larger than {MAX_CONFIG_BYTES >> 10} KiB")
    return content


def _file(source: Node, project: Project) -> Optional[bytes]:
    text = source.read(values.text(forms.LINE), "")
    if not text:
        return None
    try:
        return read_regular(local_path(project, text), project.folder)[0]
    except Unreadable as error:
        source.wrong(str(error), f"a regular file of at most {MAX_CONFIG_BYTES >> 10} KiB")
        return None


def _secret_path(value: object) -> str:
    if isinstance(value, str) and forms.BIND_SOURCE.holds(value):
        return value
    raise ValueError(
        "an absolute path on the host: a secret is not shipped, so there is nothing that a"
        " relative path could start from"
    )


def _is_key(node: Node, name: str) -> bool:
    if forms.KEY.holds(name):
        return True
    node.wrong("not a name that fits here", forms.KEY.allowed)
    return False


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a device or a socket"
