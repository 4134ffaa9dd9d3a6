"""How checks look at a host's tools: one module for each family, as in `model/checkkinds`. A probe looks and says what it saw; it judges nothing.

What needs the engine looks by `engine/probes.py`; what needs the agent (watched files, receipts of other hosts) by `agentd`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.host.eye import Probe
from hullmark.host.probes import (
    aide,
    audittrail,
    clamav,
    clocks,
    fail2ban,
    firewalls,
    generic,
    journal,
    logfiles,
    syslogs,
    updates,
)

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
    generic,
)
PROBES: Mapping[str, Probe] = {
    name: probe for family in _FAMILIES for name, probe in family.PROBES.items()
}

__all__ = ["PROBES"]
