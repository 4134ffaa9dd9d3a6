"""This host's controls as its agent wrote them last: read here, without a master and without asking the agent."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

from hullmark.core.postures import unknown
from hullmark.errors import Forbidden, InvalidInput, Unavailable
from hullmark.launchers import start_command
from hullmark.model.control import Posture
from hullmark.model.durations import age
from hullmark.model.outage import Incident, Outage
from hullmark.model.postureview import HostPosture
from hullmark.model.wire import from_wire

FILE = "posture.json"
HERE, SILENT = "here", "silent"
MOST = 64 << 20
LATE = 4
"""A posture that is older than so many of its intervals is of an agent that does not look any more."""
GRACE_S = 10.0
AHEAD_S = 60.0


def read(run_dir: str, now: float = 0.0) -> HostPosture:
    """`state` is `here`, or `silent` where the agent has not written for too long: every control is `not_run` then. Raises Unavailable
    where there is nothing, Forbidden where this user may not read it."""
    file = Path(run_dir) / FILE
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST + 1)
    except FileNotFoundError as error:
        raise Unavailable(
            f"nobody has looked at this host's controls: there is no {file}",
            remedy=start_command("agentd"),
        ) from error
    except PermissionError as error:
        raise Forbidden(f"{file} may be read by root only", remedy="run it as root") from error
    except OSError as error:
        raise Unavailable(f"{file}: {(error.strerror or str(error)).lower()}") from error
    told = _told(file, content)
    state, silent_s, posture = _heard(told.posture, now or time.time())
    numbers = {key: one.number for one in told.incidents for key in one.outages}
    return HostPosture("", posture.host, state, silent_s, posture, told.outages, numbers)


@dataclass(frozen=True)
class _Told:
    posture: Posture
    outages: tuple[Outage, ...] = ()
    incidents: tuple[Incident, ...] = ()


def _told(file: Path, content: bytes) -> _Told:
    try:
        return from_wire(_Told, json.loads(content), ignore_unknown=True)
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            f"{file} is not what an agent writes", remedy=start_command("agentd")
        ) from error
    except InvalidInput as error:
        raise Unavailable(
            f"{file} is not understood: {error.problems[0]}",
            remedy="the agent and this command may be of different versions: restart the agent",
        ) from error


def _heard(posture: Posture, now: float) -> tuple[str, float, Posture]:
    """How it stands, for how many seconds nothing was heard, and what is to be shown."""
    silent_s = now - posture.at
    if -AHEAD_S <= silent_s <= LATE * posture.interval_s + GRACE_S:
        return HERE, max(0.0, silent_s), posture
    when = f"for {age(silent_s)}" if silent_s > 0 else "since the clock was set back"
    nothing = unknown(posture, f"the agent has told nothing {when}")
    controls = {name: replace(one, remedy="") for name, one in nothing.controls.items()}
    return SILENT, max(0.0, silent_s), replace(nothing, controls=controls)
