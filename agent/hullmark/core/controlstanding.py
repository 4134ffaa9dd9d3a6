"""What the cluster's status tells of change control: break-glass above all, until somebody else has signed it off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.core.overview import Finding
from hullmark.model.changecontrol import BreakGlassRecord
from hullmark.model.durations import age

REASON_TOLD = 80


def control_findings(unsigned: Sequence[BreakGlassRecord], now: float) -> Iterator[Finding]:
    """`unsigned`: those that nobody has signed off, the oldest first."""
    for record in unsigned:
        reason = record.reason[:REASON_TOLD]
        who = f"break-glass {record.glass_id} of {record.opener.who}"
        if now < record.until:
            note = f"{who} is OPEN, {age(record.until - now)} left: {reason}"
            yield 1, note, f"hullmark break-glass close {record.glass_id}   (once it is not needed)"
        else:
            note = f"{who} is over, and not signed off: {reason}"
            yield 1, note, f"hullmark break-glass sign-off {record.glass_id}   (another person)"


def waiting_finding(number: int) -> Iterator[Finding]:
    if number:
        what = "1 change waits" if number == 1 else f"{number} changes wait"
        yield 0, f"{what} for approval: hullmark changes", ""
