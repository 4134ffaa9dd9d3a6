"""What a master does while its own audit log can't be written: it says so, and where it leads it hands over to one that can record.

It changes nothing meanwhile (`auditing`), and says in its record in the store that it is no ready standby.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress

from hullmark.core.redundancy import ready_standbys
from hullmark.errors import HullmarkError
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.cluster import Cluster
from hullmark.model.event import Event

LOOK_S = 1.0
PATIENCE_S = 5.0
"""A disk that hangs for a moment is no reason to change the leader."""


def tell_trouble(cluster: Cluster, master: str, why: str) -> None:
    """An event of the cluster; a standby has only its own log. `why` is empty where the audit log is written again."""
    if not cluster.is_leader:
        return
    kind = "audit.unwritable" if why else "audit.writable"
    message = f"nothing is changed through it: {why}" if why else ""
    subject = f"master {master}"
    cluster.record(Event(uuid.uuid4().hex, time.time(), kind, subject, master, message))


async def hand_over(auditing: Auditing, cluster: Cluster) -> None:
    """Until cancelled."""
    looks = 0
    while True:
        await asyncio.sleep(LOOK_S)
        looks = looks + 1 if auditing.trouble and cluster.is_leader else 0
        if looks * LOOK_S < PATIENCE_S or not ready_standbys(cluster.masters()):
            continue
        with suppress(HullmarkError):
            await cluster.step_down(f"its audit log can't be written: {auditing.trouble}")
