"""Pictures of files: owner, mode and content of everything at or below some places.

A file whose size, times and inode are as they were keeps the digest that it had; with `afresh` each is read again, because whoever
can change a file can set its times back. Symbolic links are told, not followed. Other file systems below a place are left out.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Callable, Optional

from hullmark.model.watchedfile import FileState

FILES_MOST = 200_000
CHUNK = 1 << 20
SKIPPED = frozenset({"__pycache__"})
"""Written by Python itself, for whichever version the host has."""


def take(
    places: Iterable[str],
    before: Mapping[str, FileState],
    *,
    afresh: bool = False,
    read: Callable[[int], None] = lambda size: None,
    root: str = "/",
) -> tuple[dict[str, FileState], tuple[str, ...]]:
    """The picture, and what could not be looked at, in words. A place that is not there is no trouble. `read` is told of the bytes
    that were read, and may wait."""
    found: dict[str, FileState] = {}
    troubles: list[str] = []
    for place in places:
        for path in _walk(root, place, troubles):
            if len(found) >= FILES_MOST:
                troubles.append(f"{place}: more than {FILES_MOST} files; the rest is not watched")
                return found, tuple(troubles)
            state = _state(root, path, None if afresh else before.get(path), read)
            if state is not None:
                found[path] = state
                if state.unread:
                    troubles.append(f"{path}: {state.unread}")
    return found, tuple(troubles)


def folders(places: Iterable[str], root: str = "/") -> Iterator[str]:
    """Those in which something can change that `take` tells: of a place that is a file, the folder that it is in."""
    for place in places:
        whole = Path(root, place.lstrip("/"))
        if whole.is_dir() and not whole.is_symlink():
            yield from (path for path in _walk(root, place, []) if _is_folder(root, path))
        elif whole.parent.is_dir():
            yield str(Path(place).parent)


def _is_folder(root: str, path: str) -> bool:
    try:
        return stat.S_ISDIR(Path(root, path.lstrip("/")).lstat().st_mode)
    except OSError:
        return False


def _walk(root: str, place: str, troubles: list[str]) -> Iterator[str]:
    top = Path(root, place.lstrip("/"))
    try:
        first = top.lstat()
    except OSError:
        return
    yield place
    if not stat.S_ISDIR(first.st_mode):
        return
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(Path(root, folder.lstrip("/"))) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            troubles.append(f"{folder}: {error.strerror}")
            continue
        for entry in names:
            if entry.name in SKIPPED:
                continue
            path = f"{folder.rstrip('/')}/{entry.name}"
            yield path
            if entry.is_dir(follow_symlinks=False) and _is_on(entry, first.st_dev):
                waiting.append(path)


def _is_on(entry: os.DirEntry[str], device: int) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_dev == device
    except OSError:
        return False


def _state(
    root: str, path: str, before: Optional[FileState], read: Callable[[int], None]
) -> Optional[FileState]:
    """None for what is gone meanwhile."""
    whole = Path(root, path.lstrip("/"))
    try:
        found = whole.lstat()
    except OSError:
        return None
    kind = _kind(found.st_mode)
    digest, target, unread = "", "", ""
    if kind == "file":
        same = before is not None and not before.unread and _looks(before) == _look(found)
        if before is not None and same:
            digest = before.sha256
        else:
            digest, unread = _digest(whole, read)
    elif kind == "link":
        try:
            target = str(whole.readlink())
        except OSError as error:
            unread = error.strerror or "could not be read"
    return FileState(
        kind,
        f"{stat.S_IMODE(found.st_mode):04o}",
        found.st_uid,
        found.st_gid,
        digest,
        target,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        unread,
    )


def _looks(state: FileState) -> tuple[int, ...]:
    return state.size, state.mtime_ns, state.ctime_ns, state.inode


def _look(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _kind(mode: int) -> str:
    for is_kind, name in (
        (stat.S_ISREG, "file"),
        (stat.S_ISDIR, "folder"),
        (stat.S_ISLNK, "link"),
        (stat.S_ISSOCK, "socket"),
    ):
        if is_kind(mode):
            return name
    return "other"


def _digest(path: Path, read: Callable[[int], None]) -> tuple[str, str]:
    """The content's SHA-256, and why there is none."""
    hashed = hashlib.sha256()
    try:
        # What was a regular file a moment ago may be a pipe by now: nothing is waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - of a descriptor
            while True:
                chunk = file.read(CHUNK)
                if not chunk:
                    return hashed.hexdigest(), ""
                hashed.update(chunk)
                read(len(chunk))
    except OSError as error:
        return "", error.strerror or "could not be read"
