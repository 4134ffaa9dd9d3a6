"""How the check of the host's proxy looks at it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyconfig import CONFIG
from hullmark.engine.haproxyreading import digest_in
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble
from hullmark.model.proxy import ProxyLook

SETTLED_S = 4.0
"""How long a reload may take, between whose two workers nobody answers and during which files are newer than what runs."""
AGAIN_S = 0.25


class ProxySights:
    """`places` gives the proxy's folder and that of its sockets; `changes` what the agent found and mended since it was asked last."""

    def __init__(
        self,
        places: Callable[[], tuple[Path, Path]],
        changes: Callable[[], tuple[str, ...]],
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._changes = changes
        self._wait = wait
        self._clock = clock

    def look(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        folder, run_dir = self._places()
        source = str(run_dir / "worker.sock")
        if not folder.is_dir():
            return (Reading("proxy", str(folder), trouble=Trouble.MISSING, at=eye.wall()),)
        # By the clock: to ask one that is gone, or hangs, takes its time too.
        proxy, until = Haproxy(folder, run_dir), self._clock() + SETTLED_S
        seen, written = proxy.look(), _written(folder)
        while self._clock() < until and not (seen.up and seen.loaded == written):
            self._wait(AGAIN_S)
            seen, written = proxy.look(), _written(folder)
        reading = Reading(
            "proxy", source, errors=seen.why, facts=_facts(seen, written), at=eye.wall()
        )
        changes = "\n".join(self._changes())
        return reading, Reading("changes", str(folder), changes, at=eye.wall())


def _written(folder: Path) -> str:
    try:
        return digest_in((folder / CONFIG).read_text("utf-8", "replace"))
    except OSError:
        return ""


def _facts(seen: ProxyLook, written: str) -> dict[str, str]:
    return {
        "up": "yes" if seen.up else "no",
        "pid": str(seen.pid or ""),
        "version": seen.version,
        "loaded": seen.loaded,
        "written": written,
        "replaced": ", ".join(seen.replaced),
    }
