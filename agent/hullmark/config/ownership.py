"""Who may change a daemon's files: root and the daemon's own user, and nobody else, neither a file nor what leads to it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from hullmark.errors import Problem

LINKS_MAX = 40
"""As Linux has it; see path_resolution(7)."""


def problems(files: Iterable[Path], *, inside: Optional[Path] = None) -> list[Problem]:
    """Of the files, and of all folders and links that lead to them. What can't be looked at is left to who reads it.

    Where the sticky bit is set (as of /tmp) nobody can put another file in the place of one of ours. That is enough for a
    folder higher up, and for the folder `inside`, of which only named files are read; not for one whose files are all read.
    """
    found: dict[Path, os.stat_result] = {}
    strict: set[Optional[Path]] = set()
    for file in files:
        way, end = _way(file)
        found.update(way)
        if end is not None:
            strict |= {end, end.parent, _way(file.parent)[1]}
    if inside is not None:
        strict.discard(_way(inside)[1])
    return [
        problem
        for path, status in found.items()
        for problem in _problems_of(path, status, strict=path in strict)
    ]


def _way(path: Path) -> tuple[dict[Path, os.stat_result], Optional[Path]]:
    """All that decides what is found there: folders, links and the file, as far as they can be looked at; and where it ends."""
    at, left, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    found = {at: at.lstat()}
    while left:
        part = left.pop()
        if part == "..":
            at = at.parent
            continue
        following = at / part
        try:
            found[following] = status = following.lstat()
            target = following.readlink() if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            return found, None
        if target is None:
            at = following
            continue
        links += 1
        if links > LINKS_MAX:
            return found, None
        at = Path("/") if target.is_absolute() else at
        left += [part for part in reversed(target.parts) if part != "/"]
    return found, at


def _problems_of(path: Path, status: os.stat_result, *, strict: bool) -> list[Problem]:
    found = []
    mode = stat.S_IMODE(status.st_mode)
    folder, link = stat.S_ISDIR(status.st_mode), stat.S_ISLNK(status.st_mode)
    instead = ", or keep the files elsewhere" if folder or link else ""
    if status.st_uid not in (0, os.geteuid()):
        chown = "chown -h root" if link else "chown root"
        found.append(
            Problem(
                f"belongs to {_name(status.st_uid)}",
                file=str(path),
                allowed=f"root's, or the daemon's own: {chown} {path}{instead}",
            )
        )
    sticky = folder and mode & stat.S_ISVTX and not strict
    if mode & 0o022 and not link and not sticky:
        who = "everybody" if mode & 0o002 else "its group"
        found.append(
            Problem(
                f"may be written by {who} (mode {mode:04o})",
                file=str(path),
                allowed=f"written by its owner only: chmod go-w {path}{instead}",
            )
        )
    return found


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
