"""Controls of a host that are looked at, for tests of outages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.outages import Outages, Told, fold
from hullmark.core.posture import control_state
from hullmark.model.control import (
    CheckSpec,
    CheckState,
    Condition,
    ControlSpec,
    ControlState,
    Status,
)
from hullmark.model.host import Maintenance


def spec(control_id: str = "trail", *checks: str) -> ControlSpec:
    names = checks or ("daemon",)
    of = tuple(CheckSpec(name, "audittrail.daemon", 1, 10.0, 5.0) for name in names)
    return ControlSpec(
        control_id, f"function-{control_id}", "T", "why", Condition.ALL, of, "mend it"
    )


@dataclass
class Looked:
    """One host. `look` is a look at a check; `restart` what a start of the agent leaves."""

    specs: dict[str, ControlSpec] = field(default_factory=lambda: {"trail": spec()})
    now: float = 1000.0
    known: Outages = field(default_factory=Outages)
    told: list[Told] = field(default_factory=list)
    maintenance: Optional[Maintenance] = None
    checks: dict[str, dict[str, CheckState]] = field(default_factory=dict)
    states: dict[str, ControlState] = field(default_factory=dict)

    def look(
        self, status: Status, after_s: float = 10.0, control: str = "trail", check: str = "daemon"
    ) -> list[Told]:
        self.now += after_s
        of = self.checks.setdefault(control, {})
        before = of.get(check)
        since = before.since if before is not None and before.status is status else self.now
        of[check] = CheckState(check, status, 1, f"it is {status.value}", since=since, at=self.now)
        made = control_state(self.specs[control], of, before=self.states.get(control), now=self.now)
        self.states[control] = made
        return self.take()

    def take(self) -> list[Told]:
        self.known, told = fold(self.known, "web1", self.states, self.now, self.maintenance)
        self.told += told
        return list(told)

    def restart(self) -> None:
        self.checks.clear()
        self.states = {
            name: control_state(one, {}, now=self.now) for name, one in self.specs.items()
        }
