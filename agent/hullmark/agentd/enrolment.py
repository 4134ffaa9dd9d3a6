"""Who this host is in its cluster: what `agent enroll` wrote."""

from __future__ import annotations

import json
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from hullmark.agentd.files import replace_file
from hullmark.errors import BrokenState, InvalidInput, NotFound
from hullmark.model.wire import canonical, from_wire, to_wire

RECORD, KEY, CERTIFICATE, ROOT = "enrolment.json", "host.key", "host.pem", "root.pem"
AGAIN = "on a master: hullmark invite {host}; here: hullmark agent enroll --force --token-file FILE"


@dataclass(frozen=True)
class Enrolment:
    """`masters`: URLs of the agents' port. Times are seconds since 1970."""

    cluster_id: str
    host_id: str
    host: str
    masters: tuple[str, ...]
    valid_from: float
    valid_until: float


def load(folder: Path) -> Enrolment:
    """Raises NotFound for a host that isn't enrolled, BrokenState for damaged or open files."""
    try:
        enrolment = from_wire(
            Enrolment, json.loads((folder / RECORD).read_bytes()), ignore_unknown=True
        )
    except FileNotFoundError as error:
        raise NotFound(
            f"this host is not enrolled: {folder / RECORD} does not exist",
            remedy="on a master: hullmark invite HOST; here: hullmark agent enroll --token-file FILE",
        ) from error
    except (ValueError, InvalidInput) as error:
        raise BrokenState(
            f"{folder / RECORD} is damaged", remedy=AGAIN.format(host="HOST")
        ) from error
    except OSError as error:
        raise BrokenState(f"{folder / RECORD}: {error.strerror}") from error
    for name in (KEY, CERTIFICATE, ROOT):
        _check_file(folder / name, private=name == KEY, host=enrolment.host)
    return enrolment


def save(folder: Path, enrolment: Enrolment) -> None:
    """Written last of the enrolment's files: with it the host is enrolled."""
    replace_file(folder / RECORD, canonical(to_wire(enrolment)), 0o644)


def check_validity(enrolment: Enrolment, now: float) -> None:
    """Raises BrokenState outside the certificate's life."""
    if now > enrolment.valid_until:
        raise BrokenState(
            f"this host's certificate expired on {_day(enrolment.valid_until)}",
            remedy=AGAIN.format(host=enrolment.host),
        )
    if now < enrolment.valid_from:
        raise BrokenState(
            f"this host's certificate begins on {_day(enrolment.valid_from)}, "
            f"and its clock says {_day(now)}",
            remedy="set the clock: check chronyc tracking or timedatectl",
        )


def _check_file(path: Path, *, private: bool, host: str) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}", remedy=AGAIN.format(host=host)) from error
    if private and mode & 0o077:
        raise BrokenState(
            f"{path} is accessible to others (mode {mode:04o})",
            remedy=f"find out who read it, then: chmod 600 {path}",
        )


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
