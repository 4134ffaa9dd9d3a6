"""Programs that a site's controls file names, which the agent runs as root: only those that nobody but root could have changed."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hullmark.host import ways
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

_INTERPRETERS = re.compile(
    r"(?:(?:ba|da|k|z)?sh|python[0-9.]*|perl[0-9.]*|ruby[0-9.]*|env|nice|ionice|timeout|setsid|sudo)"
)


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
    """The program, and where that runs others, what could be one."""
    yield program
    if _INTERPRETERS.fullmatch(Path(program).name):
        yield from (word for word in argv[1:] if word.startswith("/") and Path(word).is_file())


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
