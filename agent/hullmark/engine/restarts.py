"""The engine's own restart policies: `no` while there is an agent, set for those that stay when it leaves."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from hullmark.engine.connection import Connection, segment
from hullmark.errors import NotFound, Refused
from hullmark.model.ejection import EngineRestart


def policy_of(inspected: Mapping[str, Any]) -> EngineRestart:
    found = inspected["HostConfig"].get("RestartPolicy") or {}
    name = str(found.get("Name") or "no")
    attempts = int(found.get("MaximumRetryCount") or 0)
    return EngineRestart(name, attempts if name == "on-failure" else 0)


def body(wanted: EngineRestart) -> Mapping[str, Any]:
    return {"RestartPolicy": {"Name": wanted.name, "MaximumRetryCount": wanted.attempts}}


def change(connection: Connection, container_id: str, wanted: Mapping[str, Any]) -> None:
    """To be called within the gate. The container isn't restarted for it. Podman before 5.1 has no such call, or one that
    leaves the policy as it is: whoever asks looks afterwards what it became."""
    with contextlib.suppress(NotFound, Refused):
        connection.post(f"/containers/{segment(container_id)}/update", wanted)
