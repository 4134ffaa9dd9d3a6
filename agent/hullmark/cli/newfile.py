"""A file that is there whole or not at all, of mode 0600 from its first byte on."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hullmark.errors import Conflict, Refused

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""Of file systems that have no hard links (link(2))."""


@contextlib.contextmanager
def new_file(
    path: Path, *, replace: bool, remedy: str = "name another file, or add --force"
) -> Iterator[BinaryIO]:
    """To be written to. It gets its name, on the disk, once the block ends well. Raises Conflict where something has the name
    and is not to be replaced, before anything is written or at the end; Refused where it can't be written, or where what is there
    is no file: a device, such as /dev/null, would be gone for everybody. `remedy` is for a name that is taken."""
    if os.path.lexists(path):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Refused(f"{path} is no regular file", remedy="name a new file")
        if not replace:
            raise _taken(path, remedy)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                yield file
                file.flush()
                os.fsync(file.fileno())
            _name(draft, path, replace=replace)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _taken(path, remedy) from error
    except OSError as error:
        raise Refused(
            f"{path} can't be written: {error.strerror}",
            remedy="name a file in a folder that exists, on a disk with room",
        ) from error


def _name(draft: Path, path: Path, *, replace: bool) -> None:
    if replace:
        draft.replace(path)
    else:
        _link(draft, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(draft: Path, path: Path) -> None:
    """Fails where the name is taken, unlike a rename."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it exists") from error
        draft.replace(path)


def _taken(path: Path, remedy: str) -> Conflict:
    return Conflict(f"{path} is there already", remedy=remedy)
