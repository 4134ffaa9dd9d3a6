"""Where controls are asked for: on this host, from what its agent wrote last, or at a master, for one host or all.

A host with an agent is asked about itself, unless a master, a host or the cluster is named. Elsewhere the cluster is asked: on a master's machine, or
where HULLMARK_MASTER names one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from hullmark.cli import address, door, failure, posturefile
from hullmark.cli.controlstext import Told
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked
from hullmark.errors import HullmarkError, UsageError
from hullmark.model.postureview import PostureList

if TYPE_CHECKING:
    from hullmark.config import AgentConfig
    from hullmark.model.control import Framework

PATH = "/v1/posture"


@dataclass(frozen=True)
class Place:
    """What the options said. `host`: one of the cluster's. `config`: this host's agent's file, empty: the usual one."""

    host: str = ""
    cluster: bool = False
    local: bool = False
    config: str = ""


def is_local(place: Place, asked: Asked) -> bool:
    """Whether this host is asked about itself. Raises UsageError for options that contradict each other."""
    here = place.local or bool(place.config)
    away = bool(place.host) or place.cluster or bool(asked.master)
    if here and away:
        raise UsageError(
            "--local and --config ask this host; --host, --cluster and --master a master",
            remedy="give one of them",
        )
    if here or away:
        return here
    return _is_looked_at(place) or not (address.named(asked) or _has_master(asked))


def _is_looked_at(place: Place) -> bool:
    """An agent has written what it found here."""
    try:
        return (Path(_config(place).run_dir) / posturefile.FILE).exists()
    except (HullmarkError, OSError):
        return False


def _has_master(asked: Asked) -> bool:
    try:
        return any(Path(one.path).exists() for one in address.find(asked))
    except (HullmarkError, OSError):
        return False


def this_host(place: Place, columns: int) -> Told:
    """Raises what reading the configuration or the posture raises."""
    config = _config(place)
    view = posturefile.read(config.run_dir)
    return Told(view, time.time(), _framework(config.framework), columns)


def of_the_cluster(place: Place, asked: Asked, columns: int) -> tuple[Told, ...]:
    """Of one host, or of all. Raises what asking a master raises."""
    query = {"host": place.host} if place.host else {}
    found = door.client(asked).ask(PostureList, PATH, query).hosts
    if not found:
        return ()
    now, framework = time.time(), _masters_framework()
    return tuple(Told(view, now, framework, columns) for view in found)


def _config(place: Place) -> AgentConfig:
    from hullmark.config import load_agent  # it reads YAML

    return load_agent(place.config or AGENT_FILE).config


def _masters_framework() -> Optional[Framework]:
    """The one of this machine's master; without one here, the one that a master has that was told nothing else."""
    from hullmark.config import load_master

    try:
        return _framework(load_master(str(address.MASTER_FILE)).config.framework)
    except HullmarkError as error:
        failure.warn([f"requirements are not shown: {error.message}"])
        return None


def _framework(name: str) -> Optional[Framework]:
    """None where it can't be read: what controls found is shown all the same."""
    from hullmark.config import load_framework

    try:
        return load_framework(name)
    except HullmarkError as error:
        failure.warn([f"requirements are not shown: {error.message}"])
        return None
