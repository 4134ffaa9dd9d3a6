"""The mark of a host that left its cluster: the enrolment's record under another name.

One rename makes it, and `agent enroll` is the way back. A host is ejected while it has the one record and not the other. Its
agent does nothing, also where its orders are still there: they are kept for whoever comes back.
"""

from __future__ import annotations

from pathlib import Path

from hullmark.agentd.enrolment import EJECTED, RECORD
from hullmark.errors import Forbidden
from hullmark.pki.files import sync_folder


def is_ejected(folder: Path) -> bool:
    """Raises Forbidden where this user may not look."""
    try:
        return (folder / EJECTED).exists() and not (folder / RECORD).exists()
    except PermissionError as error:
        raise Forbidden(f"{error.filename}: {error.strerror}", remedy="run it as root") from error


def mark(folder: Path) -> None:
    """On the disk when this returns. Raises OSError; the host is then enrolled as before."""
    (folder / RECORD).replace(folder / EJECTED)
    sync_folder(folder)
