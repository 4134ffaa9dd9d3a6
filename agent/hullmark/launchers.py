"""Where this tree runs from: the packages' private folder, with a launcher for each daemon beside it, or a clone."""

from __future__ import annotations

from pathlib import Path
from typing import Optional


def launcher(daemon: str) -> Optional[Path]:
    """Of `agentd` or `masterd`, such as /usr/share/hullmark/agentd. None in a clone, and where that daemon's package
    is not installed."""
    path = Path(__file__).resolve().parent.parent / daemon
    return path if path.is_file() else None
