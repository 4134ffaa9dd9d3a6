"""The mark: which controls a host has to prove before it gets new work, and what a person decided about that.

    GET    /v1/mark                            -> LoadLineView
    PUT    /v1/mark            LoadLineRequest     -> LoadLineAnswer
    DELETE /v1/mark            LoadLineRemoval     -> LoadLineAnswer
    POST   /v1/mark/override   OverrideRequest -> LoadLineAnswer
    DELETE /v1/mark/override   OverrideEnd     -> LoadLineAnswer

The code calls it the load line, for a mark there is already: the one that a term has.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Optional

from hullmark.model.change import Change
from hullmark.model.control import INSTALLED, SELF_REPORT
from hullmark.model.scope import CDE

CONTROL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Of a control, or of the function that several controls stand for each other in."""
BRAKE = 0.2
DRAIN_AFTER_S = 300.0
OVERRIDE_S = 8 * 3600.0
OVERRIDE_LEAST_S, OVERRIDE_MOST_S = 60.0, 30 * 86400.0
REQUIRED_MOST = 100
OVERRIDES_MOST = 200
EVERY_CONTROL = "*"
"""What an override of one app's may name: all that it needs."""


@dataclass(frozen=True)
class Required:
    """A control has to pass, or one of the controls of a function, and to prove at least `level` (`control.LEVELS`)."""

    control: str
    level: int = INSTALLED


_OF_CDE = (Required("container-routing", SELF_REPORT),)


def of_scope(scope: str) -> tuple[Required, ...]:
    """What services of this scope need without anybody's asking: what they listen on is reached only as it was declared."""
    return _OF_CDE if scope == CDE else ()


@dataclass(frozen=True)
class LoadLine:
    """`require` is what every service needs; a service may ask for more. `drain`: what may run elsewhere leaves a host that has
    failed for `drain_after_s`. `brake`: where a larger share of the hosts that would do otherwise fail one control, nothing is
    placed that needs it, and nothing leaves because of it, until a person decides."""

    require: tuple[Required, ...] = ()
    drain: bool = False
    drain_after_s: float = DRAIN_AFTER_S
    brake: float = BRAKE


NO_LINE = LoadLine()


@dataclass(frozen=True)
class Override:
    """A person's word that a control is not needed for new work, from `at` to `until` (seconds since 1970). `app`: for this app
    alone; only then `control` may be EVERY_CONTROL."""

    control: str
    by: str
    ticket: str
    at: float
    until: float
    app: str = ""
    request_id: str = ""

    def covers(self, app: str, control: str, now: float) -> bool:
        mine = self.app in ("", app) and self.control in (control, EVERY_CONTROL)
        return mine and now < self.until


@dataclass(frozen=True)
class LoadLineRecord:
    """`change` None: no mark is set, and only overrides are kept, of what apps ask for."""

    line: LoadLine = NO_LINE
    change: Optional[Change] = None
    overrides: tuple[Override, ...] = ()


NO_RECORD = LoadLineRecord()


class Lack(enum.Enum):
    """Why a host does not prove what is required, the one that is nearest to it first."""

    LOW = "low"  # it passes, and proves too little
    FAIL = "fail"
    ERROR = "error"  # it could not be told
    NOT_RUN = "not_run"  # not looked at, or not lately
    NOT_APPLICABLE = "not_applicable"  # its tool is not there
    UNKNOWN = "unknown"  # the host has no such control, or says nothing of any
    SILENT = "silent"  # the host is not heard: what it said is old


@dataclass(frozen=True)
class Miss:
    """What one host lacks of one requirement. `control` as it is required, `carrier` the control of the host that comes
    closest, empty where there is none. `since` as that says it, 0.0 unknown. `outage` is its id."""

    control: str
    lack: Lack
    text: str
    carrier: str = ""
    reason: str = ""
    since: float = 0.0
    outage: str = ""
    incident: int = 0


@dataclass(frozen=True)
class LoadLineRequest:
    line: LoadLine
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class LoadLineRemoval:
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class OverrideRequest:
    """A ticket is always needed. An override of the same control, for the same app, is replaced."""

    control: str
    request_id: str
    ticket: str
    for_s: float = OVERRIDE_S
    app: str = ""


@dataclass(frozen=True)
class OverrideEnd:
    control: str
    request_id: str
    ticket: str = ""
    app: str = ""


@dataclass(frozen=True)
class LoadLineAnswer:
    """`changed` False: it was so before. `warnings` are for people."""

    changed: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarkedHost:
    """A host that does not prove what the cluster's mark requires. Overridden requirements are told too."""

    host: str
    misses: tuple[Miss, ...]


@dataclass(frozen=True)
class BrakeView:
    """Too many hosts fail a control for the fault to be theirs. `eligible` are the hosts that would do otherwise; `services` are
    those for which it is so, as `app/service`, none where it is for the cluster's mark alone."""

    control: str
    failing: int
    eligible: int
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadLineView:
    """`applied` False: the cluster has no mark; services may ask for controls all the same. `overrides` are those in force."""

    applied: bool
    line: LoadLine = NO_LINE
    by: str = ""
    at: float = 0.0
    ticket: str = ""
    overrides: tuple[Override, ...] = ()
    brakes: tuple[BrakeView, ...] = ()
    hosts: tuple[MarkedHost, ...] = ()
    hosts_total: int = 0
    warnings: tuple[str, ...] = ()
