"""A host that was ejected and has come back: its containers' restart policies are the agent's again.

`eject` left each to its engine. With both, a container would be started by nobody's judgement, and counted by nobody. So the
engine's policies are taken back, once, and the mark goes with them. What Compose has made is not the agent's, and stays.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from hullmark import log
from hullmark.agentd.asked import Asked, asking
from hullmark.agentd.enrolment import EJECTED
from hullmark.agentd.pulse import rest
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError, NotFound
from hullmark.model.ejection import NO_RESTART

_log = log.get("homecoming")

RETRY_S = 5.0
REASON = "the host has come back to its cluster: its containers are the agent's to restart"


class Homecoming:
    """`run` ends as soon as there is nothing to take back."""

    def __init__(self, folder: Path, engine: Engine, cluster_id: str) -> None:
        self._mark = folder / EJECTED
        self._engine = engine
        self._cluster_id = cluster_id

    def run(self, stopping: threading.Event) -> None:
        while self._mark.exists() and not stopping.is_set():
            try:
                with asking(Asked(reason=REASON)):
                    self._take_back()
                self._mark.unlink(missing_ok=True)
            except (HullmarkError, OSError) as error:
                _log.debug("restart policies are not taken back yet", why=str(error))
                rest(stopping, RETRY_S)

    def _take_back(self) -> None:
        for row in self._engine.listed():
            with suppress(NotFound):
                if self._engine.container(row.container_id).cluster_id != self._cluster_id:
                    continue
                if self._engine.restart_policy(row.container_id) != NO_RESTART:
                    left = self._engine.set_restart_policy(row.container_id, NO_RESTART)
                    _log.info("restarted by the agent again", container=row.name, policy=left)
