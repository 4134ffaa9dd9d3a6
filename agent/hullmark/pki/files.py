"""Files of a daemon's own: written whole or not at all, private ones readable by the owner only."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import Any, Optional

from hullmark.errors import BrokenState, InvalidInput, NotFound
from hullmark.model import jsontext
from hullmark.model.wire import T, canonical, from_wire, to_wire


def write_file(path: Path, content: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Replace a file atomically. Where `durable`, it is on the disk, and so is its name, when this returns.
    Raises OSError; the old content is then still there. One writer at a time: a draft that was left
    by one that died is written over."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """A file with a secret: mode 0600 from its first byte on."""
    write_file(path, content, 0o600)


def read_document(cls: type[T], path: Path) -> Optional[T]:
    """A dataclass that `write_document` wrote; None where there is no file. Raises BrokenState where it can't be read."""
    try:
        return from_wire(cls, jsontext.loads(path.read_bytes()), ignore_unknown=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, InvalidInput) as error:
        raise BrokenState(f"{path} can't be read: {error}") from error


def write_document(path: Path, document: Any) -> None:
    """A dataclass, mode 0600. Raises OSError."""
    write_private(path, canonical(to_wire(document)))


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder durable (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """Raises NotFound, or BrokenState for one that others than its owner may read or write."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise BrokenState(
                    f"{path} is accessible to others (mode {stat.S_IMODE(mode):04o})",
                    remedy=f"find out who read it, then: chmod 600 {path}",
                )
            return file.read()
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist") from error
    except PermissionError as error:
        raise BrokenState(
            f"{path} is not readable by this user",
            remedy=f"make it his: chown {this_user()} {path}",
        ) from error


def this_user() -> str:
    """The name of the user that this process acts as, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
