"""Bounds of what a leader keeps of a host's word about its controls: a host that lies may say anything, at any length.

What is too much, or is what no agent writes, is refused whole, and said in the posture's place: then nothing is proven there. Texts that
are only long are cut.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hullmark.core.outages import KEPT_MOST
from hullmark.model.control import (
    LEVELS,
    NOTHING_PROVEN,
    CheckState,
    ControlState,
    Posture,
    Status,
)
from hullmark.model.observed import Report
from hullmark.model.outage import Outage

CONTROLS_MOST = 1000
"""As a host's configuration may have."""
CHECKS_MOST = 4000
"""Of all its controls."""
TEXT_MOST = 2000
"""Characters of a reason, a remedy, a title."""
POSTURE_MOST = 4_000_000
"""Characters of all texts of a posture together."""
PROBLEMS_MOST = 100
OUTAGES_MOST = KEPT_MOST
REQUIREMENTS_MOST = 200
REQUIREMENT_MOST = 40
LATEST = 32_503_680_000.0
"""The year 3000, in seconds since 1970: no time of an agent is later."""
DOTS = "..."
REFUSED = "refused by the leader: "

STATUSES = (Status.FAIL.value, Status.ERROR.value)
"""Of an outage."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def bounded(report: Report) -> Report:
    """The same report where it is within bounds, as each agent's is that does not lie."""
    posture, outages = report.posture, report.outages
    if posture is not None:
        why = _wrong_posture(posture)
        posture = _refused(posture, REFUSED + why) if why else _cut(posture)
    if outages is not None:
        outages = tuple(map(_cut_outage, filter(_is_plain, outages[:OUTAGES_MOST])))
    if (posture, outages) == (report.posture, report.outages):
        return report
    return replace(report, posture=posture, outages=outages)


def trimmed(data: Any) -> Any:
    """A report in its wire form before it is read, without more controls, checks and outages than `bounded` would keep: to read a hundred thousand
    of them takes a leader seconds in which it does nothing else. What is no report is left as it is."""
    if not isinstance(data, dict):
        return data
    found, outages = data, data.get("outages")
    if isinstance(outages, list) and len(outages) > OUTAGES_MOST:
        found = {**found, "outages": outages[:OUTAGES_MOST]}
    posture = data.get("posture")
    if isinstance(posture, dict) and isinstance(posture.get("controls"), dict):
        controls = posture["controls"]
        why = _too_many(len(controls), sum(map(_checks_of, controls.values())))
        if why:
            told = {key: posture[key] for key in ("mode", "enrolled") if key in posture}
            empty = {"host": "", "controls": {}, "at": 0.0, "problems": [REFUSED + why]}
            found = {**found, "posture": {**told, **empty}}
    return found


def _checks_of(control: Any) -> int:
    checks = control.get("checks") if isinstance(control, dict) else None
    return len(checks) if isinstance(checks, dict) else 0


def _too_many(controls: int, checks: int) -> str:
    if controls > CONTROLS_MOST:
        return f"{controls} controls, at most {CONTROLS_MOST}"
    return f"{checks} checks, at most {CHECKS_MOST}" if checks > CHECKS_MOST else ""


def _refused(posture: Posture, why: str) -> Posture:
    return Posture("", posture.mode, {}, 0.0, enrolled=posture.enrolled, problems=(why,))


def _wrong_posture(posture: Posture) -> str:
    """Why it can't be an agent's; empty for one that can."""
    controls = posture.controls
    too_many = _too_many(len(controls), sum(len(one.checks) for one in controls.values()))
    if too_many:
        return too_many
    if sum(map(len, _texts(posture))) > POSTURE_MOST:
        return f"its texts have more than {POSTURE_MOST} characters"
    if not (_is_time(posture.at) and _is_time(posture.interval_s)):
        return "a time that is none"
    return _wrong_controls(controls)


def _wrong_controls(controls: Mapping[str, ControlState]) -> str:
    for name, one in controls.items():
        if name != one.control_id or not _NAME.fullmatch(name):
            return "a control by another name than its own, or by none"
        if not _NAME.fullmatch(one.function):
            return f"control {name} has no function"
        if not (_is_level(one.level) and _is_time(one.since)):
            return f"control {name} has a time or a level that is none"
        for check_name, check in one.checks.items():
            if check_name != check.check_id or not _NAME.fullmatch(check_name):
                return f"control {name} has a check by another name than its own, or by none"
            if not _is_plain_check(check):
                return f"control {name} has a check with a time or a level that is none"
    return ""


def _is_plain_check(check: CheckState) -> bool:
    return _is_level(check.level) and all(map(_is_time, (check.since, check.at, check.took_s)))


def _is_plain(outage: Outage) -> bool:
    """Others are left out."""
    names = (outage.outage_id, outage.control_id, outage.function)
    times = (outage.began, outage.passed_at, outage.ended)
    named = all(map(_NAME.fullmatch, names)) and outage.status in STATUSES
    return named and all(map(_is_time, times))


def _is_requirement(name: str) -> bool:
    """As a framework may have it."""
    return 0 < len(name) <= REQUIREMENT_MOST and name.isprintable() and " " not in name


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and 0.0 <= seconds <= LATEST


def _is_level(level: int) -> bool:
    return level == NOTHING_PROVEN or level in LEVELS


def _texts(posture: Posture) -> Iterator[str]:
    yield from posture.problems
    yield from (posture.host, posture.agent_version)
    for one in posture.controls.values():
        yield from (one.title, one.reason, one.remedy, one.outage, one.function)
        for check in one.checks.values():
            yield from (check.reason, check.remedy, check.not_exercised)


def _cut(posture: Posture) -> Posture:
    return replace(
        posture,
        host=_short(posture.host),
        agent_version=_short(posture.agent_version),
        problems=tuple(map(_short, posture.problems[:PROBLEMS_MOST])),
        controls={name: _cut_control(one) for name, one in posture.controls.items()},
    )


def _cut_control(state: ControlState) -> ControlState:
    return replace(
        state,
        title=_short(state.title),
        reason=_short(state.reason),
        remedy=_short(state.remedy),
        outage=_short(state.outage),
        checks={name: _cut_check(one) for name, one in state.checks.items()},
    )


def _cut_check(check: CheckState) -> CheckState:
    return replace(
        check,
        reason=_short(check.reason),
        remedy=_short(check.remedy),
        not_exercised=_short(check.not_exercised),
    )


def _cut_outage(outage: Outage) -> Outage:
    return replace(
        outage,
        host=_short(outage.host),
        title=_short(outage.title),
        reason=_short(outage.reason),
        remedy=_short(outage.remedy),
        ticket=_short(outage.ticket),
        requirements=tuple(filter(_is_requirement, outage.requirements[:REQUIREMENTS_MOST])),
    )


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MOST else text[: TEXT_MOST - len(DOTS)] + DOTS
