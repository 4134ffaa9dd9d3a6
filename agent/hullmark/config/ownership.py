"""Who may change a daemon's files: root and the daemon's own user, and nobody else, neither the file nor its folder."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from hullmark.errors import Problem


def problems(main: Path, files: Iterable[str]) -> list[Problem]:
    """Of the files read, of the main file's folder also where that file isn't there yet, and of the folders behind symbolic
    links. What can't be looked at is left to who reads it."""
    paths = [Path(file) for file in files]
    folders = dict.fromkeys([main.parent, *(path.parent for path in paths)])
    folders.update(dict.fromkeys(path.resolve().parent for path in paths))
    return [
        problem for path in (*folders, *paths) for problem in problems_of(path, inside=main.parent)
    ]


def problems_of(path: Path, *, inside: Path) -> list[Problem]:
    """Of one file or folder. In the folder `inside` only named files are read: there the sticky bit (as of /tmp) is enough, as
    nobody can put another file in the place of one of ours."""
    try:
        status = path.stat()
    except OSError:
        return []
    found = []
    mode, folder = stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode)
    if status.st_uid not in (0, os.geteuid()):
        found.append(
            Problem(
                f"belongs to {_name(status.st_uid)}",
                file=str(path),
                allowed=f"root's, or the daemon's own: chown root {path}",
            )
        )
    sticky = folder and mode & stat.S_ISVTX and path == inside
    if mode & 0o022 and not sticky:
        who = "everybody" if mode & 0o002 else "its group"
        found.append(
            Problem(
                f"may be written by {who} (mode {mode:04o})",
                file=str(path),
                allowed=f"written by its owner only: chmod go-w {path}",
            )
        )
    return found


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
