"""Controls: what of a host's security functions is looked at, by which checks, and what was found.

A **control** is one security function of a host carried by one tool (the audit trail by auditd, time by chrony). A **check** is
one way to test it. A check looks (a *probe* gives `Reading`s), and what was seen is judged (a *judge* gives a `Finding`); the
two are apart, so that each reading can be kept as evidence and each judgement be tried without a host.

A check's kind says how it looks and how it is judged: `checkkinds` has them all, with what each may be given.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

NOTHING_PROVEN = -1
INSTALLED, RUNNING, SELF_REPORT, CANARY, OTHER_HOST = range(5)
LEVELS: Mapping[int, str] = {
    INSTALLED: "installed",
    RUNNING: "running",
    SELF_REPORT: "self-report",
    CANARY: "canary",
    OTHER_HOST: "other host",
}
"""How far a check can prove that a control functions: 0 the tool is there, 1 it runs, 2 it says itself that it is well, 3 a
harmless canary was seen at the tool's own output by a path that the check did not write, 4 it was seen on another machine."""


SOUGHT = "sought"
"""In what a check is given, where its control's condition is none: it looks for what must not be, and a failure that only says that it
could not look is an error."""


class Condition(enum.Enum):
    """What has to be so for a control to pass, of those of its checks that apply."""

    ALL = "all"
    ANY = "any"
    NONE = "none"  # its checks look for what must not be


class Status(enum.Enum):
    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"  # the tool isn't on this host
    ERROR = "error"  # it could not be told: the check itself failed, timed out, or was given what it can't read
    NOT_RUN = "not_run"  # not yet, not any more, or switched off


class Trouble(enum.Enum):
    """Why a look gave nothing to judge."""

    NONE = ""
    MISSING = "missing"  # no such program, file, socket
    DENIED = "denied"  # this process may not
    TIMED_OUT = "timed out"
    FAILED = "failed"  # anything else; `errors` says what


@dataclass(frozen=True)
class Reading:
    """One thing that a probe looked at, as it was. `name` is how the judge knows it, `source` what a person would type or open:
    a command line, a path, `clamd: INSTREAM`. `text` is standard output or content, at most 64 KiB of it (`cut` says that there
    was more), `errors` standard error; `code` an exit code. `facts` are what has no text: `size`, `mtime`, `mode`, `uid`, `gid`,
    `nonce`, numbers as decimal text and modes in octal. `at` is seconds since 1970."""

    name: str
    source: str
    text: str = ""
    errors: str = ""
    code: Optional[int] = None
    trouble: Trouble = Trouble.NONE
    facts: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    at: float = 0.0


@dataclass(frozen=True)
class Finding:
    """What a judge made of readings. `level` is what this very finding proves, `NOTHING_PROVEN` unless it is a pass. `reason` is one
    sentence for people, always there but for a pass. `remedy` is the next thing to do, where the judge knows better than the
    control does. `not_exercised`: what a pass does not show, for evidence."""

    status: Status
    level: int = NOTHING_PROVEN
    reason: str = ""
    remedy: str = ""
    not_exercised: str = ""


@dataclass(frozen=True)
class CheckSpec:
    """One check, as a controls file has it. `kind` is a key of `checkkinds.KINDS`, `given` what that kind asks for, complete
    with its defaults. `level` is the most that its pass proves. Times in seconds."""

    check_id: str
    kind: str
    level: int
    interval_s: float
    timeout_s: float
    given: Mapping[str, object] = field(default_factory=dict)
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class ControlSpec:
    """`function` groups the controls of one security function, of which a host needs one that applies: `time`, by chrony or by
    timesyncd. `enabled` false: a site's file switched it off, and it is shown as that, never as a pass."""

    control_id: str
    function: str
    title: str
    rationale: str
    condition: Condition
    checks: tuple[CheckSpec, ...]
    remediation: str
    enabled: bool = True
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class CheckState:
    """A check's newest result. `since`: when it became this; `at`: when it was looked at last, 0.0 never. Seconds since 1970."""

    check_id: str
    status: Status
    level: int = NOTHING_PROVEN
    reason: str = ""
    remedy: str = ""
    since: float = 0.0
    at: float = 0.0
    took_s: float = 0.0
    not_exercised: str = ""


@dataclass(frozen=True)
class ControlState:
    """A control as it stands. `level` is the highest that its passing checks proved, also where it does not pass as a whole.
    `checks` are by id. `outage` is the id of the open outage, empty where there is none."""

    control_id: str
    function: str
    title: str
    status: Status
    level: int = NOTHING_PROVEN
    reason: str = ""
    remedy: str = ""
    since: float = 0.0
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    outage: str = ""


class Mode(enum.Enum):
    """`mode` in agent.yaml."""

    RUN = "run"  # checks its host, and runs what its cluster asks for
    OBSERVE = "observe"  # checks its host; no engine, and every order is refused


@dataclass(frozen=True)
class Posture:
    """All controls of a host at one time, by id. `at` is when it was put together, seconds since 1970; `interval_s` how soon
    the next one is due: one that is much older than that says nothing any more."""

    host: str
    mode: Mode
    controls: Mapping[str, ControlState]
    at: float
    interval_s: float = 5.0
    enrolled: bool = False
    problems: tuple[str, ...] = ()
    agent_version: str = ""


@dataclass(frozen=True)
class Requirement:
    """One requirement of a framework, and what gives evidence for it. `functions` are controls' functions or ids: each of
    them has to be proven. `covers` is what that shows, `gaps` what it does not, in our words. `sources` are other kinds of
    evidence: `audit`, `inventory`, `outages`, `policy`, `people`, `ports`, `change-control`. `unseen`: what it asks about that a
    host can't see at all, each in a few words."""

    requirement_id: str
    title: str
    coverage: str  # direct, partial or none
    functions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    covers: str = ""
    gaps: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framework:
    """`name` is the file's: `pci-dss-4.0.1`."""

    name: str
    title: str
    requirements: tuple[Requirement, ...] = ()

    def of(self, control: str, function: str) -> tuple[str, ...]:
        """Which requirements a control gives evidence for."""
        return tuple(
            each.requirement_id
            for each in self.requirements
            if control in each.functions or function in each.functions
        )

    def of_failure(self, control: str, function: str) -> tuple[str, ...]:
        """Which requirements a failure of it is about: also those that ask how failures are dealt with, whatever failed."""
        return (
            *self.of(control, function),
            *(
                each.requirement_id
                for each in self.requirements
                if "outages" in each.sources and not each.functions and each.coverage == "direct"
            ),
        )
