"""Programs that a site's controls file names, which the agent runs as root: only those that nobody but root could have changed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hullmark.host import ways
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

_INTERPRETERS = re.compile(
    r"(?:ba|da|k|z|c|tc|fi)?sh|(?:python|perl|ruby|lua|php|tclsh)[0-9.]*|node|nodejs|expect|busybox|env|nice|ionice"
    r"|timeout|setsid|sudo|su|runuser|nohup|stdbuf|xargs|chrt|taskset|unshare|nsenter|chroot"
)
_BY_SCRIPT = re.compile(r"[gmn]?awk|sed|make|gdb")
"""Read a program from the file behind `-f` (gdb: `-x`), and take others for what they are to read."""
_APART = ("-f", "-x", "--file", "--command", "--makefile")
_JOINED = re.compile(r"(?:-f|-x|--file=|--command=|--makefile=)(.+)", re.DOTALL)


def run(eye: Eye, name: str, argv: Sequence[str], *, owner: int = 0, root: str = "") -> Reading:
    """As `Eye.run`. `DENIED`, and not run, where somebody else than `owner` may change the program, a script that it is given, or the
    folders that lead there. `root` is where files are judged, for tests."""
    program = argv[0] if "/" in argv[0] else eye.program(argv[0])
    source, at = " ".join(argv), eye.wall()
    if not program:
        return Reading(name, source, trouble=Trouble.MISSING, at=at)
    for path in _run(program, argv):
        why = _why_not(path, owner, root)
        if why:
            found = Path(root + path).exists()
            trouble = Trouble.DENIED if found or path != program else Trouble.MISSING
            return Reading(name, source, errors=f"not run: {why}", trouble=trouble, at=at)
    return eye.run(name, [program, *argv[1:]])


def _run(program: str, argv: Sequence[str]) -> Iterator[str]:
    """The program, and what else it may be told to run: an interpreter any file that is there, others those that can be executed."""
    yield program
    interprets = _INTERPRETERS.fullmatch(Path(program).name) is not None
    by_script = _BY_SCRIPT.fullmatch(Path(program).name) is not None
    for before, word in zip(argv, argv[1:]):
        joined = _JOINED.fullmatch(word) if by_script else None
        is_script = joined is not None or (by_script and before in _APART)
        path = f"/{(joined[1] if joined else word).lstrip('/')}"  # programs are run in /
        if _is_file(path) and (interprets or is_script or os.access(path, os.X_OK)):
            yield path


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # longer than a path may be; with a NUL
        return False


def _why_not(path: str, owner: int, root: str) -> str:
    """Empty where only root may change it."""
    way = ways.follow(path, root=root, owner=owner)
    if way.trouble:
        return f"{path} {way.trouble}"
    if not way.exists or way.kind != "file":
        return f"{path} is no file"
    if way.loose:
        return f"others than root may put another file in the place of {path}: {way.loose[0]}"
    status = Path(root + way.end).stat()
    if status.st_uid != owner:
        return f"{path} belongs to user {status.st_uid}, not to root"
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022:
        return f"{path} may be written by others than root (mode {mode:04o})"
    return ""
