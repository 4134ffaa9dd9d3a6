"""Who this host is in its cluster: what `agent enroll` wrote, and each renewal after it.

The record names the files of the key and of the certificate that belong together. A renewal writes a new pair under
new names, then the record: its one rename takes host and pair over together, so that a crash leaves the old pair or the new.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from hullmark.errors import BrokenState, InvalidInput, NotFound
from hullmark.model import jsontext
from hullmark.model.moments import day
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki.files import write_file

RECORD, ROOT = "enrolment.json", "root.pem"
EJECTED = "ejected.json"
"""What the record is called once the host was ejected: see `ejected`."""
FIRST_PAIR = "host"
KEY, CERTIFICATE = f"{FIRST_PAIR}.key", f"{FIRST_PAIR}.pem"
SET_CLOCK = "set the clock: check chronyc tracking or timedatectl"
BACK = (
    "to come back: on a master: hullmark invite HOST; here: hullmark agent enroll --token-file FILE"
)
AGAIN = "on a master: hullmark invite {host}; here: hullmark agent enroll --force --token-file FILE"


@dataclass(frozen=True)
class Enrolment:
    """`masters`: URLs of the agents' port. Times are seconds since 1970. `pair`: the name that the files of key
    and certificate have in common."""

    cluster_id: str
    host_id: str
    host: str
    masters: tuple[str, ...]
    valid_from: float
    valid_until: float
    pair: str = FIRST_PAIR

    @property
    def key_name(self) -> str:
        return f"{self.pair}.key"

    @property
    def certificate_name(self) -> str:
        return f"{self.pair}.pem"


def read(folder: Path, record: str = RECORD) -> Enrolment:
    """The record alone. Raises NotFound for a host that isn't enrolled, BrokenState for a damaged record."""
    path = folder / record
    try:
        enrolment = from_wire(Enrolment, jsontext.loads(path.read_bytes()), ignore_unknown=True)
    except FileNotFoundError as error:
        if (folder / EJECTED).exists():
            raise NotFound(
                "this host was ejected: its containers are the engine's", remedy=BACK
            ) from error
        raise NotFound(
            f"this host is not enrolled: {path} does not exist",
            remedy="on a master: hullmark invite HOST; here: hullmark agent enroll --token-file FILE",
        ) from error
    except (ValueError, InvalidInput) as error:
        raise BrokenState(f"{path} is damaged", remedy=AGAIN.format(host="HOST")) from error
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}") from error
    if not enrolment.masters or "/" in enrolment.pair:
        raise BrokenState(f"{path} is damaged", remedy=AGAIN.format(host="HOST"))
    return enrolment


def load(folder: Path) -> Enrolment:
    """As `read`; also BrokenState where the files that it names are missing or open to others."""
    enrolment = read(folder)
    _check_file(folder / enrolment.key_name, private=True, host=enrolment.host)
    for name in (enrolment.certificate_name, ROOT):
        _check_file(folder / name, private=False, host=enrolment.host)
    return enrolment


def save(folder: Path, enrolment: Enrolment) -> None:
    """Written last of the enrolment's files: with it the host is enrolled. Raises OSError."""
    write_file(folder / RECORD, canonical(to_wire(enrolment)))


def check_validity(enrolment: Enrolment, now: float) -> None:
    """Raises BrokenState outside the certificate's life."""
    if now > enrolment.valid_until:
        raise BrokenState(
            f"this host's certificate expired on {day(enrolment.valid_until)}",
            remedy=f"if this host's clock is wrong, set it; else {AGAIN.format(host=enrolment.host)}",
        )
    if now < enrolment.valid_from:
        raise BrokenState(
            f"this host's certificate begins on {day(enrolment.valid_from)}, "
            "and its clock is before that",
            remedy=SET_CLOCK,
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
