"""What commands did to a master beside its daemon (`init`, `join`, `init --reclaim`, `snapshot restore`): noted in a file, which the daemon
takes into its audit log when it runs, at once or when it is started next. Only one process may write a log.

A note is made before the command begins, and one when it has ended. Until the daemon has taken them they are no part of any chain.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hullmark.errors import AuditUnavailable, HullmarkError, InvalidInput
from hullmark.model import jsontext
from hullmark.model.audit import Actor, Entry, Outcome
from hullmark.model.moments import moment
from hullmark.model.wire import canonical, from_wire, to_wire

FILE = "audit.notes"
NOTE_MAX_BYTES = 64 << 10
HAPPENED_AT = "happened_at"


@contextmanager
def noted(folder: Path, kind: str, subject: str, by: str) -> Iterator[None]:
    """`folder` is the master's state folder; one that isn't there yet gets a note at the end only. Raises AuditUnavailable before
    anything is begun, and what the body raises."""
    entry = Entry(kind, subject, by=by, actor=Actor.HUMAN, origin="local")
    if folder.is_dir():
        leave(folder, replace(entry, outcome=Outcome.PENDING))
    try:
        yield
    except HullmarkError as error:
        if folder.is_dir():
            leave(folder, replace(entry, outcome=Outcome.FAILURE, reason=error.message[:1024]))
        raise
    leave(folder, entry)


def done(folder: Path, kind: str, master: str, by: str) -> None:
    """Of a command that made this master what it is, and that does nothing where that is so already. Raises AuditUnavailable."""
    leave(folder, Entry(kind, f"master {master}", by=by, actor=Actor.HUMAN, origin="local"))


def leave(folder: Path, entry: Entry) -> None:
    """On the disk. Raises AuditUnavailable."""
    fields = {**entry.fields, HAPPENED_AT: moment(time.time())}
    line = canonical(to_wire(replace(entry, fields=fields))) + b"\n"
    try:
        descriptor = _opened(folder / FILE)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AuditUnavailable(
            f"{folder / FILE} can't be written: {error.strerror}", remedy="nothing was begun"
        ) from error


def _opened(path: Path) -> int:
    """Locked, and still the file of that name."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def waiting(folder: Path) -> list[Entry]:
    """In their order; what is no note is left out. Raises OSError."""
    try:
        with (folder / FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    return [entry for line in lines for entry in _read(line)]


def taken(folder: Path, count: int) -> None:
    """So many are in the log. Raises OSError."""
    path = folder / FILE
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines(keepends=True)
        notes = [line for line in lines if list(_read(line))]
        if len(notes) <= count:
            path.unlink()
            return
        file.seek(0)
        file.truncate()
        file.write(b"".join(notes[count:]))


def _read(line: bytes) -> Iterator[Entry]:
    if len(line) > NOTE_MAX_BYTES:
        return
    try:
        yield from_wire(Entry, jsontext.loads(line), ignore_unknown=True)
    except (ValueError, InvalidInput):
        return


def whoever() -> str:
    """The person at the terminal, also under sudo, as the kernel keeps it (proc(5), loginuid)."""
    try:
        number = int(Path("/proc/self/loginuid").read_text())
        login = "" if number == 0xFFFFFFFF else pwd.getpwuid(number).pw_name
    except (OSError, ValueError, KeyError):
        login = ""
    try:
        here = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        here = str(os.getuid())
    return f"{login} as {here}" if login and login != here else here
