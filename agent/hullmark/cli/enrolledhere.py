"""Whether this very host is one of a cluster's, by what its agent keeps."""

from __future__ import annotations

from pathlib import Path

from hullmark.errors import Forbidden


def is_enrolled(state_dir: str) -> bool:
    """Raises Forbidden."""
    file = Path(state_dir) / "enrolment.json"
    try:
        return file.exists()
    except PermissionError as error:
        raise Forbidden(f"{file} may be read by root only", remedy="run it as root") from error
