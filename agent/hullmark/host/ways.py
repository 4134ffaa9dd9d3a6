"""Where a path of this host leads, as an engine follows it, and who besides root could make it lead elsewhere.

An engine cleans the text of a path first (`/a/link/../b` is `/a/b` to it), and the kernel then follows what is left, link by
link. Others take `..` after the link. Where the two don't end at the same place, the path is not followed at all.

A component is *loose* when somebody else than root may put another thing in its place: a folder that belongs to somebody else or
that its group or everybody may write, the sticky bit or not; a link that somebody else owns; a file system that a user serves. The
end itself is not judged: who owns it may change what is in it, and not what the path leads to. Extended ACLs are not read, and need
not be for POSIX ones: whom they let write is let write by the group's bits too, which are their mask. NFSv4 ACLs are not seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Optional

from hullmark.host.mounts import Mounts

LINKS_MAX = 40
"""As Linux has it; see path_resolution(7)."""
PATH_MAX_BYTES = 4096


@dataclass(frozen=True)
class Way:
    """`end` is where the path leads, without a link in it; empty where it can't be told, and `trouble` says why. What
    doesn't exist yet is part of `end` as it is written. `loose` names each component that others may change, and how. `through`: the
    folders in which a name was looked up, without links: who writes in one of them decides where the path leads."""

    path: str
    end: str = ""
    exists: bool = False
    kind: str = ""  # folder, file, socket, device or other; empty where it doesn't exist
    loose: tuple[str, ...] = ()
    trouble: str = ""
    through: tuple[str, ...] = field(default=(), compare=False)


class _Troubled(Exception):
    """The path can't be followed."""


def follow(path: str, *, root: str = "", mounts: Optional[Mounts] = None, owner: int = 0) -> Way:
    """`root`: a folder that is taken for the file system's root. `owner`: who may own components. Reads nothing but folders."""
    found = mounts if mounts is not None else Mounts.now()
    try:
        cleaned = _cleaned(path)
        way = _Walk(root, found, owner).to(cleaned)
        if ".." in PurePosixPath(path).parts:
            other = _Walk(root, found, owner).to(path)
            if other.end != way.end:
                raise _Troubled(f"leads to {way.end} or to {other.end}, as one takes `..`")
            way = replace(
                way,
                loose=tuple(dict.fromkeys(way.loose + other.loose)),
                through=tuple(dict.fromkeys(way.through + other.through)),
            )
    except _Troubled as error:
        return Way(path, trouble=str(error))
    except OSError as error:
        return Way(path, trouble=f"can't be looked at: {error.strerror}")
    return replace(way, path=path)


def _cleaned(path: str) -> str:
    """As Go's path.Clean does it."""
    if not path.startswith("/"):
        raise _Troubled("is not an absolute path")
    if "\0" in path or len(os.fsencode(path)) >= PATH_MAX_BYTES:
        raise _Troubled("is no path")
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


class _Walk:
    def __init__(self, root: str, mounts: Mounts, owner: int) -> None:
        self._root = root
        self._mounts = mounts
        self._owner = owner
        self._loose: dict[str, None] = {}
        self._through: dict[str, None] = {}
        self._at = "/"
        self._links = 0
        self._missing = False
        self._status: Optional[os.stat_result] = None

    def to(self, path: str) -> Way:
        left = _parts(path)
        self._enter("/")
        while left:
            part = left.pop()
            if part == "..":
                self._up()
                continue
            left += self._step(part)
        kind = "" if self._status is None else _kind(self._status)
        exists, through = self._status is not None, tuple(self._through)
        return Way(path, self._at, exists, kind, tuple(self._loose), through=through)

    def _up(self) -> None:
        if self._missing:
            raise _Troubled(f"leads back from {self._at}, which is not there")
        self._enter(str(PurePosixPath(self._at).parent))

    def _step(self, part: str) -> list[str]:
        """Into `part` of where we are; what is to be followed instead, where it is a link."""
        here = f"{self._at.rstrip('/')}/{part}"
        if self._missing:
            self._at = here
            return []
        self._judge_folder()
        try:
            status = self._look(here)
        except FileNotFoundError:
            self._at, self._status, self._missing = here, None, True
            return []
        if not stat.S_ISLNK(status.st_mode):
            self._at, self._status = here, status
            return []
        return self._link(here, status)

    def _link(self, here: str, status: os.stat_result) -> list[str]:
        self._links += 1
        if self._links > LINKS_MAX:
            raise _Troubled(f"leads through more than {LINKS_MAX} links")
        served = self._mounts.of(here)
        if served is not None and served.kind == "proc":
            raise _Troubled(f"leads through {here}, a link that is another one for each process")
        if status.st_uid != self._owner:
            self._loose[f"{here} (a link of user {status.st_uid})"] = None
        target = str(Path(self._root + here).readlink())
        if target.startswith("/"):
            self._enter("/")
        return _parts(target)

    def _judge_folder(self) -> None:
        """Where we are, from which a name is looked up."""
        status, path = self._status, self._at
        self._through[path] = None
        if status is None:
            raise _Troubled(f"leads through {path}, which is not there")
        if not stat.S_ISDIR(status.st_mode):
            raise _Troubled(f"leads through {path}, which is not a folder")
        for words in self._faults(path, status):
            self._loose[f"{path} ({words})"] = None

    def _faults(self, path: str, status: os.stat_result) -> Iterator[str]:
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid != self._owner:
            yield f"of user {status.st_uid}"
        if mode & 0o022:
            who = "everybody" if mode & 0o002 else f"group {status.st_gid}"
            yield f"mode {mode:04o}: {who} may write"
        served = self._mounts.of(path)
        if served is not None and served.served_by:
            yield f"on a file system that user {served.served_by} serves"

    def _enter(self, path: str) -> None:
        self._at, self._status = path, self._look(path)

    def _look(self, path: str) -> os.stat_result:
        return os.lstat(self._root + path)


def _parts(path: str) -> list[str]:
    """In reverse: the first is the last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _kind(status: os.stat_result) -> str:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device" if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else "other"
