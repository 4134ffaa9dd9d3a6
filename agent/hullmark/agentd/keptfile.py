"""A file of the agent's own that it can do without: one that can't be read is set aside, and what was in it found anew."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.errors import BrokenState
from hullmark.model.wire import T
from hullmark.pki.files import read_document

_log = log.get("state")


def read_kept(cls: type[T], path: Path) -> Optional[T]:
    """None where there is none, or it can't be read: then it is kept as `NAME.damaged`."""
    try:
        return read_document(cls, path)
    except BrokenState as error:
        _log.error("can't be read, and is set aside", why=error.message)
    try:
        path.replace(path.with_name(path.name + ".damaged"))
    except OSError as error:
        _log.error("not set aside", file=path, why=error.strerror)
    return None
