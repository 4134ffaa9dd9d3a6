"""New files with a token in them: mode 0600 from their first byte on, never written over another file."""

from __future__ import annotations

import os
from pathlib import Path

from hullmark.errors import Conflict, Refused


def check_free(path: Path) -> None:
    """Before a token is made for it. Raises Conflict where something is there, Refused for a folder that isn't there, or
    where this user may make nothing."""
    if os.path.lexists(path):
        raise _taken(path)
    if not path.parent.is_dir():
        raise Refused(f"{path.parent} is no folder", remedy=f"make it: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Refused(
            f"{path} can't be written: nothing may be made in {path.parent.absolute()} by this user",
            remedy="name a file in another folder",
        )


def write(path: Path, token: str) -> None:
    """Raises Conflict where something is there, Refused where it can't be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror}") from error


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} is there already", remedy="remove it, or name another file")
