"""How much room there is on the disk of a file."""

from __future__ import annotations

import os
from pathlib import Path

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble


def space(eye: Eye, name: str, path: str) -> Reading:
    """Of the file system that this file is on: `free_mib`, as auditd counts it, and `free_files`."""
    at, folder = eye.wall(), str(Path(path).parent)
    try:
        found = os.statvfs(eye.at(folder))
    except OSError as error:
        return Reading(name, folder, errors=str(error), trouble=Trouble.FAILED, at=at)
    facts = {
        "free_mib": str(found.f_bavail * found.f_frsize >> 20),
        "free_bytes": str(found.f_bavail * found.f_frsize),
        "free_files": str(found.f_favail) if found.f_files else "",
    }
    return Reading(name, folder, facts=facts, at=at)
