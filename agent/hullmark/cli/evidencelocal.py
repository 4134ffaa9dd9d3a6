"""What a host has for a pack by itself: its own audit log, and without a cluster what people said of its incidents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hullmark.cli import auditfiles
from hullmark.cli.enrolledhere import is_enrolled
from hullmark.cli.evidencemaking import AFTER_S, BEFORE_S, Gathered, Period
from hullmark.cli.logparts import new_part
from hullmark.errors import Forbidden, HullmarkError, InvalidInput, NotFound
from hullmark.evidence.controlrecords import seconds_of
from hullmark.model import jsontext
from hullmark.model.auditline import place_of
from hullmark.model.control import Posture
from hullmark.model.outage import Incident
from hullmark.model.wire import from_wire

if TYPE_CHECKING:
    from hullmark.config import AgentConfig

POSTURE = "posture.json"
ALONE = "this host has no cluster: nobody but itself vouches for its records, and it signed this pack itself"
ENROLLED = (
    "this host has a cluster, and made and signed this pack alone: what masters vouch for, and keep of incidents, "
    "is not in it; with that: hullmark evidence export without --local"
)


def configuration(file: str) -> AgentConfig:
    """Raises InvalidInput."""
    from hullmark.config import load_agent

    return load_agent(file).config


def log_files(config: AgentConfig) -> tuple[Path, ...]:
    """Raises NotFound, Refused."""
    files = auditfiles.groups([str(Path(config.audit_dir) / auditfiles.GROWING)])
    if not files:
        raise NotFound(f"there is no audit log in {config.audit_dir}")
    return files[0]


def gather(config: AgentConfig, when: Period, folder: Path) -> Gathered:
    """Raises NotFound, Refused, Forbidden."""
    files = log_files(config)
    log = auditfiles.log_of(files)
    found = Gathered("", {})
    name, found.incidents = _told(config, found.remarks)
    name = name or log.partition(":")[2] or "this host"
    found.of, found.hosts = f"host {name}", {log: name}
    part = new_part(log, name, folder)
    for line in auditfiles.lines(files):
        place = place_of(line.text)
        at = seconds_of(place.at) if place is not None else 0.0
        wanted = when.begins - BEFORE_S <= at < when.ends + AFTER_S
        if line.ended and (wanted or (part.last and at < when.ends + AFTER_S)):
            part.put(line.text, when.ends)
    found.parts.append(part)
    if part.last:
        found.vouched.use(log, part.last)
    found.remarks.append(ENROLLED if is_enrolled(config.state_dir) else ALONE)
    return found


def _told(config: AgentConfig, remarks: list[str]) -> tuple[str, tuple[Incident, ...]]:
    """The host's name and its incidents, as the agent wrote them last."""
    file = Path(config.run_dir) / POSTURE
    try:
        found = jsontext.loads(file.read_bytes())
        posture = from_wire(Posture, found["posture"], ignore_unknown=True)
        incidents = [from_wire(Incident, one, ignore_unknown=True) for one in found["incidents"]]
    except PermissionError as error:
        raise Forbidden(f"{file} may be read by root only", remedy="run it as root") from error
    except (OSError, ValueError, KeyError, TypeError, InvalidInput) as error:
        why = error.message if isinstance(error, HullmarkError) else str(error)
        remarks.append(f"what people said of incidents is not here: {file}: {why}")
        return "", ()
    return posture.host, tuple(one for one in incidents if not one.merged_into)
