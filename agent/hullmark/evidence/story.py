"""What a pack tells, worked out from records once, for the report and the tables alike. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.outage import Incident, Outage

PROVEN, INTERRUPTED, NOT_PROVEN = "proven", "interrupted", "not proven"
NOT_COVERED, ELSEWHERE = "not covered", "elsewhere"
VERDICTS = (PROVEN, INTERRUPTED, NOT_PROVEN, ELSEWHERE, NOT_COVERED)


@dataclass(frozen=True)
class CheckStory:
    """One check on one host in the period. `passes`, `fails`, `errors` count looks; `raw` is the file in the pack with its newest
    readings, `source` the record that has them (`LOG #SEQ HASH`). `level` is the lowest that a pass proved, -1 where none did. `status` is
    the newest one."""

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
    source: str = ""


@dataclass(frozen=True)
class ControlStory:
    """`proven_s`: how much of the period it was passing, `failed_s` failing or giving an error, of `looked_s` in which it was looked at, and
    of `span_s` in which the host was there. `seen_elsewhere`: a second machine saw its canary (level 4); else the host says it of itself."""

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
    failed_s: float = 0.0
    span_s: float = 0.0

    @property
    def applies(self) -> bool:
        """Whether its tool was ever there in the period."""
        return bool(self.looked_s) or self.status != "not_applicable"

    @property
    def unlooked_s(self) -> float:
        return max(0.0, self.span_s - self.looked_s)


@dataclass(frozen=True)
class FunctionStory:
    """One security function on one host, by all controls that carry it there. `absent_s`: nothing there carried it. `span_s`: for how long
    it was to be there; of containers' functions only while there was something that they apply to. `passing`: it passed at the end."""

    host: str
    function: str
    proven_s: float
    failed_s: float
    absent_s: float
    span_s: float
    passing: bool
    level: int
    seen_elsewhere: bool = False

    @property
    def unlooked_s(self) -> float:
        return max(0.0, self.span_s - self.proven_s - self.failed_s - self.absent_s)


@dataclass(frozen=True)
class RequirementStory:
    """`verdict`: `proven` (each function that it names passed on every host for the whole period in which the host was there), `interrupted`
    (each passes at the end on every host, and failed or was not looked at for some time before), `not proven`, `elsewhere` (from
    records and inventory of this pack, not from controls), `not covered` (a host agent can't see it). `level` is the lowest of all functions and hosts.
    `controls` are (host, control id)."""

    requirement_id: str
    title: str
    coverage: str
    verdict: str
    covers: str
    gaps: str
    controls: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()
    why: str = ""
    level: int = -1
    functions: tuple[FunctionStory, ...] = ()


@dataclass(frozen=True)
class Table:
    """A CSV of the pack, also shown in the report where it is short."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Story:
    """`of` is the cluster's or host's name. `outages` are all of the period, also those of no incident."""

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
    """`hosts`, `apps`, `images`, `ports`, `people`, `actions`, `verification`: what there is."""
    remarks: tuple[str, ...] = ()
    """What the pack can't tell, and why: hosts that were not heard, records that are no longer there."""
    outages: tuple[Outage, ...] = ()
