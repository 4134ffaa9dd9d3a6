"""What checks find: pure functions from readings to findings, one module for each family of tools, as in `model/checkkinds`."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.checks import (
    aide,
    audittrail,
    clamav,
    clocks,
    containers,
    engines,
    fail2ban,
    firewalls,
    forwarding,
    generic,
    journal,
    logfiles,
    proxy,
    syslogs,
    updates,
    watchedfiles,
)
from hullmark.core.checks.judge import Judge, Seen

_FAMILIES = (
    audittrail,
    syslogs,
    journal,
    logfiles,
    aide,
    clamav,
    fail2ban,
    clocks,
    updates,
    firewalls,
    engines,
    containers,
    generic,
    watchedfiles,
    forwarding,
    proxy,
)
JUDGES: Mapping[str, Judge] = {
    name: judge for family in _FAMILIES for name, judge in family.JUDGES.items()
}

__all__ = ["JUDGES", "Judge", "Seen"]
