"""What a pack tells, worked out from records once, for the report and the tables alike. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.outage import Incident


@dataclass(frozen=True)
class CheckStory:
    """One check on one host in the period. `passes`, `fails`, `errors` count looks; `raw` is the file in the pack with its newest
    readings. `level` is the highest that a pass proved, -1 none."""

    check_id: str
    status: str
    level: int
    reason: str
    passes: int
    fails: int
    errors: int
    first_at: float
    last_at: float
    not_exercised: str = ""
    raw: str = ""


@dataclass(frozen=True)
class ControlStory:
    """`proven_s`: how much of the period it was passing, of `looked_s` in which it was looked at. `seen_elsewhere`: a second machine
    saw its canary (level 4); else the host says it of itself."""

    host: str
    control_id: str
    function: str
    title: str
    rationale: str
    status: str
    level: int
    reason: str
    proven_s: float
    looked_s: float
    seen_elsewhere: bool
    checks: tuple[CheckStory, ...]
    remediation: str = ""


@dataclass(frozen=True)
class RequirementStory:
    """`verdict`: `proven` (every function that it names passed on every host where it was looked at, for the whole period),
    `interrupted` (it did, with outages between), `not proven`, `not covered` (a host agent can't see it), `elsewhere` (from records and
    inventory of this pack, not from controls). `controls` are (host, control id)."""

    requirement_id: str
    title: str
    coverage: str
    verdict: str
    covers: str
    gaps: str
    controls: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Table:
    """A CSV of the pack, also shown in the report where it is short."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Story:
    """`of` is the cluster's or host's name. `verification`: each log, what was verified of it, and in whose words."""

    of: str
    framework: str
    begins: float
    ends: float
    made_at: float
    made_by: str
    version: str
    hosts: tuple[str, ...]
    requirements: tuple[RequirementStory, ...]
    controls: tuple[ControlStory, ...]
    incidents: tuple[Incident, ...]
    tables: tuple[Table, ...]
    """`hosts`, `apps`, `images`, `ports`, `people`, `actions`, `verification`."""
    remarks: tuple[str, ...] = ()
    """What the pack can't tell, and why: hosts that were not heard, records that are no longer there."""
