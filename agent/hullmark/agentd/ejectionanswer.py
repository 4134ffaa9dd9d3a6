"""`hullmark eject` as a command: the engines of the host, and the answer, for people and as JSON."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Optional

from hullmark.agentd.ejection import Choice, Done, Leave, of_cluster
from hullmark.agentd.ejectionfolder import Folder
from hullmark.agentd.ejectionrecord import recorded
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.guard import Guard
from hullmark.agentd.problems import Problems
from hullmark.config import AgentConfig
from hullmark.core.ejection import Kept
from hullmark.engine.docker_api import SOCKETS, DockerApiEngine, find_engine, is_socket
from hullmark.engine.protocol import Engine
from hullmark.errors import EXIT_DEGRADED, EXIT_OK
from hullmark.host import service
from hullmark.host.login import person

SERVED = Path("/var/lib/hullmark/agent")
"""The state folder of the service that the packages install."""


def run_eject(config: AgentConfig, choice: Choice, *, as_json: bool) -> tuple[str, int]:
    """What to print, and the exit code: 1 where an engine would not take a policy, and for a dry run that would change
    something. Raises HullmarkError."""
    of_cluster(Path(config.state_dir))  # what is in no cluster need have no engine
    socket = find_engine(config.engine_socket)
    others: list[Engine] = [DockerApiEngine(url) for url in _other_sockets(socket)]
    guard = Guard(config, Problems(), lambda gate: DockerApiEngine(socket, gate=gate))
    engine: Engine = guard.engine
    try:
        state = Path(config.state_dir)
        # The service is that of the standard folder; an agent on another one is not its.
        stop = partial(service.stop, "agentd") if state == SERVED else lambda: None
        done = Leave(state, engine, choice, others, stop, partial(_record, guard)).run()
    finally:
        for each in (engine, *others):
            each.close()
    differs = bool(done.unset) or (done.dry_run and bool(done.changed))
    told = json.dumps(document(done), indent=2) if as_json else text(done)
    return told, EXIT_DEGRADED if differs else EXIT_OK


def _record(guard: Guard, enrolled: Enrolment) -> AbstractContextManager[None]:
    return recorded(guard, enrolled.host_id, enrolled.host, person())


def _other_sockets(used: str) -> list[str]:
    taken = {str(Path(used.replace("unix://", "", 1)).resolve())}
    found = []
    for path in map(Path, SOCKETS):
        real = str(path.resolve())
        if is_socket(path) and real not in taken:
            taken.add(real)
            found.append(f"unix://{path}")
    return found


def document(done: Done) -> dict[str, Any]:
    kept = {one.name: one for one in done.ejection.kept}
    return {
        "schema": "hullmark.eject/1",
        "host": done.enrolled.host,
        "host_id": done.enrolled.host_id,
        "cluster_id": done.enrolled.cluster_id,
        "engine": done.place.engine,
        "folder": done.place.folder,
        "dry_run": done.dry_run,
        "changed": bool(done.changed),
        "changes": list(done.changed),
        "apps": [
            {
                "name": one.app,
                "folder": f"{done.place.folder}/{one.app}",
                "containers": [
                    _container(name, service, kept.get(name), done)
                    for name, service in sorted(one.services.items())
                ],
            }
            for one in done.ejection.projects
        ],
        "leftovers": [{"name": one.name, "why": one.why} for one in done.ejection.leftovers],
        "notes": list(done.notes),
    }


def _container(name: str, service: str, found: Optional[Kept], done: Done) -> dict[str, Any]:
    return {
        "name": name,
        "service": service,
        "container_id": found.container_id if found else "",
        "running": bool(found and found.running),
        "restart": str(found.restart) if found else "",
        "restart_set": bool(found) and found not in done.unset and not done.dry_run,
    }


def text(done: Done) -> str:
    host, folder = done.enrolled.host, done.place.folder
    lines = list(done.changed) or [f"host {host} is ejected already, and nothing was left to do"]
    if done.ejection.projects and done.dry_run and not Folder(Path(folder)).is_ours():
        lines += ["", f"a Compose project for each app would be in {folder}; nothing was written"]
    elif done.ejection.projects:
        lines += ["", f"a Compose project for each app is in {folder}: see {folder}/README.md"]
    return "\n".join([*lines, "", *(f"note: {one}" for one in done.notes)])
