"""Whether canaries arrive on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Optional

from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    untold,
)
from hullmark.model.control import Finding, Reading, Status, Trouble

CONFIGURED, SENT, RECEIPTS = "configured", "sent", "receipts"
LOG_HOST = (
    "on the log host, set controls.receipts in agent.yaml to where the logs of other hosts are"
)


def judge_receipt(seen: Seen) -> Finding:
    """The newest canary that was found elsewhere must be young; how old a host that was just started has none yet is no failure."""
    configured = seen.find(CONFIGURED)
    if seen.text("forwards") != "yes":
        if configured is None:
            return error("it is not known whether logs are sent away")
        if configured.trouble is not Trouble.NONE:
            return untold(configured) or error(first_line(configured.errors))
        if not configured.text.strip():
            return not_applicable(
                "neither rsyslog, syslog-ng nor the journal is configured to send logs away"
            )
    sent, receipts = seen.find(SENT), seen.find(RECEIPTS)
    if sent is None:
        return error("no canary was logged")
    if sent.trouble is not Trouble.NONE:
        return error(f"the canary could not be logged: {first_line(sent.errors) or sent.source}")
    if receipts is None:
        return error("it is not known what arrived")
    if receipts.facts.get("asked") == "no":
        # A host of no cluster has nobody who could look for it, and one that has just joined could not ask yet.
        return Finding(Status.NOT_RUN, reason=first_line(receipts.errors) or "nobody was asked")
    if receipts.trouble is not Trouble.NONE:
        return error(f"no master tells what arrived: {first_line(receipts.errors)}")
    return _judged(seen, receipts)


def _judged(seen: Seen, receipts: Reading) -> Finding:
    within_s = seen.number("within")
    asked_since, newest = _number(receipts, "asked_since"), _number(receipts, "newest")
    if asked_since is None or newest is None:
        return error("what the master told is not understood")
    if newest and 0.0 <= seen.now - newest <= within_s:
        by = receipts.facts.get("seen_by", "")
        return seen.passed(f"seen by {by}" if by else "")
    if seen.now - asked_since <= within_s:
        return Finding(Status.NOT_RUN, reason="no canary has had the time to arrive yet")
    if not newest:
        return failed("no canary has ever arrived on another host", LOG_HOST)
    return failed(f"the newest canary that arrived elsewhere is {seen.now - newest:.0f} s old")


def _number(reading: Reading, name: str) -> Optional[float]:
    try:
        found = float(reading.facts[name])
    except (KeyError, ValueError):
        return None
    return found if isfinite(found) else None


JUDGES: Mapping[str, Judge] = {"forwarding.receipt": judge_receipt}
