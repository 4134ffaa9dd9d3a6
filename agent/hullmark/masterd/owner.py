"""Acting as the owner of the state folder where root started a command: so nothing in that folder is ever root's.

The packages give the folder to a user of its own, as whom the service runs. A folder that is root's, or isn't there yet, is
the business of who started the command.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.errors import Refused


@dataclass(frozen=True)
class Owner:
    uid: int
    gid: int
    name: str = ""
    """Empty for an id that the system has no name for."""


def owner_of(folder: Path) -> Optional[Owner]:
    """Whom to act as; None: as oneself."""
    if os.geteuid() != 0:
        return None
    try:
        status = folder.stat()
    except OSError:
        return None
    if status.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Owner(status.st_uid, status.st_gid)
    return Owner(status.st_uid, entry.pw_gid, entry.pw_name)


def become(owner: Owner, socket: Path) -> None:
    """For good. The folder of the socket is made for the owner first, where there is none, as /run is root's. Raises Refused."""
    try:
        if not socket.parent.exists():
            socket.parent.mkdir(mode=0o755, parents=True)
            os.chown(socket.parent, owner.uid, owner.gid)
        _take_groups(owner)
        os.setgid(owner.gid)
        os.setuid(owner.uid)
    except OSError as error:
        raise _cannot(owner, error) from error


@contextmanager
def acting_as(owner: Optional[Owner]) -> Iterator[None]:
    """For a while: files are made as the owner, and what the owner may not do fails. Raises Refused."""
    if owner is None:
        yield
        return
    groups = os.getgroups()
    try:
        _take_groups(owner)
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
    except OSError as error:
        raise _cannot(owner, error) from error
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _take_groups(owner: Owner) -> None:
    if owner.name:
        os.initgroups(owner.name, owner.gid)
    else:
        os.setgroups([owner.gid])


def _cannot(owner: Owner, error: OSError) -> Refused:
    who = owner.name or f"user {owner.uid}"
    return Refused(
        f"root can't act as {who}, the owner of the state folder: {error.strerror}",
        remedy=f"run it as that user: runuser -u {who} -- hullmark master run",
    )
