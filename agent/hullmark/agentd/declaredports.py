"""What is known here of the ports that containers may listen on: for the check that looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from hullmark.agentd import statefile
from hullmark.agentd.directorykeeper import FILE, KeptDirectory
from hullmark.engine.listenerlooks import Sources
from hullmark.errors import BrokenState
from hullmark.host.listeners import of_containers


def sources(state_dir: Path) -> Sources:
    """By the directory that this host accepted last, as it is on the disk: who looks may outlive whoever keeps it."""
    return Sources(lambda: _declared(state_dir / FILE), of_containers)


def _declared(path: Path) -> Optional[Mapping[str, tuple[int, ...]]]:
    damaged: list[str] = []
    try:
        kept = statefile.read_sealed(path, "directory", KeptDirectory, damaged)
    except BrokenState:
        return None
    if kept is None or damaged:
        return None
    return {str(entry.name): entry.ports for entry in kept.directory.services}
