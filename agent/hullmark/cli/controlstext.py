"""Controls of a host as people read them: a table with what is wrong below it, one control in full, and one line for Nagios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.cli.table import table, wrapped
from hullmark.cli.words import age, dated, one_line
from hullmark.core.coverage import Tally, tally
from hullmark.core.postures import UNHEARD
from hullmark.model.control import LEVELS, CheckState, ControlState, Framework, Mode, Status
from hullmark.model.functions import FUNCTIONS
from hullmark.model.outage import Outage
from hullmark.model.postureview import HostPosture

HEADS = ("CONTROL", "RESULT", "PROOF", "{}", "REQ")
CHECK_HEADS = ("CHECK", "RESULT", "PROOF", "{}", "TOOK")
RESULTS: Mapping[Status, str] = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.ERROR: "ERROR",
    Status.NOT_RUN: "not run",
    Status.NOT_APPLICABLE: "n/a",
}
ABSENT = "ABSENT"
_ORDER = (Status.FAIL, Status.ERROR, Status.NOT_RUN, Status.PASS, Status.NOT_APPLICABLE)
REFUSED = "controls.invalid"
"""A problem: a file of the site's is wrong, so what it asks for is not looked at."""
NAGIOS_MOST = 5
"""What is named in its one line."""


@dataclass(frozen=True)
class Told:
    """What is shown of a host: its `view`, at which time, with which framework (None: no requirements are shown), in how many columns."""

    view: HostPosture
    now: float
    framework: Optional[Framework] = None
    columns: int = 0

    @property
    def controls(self) -> Mapping[str, ControlState]:
        return self.view.posture.controls if self.view.posture is not None else {}

    @property
    def at_rest(self) -> bool:
        """By a leader, which is told of changes and not of each look: when it was looked at last is not known, but since when it is so."""
        return self.view.posture is not None and not self.view.posture.at

    def heads(self, heads: Sequence[str]) -> tuple[str, ...]:
        return tuple(each.format("SINCE" if self.at_rest else "LAST") for each in heads)


def overview(told: Told, *, everything: bool = False) -> Iterator[str]:
    """The table, with why and what to do below what does not pass, and the sum. `everything`: also what does not apply."""
    posture = told.view.posture
    if posture is None:
        yield f"{told.view.host}: has told nothing of its controls yet"
        return
    yield from head(told)
    sums = tally(posture)
    shown = [
        state
        for state in sorted(told.controls.values(), key=rank)
        if everything or state.status is not Status.NOT_APPLICABLE
    ]
    rows = [_row(told, state) for state in shown]
    rows += [
        (function, ABSENT, "-", "-", _in_the_table(told, "", function))
        for function in sums.uncovered
    ]
    first, *lines = table(told.heads(HEADS), rows, told.columns)
    yield first
    for state, line in zip(shown, lines):
        yield line
        if state.status is not Status.PASS:
            yield from below(told, state)
    for (function, ids), line in zip(sums.uncovered.items(), lines[len(shown) :]):
        yield line
        yield from wrapped(absent(function, ids), told.columns)
    yield summary(sums)


def summary(sums: Tally) -> str:
    """`3 pass, 1 at level 4; 2 NOT proven`."""
    if sums.empty:
        return "NOT proven: nothing is looked at"
    at_level = f", {sums.highest} at level {sums.level}" if sums.passing else ""
    rest = f"{sums.not_proven} NOT proven" if sums.not_proven else "all proven"
    return f"{sums.passing} pass{at_level}; {rest}"


def absent(function: str, ids: Iterable[str]) -> str:
    names = [each[len(function) + 1 :] if each.startswith(f"{function}-") else each for each in ids]
    what = FUNCTIONS.get(function, function)
    return f"not proven, {what}: none of {', '.join(names)} is here"


def in_full(
    told: Told, state: ControlState, words: Optional[tuple[str, str]] = None
) -> Iterator[str]:
    """One control with each of its checks. `words` are its rationale and what to do first, where they are known."""
    line = one_line(f"{state.control_id}  {RESULTS[state.status]}  {proof(state.level)}")
    yield f"{line}  since {dated(state.since)}" if state.since else line
    rationale, remediation = words or ("", "")
    yield from wrapped(
        f"{state.title}: {FUNCTIONS.get(state.function, state.function)}", told.columns
    )
    yield from wrapped(rationale, told.columns)
    if state.status is not Status.PASS:
        yield from below(told, state, remediation)
    yield from _requirements(told, state)
    yield ""
    checks = list(state.checks.values())
    first, *lines = table(
        told.heads(CHECK_HEADS), [_check_row(told, check) for check in checks], told.columns
    )
    yield first
    for check, line in zip(checks, lines):
        yield line
        yield from wrapped(check.reason, told.columns)
        if check.remedy:
            yield from wrapped(f"fix: {check.remedy}", told.columns)
        if check.not_exercised:
            yield from wrapped(f"not exercised: {check.not_exercised}", told.columns)


def nagios(told: Told) -> tuple[str, int]:
    """One line with its performance data, and the code: 0 all proven, 1 something could not be told, is not run or absent, 2 something
    fails, 3 nothing is known."""
    posture = told.view.posture
    sums = tally(posture) if posture is not None else None
    if sums is None or sums.empty or told.view.state in UNHEARD:
        why = "has told nothing of its controls" if sums is None else _silent(told)
        if sums is not None and told.view.state not in UNHEARD:
            why = summary(sums)
        return unknown(f"{told.view.host}: {why}"), 3
    refused = [
        one for one in (posture.problems if posture is not None else ()) if one.startswith(REFUSED)
    ]
    code = 2 if sums.failing else 1 if sums.not_proven or refused else 0
    bad = [state for state in sorted(told.controls.values(), key=rank) if _counts(state)]
    said = [f"{one.control_id} {RESULTS[one.status]}: {one.reason}" for one in bad]
    said += [f"{function} {ABSENT}" for function in sums.uncovered]
    said += refused
    more = f", and {len(said) - NAGIOS_MOST} more" if len(said) > NAGIOS_MOST else ""
    named = f": {'; '.join(said[:NAGIOS_MOST])}{more}" if said else ""
    open_ones = sum(not one.ended for one in told.view.outages)
    data = (
        f"pass={sums.passing} fail={sums.failing} error={sums.unclear} not_run={sums.not_run} "
        f"absent={len(sums.uncovered)} outages={open_ones} age={told.view.heard_s or 0:.0f}s"
    )
    word = ("OK", "WARNING", "CRITICAL")[code]
    return f"HULLMARK {word} - {plain(summary(sums) + named)} | {data}", code


def unknown(why: str) -> str:
    """Its one line where nothing is known."""
    return f"HULLMARK UNKNOWN - {plain(why)}"


def proof(level: int) -> str:
    return f"{LEVELS[level]} ({level})" if level in LEVELS else "-"


def requirements(told: Told, state: ControlState, coverage: str = "") -> tuple[str, ...]:
    """Of one coverage, or all."""
    return _of(told, state.control_id, state.function, coverage)


def _of(told: Told, control: str, function: str, coverage: str) -> tuple[str, ...]:
    if told.framework is None:
        return ()
    of = set(told.framework.of(control, function))
    return tuple(
        each.requirement_id
        for each in told.framework.requirements
        if each.requirement_id in of and coverage in ("", each.coverage)
    )


def _in_the_table(told: Told, control: str, function: str) -> str:
    """Those that are wholly tested by it; where there are none, those of which a part is."""
    return " ".join(
        _of(told, control, function, "direct") or _of(told, control, function, "partial")
    )


def head(told: Told) -> Iterator[str]:
    """What is to be known of the host before its controls are read."""
    posture = told.view.posture
    if posture is None:
        return
    if told.view.state in UNHEARD:
        yield from wrapped(f"{told.view.host}: {_silent(told)}", told.columns, "")
    if posture.mode is Mode.OBSERVE:
        yield f"{told.view.host}: mode observe, {'enrolled' if posture.enrolled else 'not enrolled'}"
    for problem in posture.problems:
        yield from wrapped(problem, told.columns, "")


def _silent(told: Told) -> str:
    heard_s = told.view.heard_s
    when = (
        "has not been heard" if heard_s is None else f"last told of its controls {age(heard_s)} ago"
    )
    return f"the agent {when}: what holds now nobody knows"


def _row(told: Told, state: ControlState) -> tuple[str, ...]:
    last = max((check.at for check in state.checks.values()), default=0.0)
    last = state.since if told.at_rest else last
    return (
        state.control_id,
        RESULTS[state.status],
        proof(state.level),
        ago(told, last),
        _in_the_table(told, state.control_id, state.function),
    )


def _check_row(told: Told, check: CheckState) -> tuple[str, ...]:
    took = f"{check.took_s:.2f} s" if check.at else "-"
    result = RESULTS[check.status]
    last = check.since if told.at_rest else check.at
    return (check.check_id, result, proof(check.level), ago(told, last), took)


def ago(told: Told, at: float) -> str:
    return age(max(0.0, told.now - at)) if at else "-"


def below(told: Told, state: ControlState, remediation: str = "") -> Iterator[str]:
    yield from wrapped(state.reason, told.columns)
    broken = state.status in (Status.FAIL, Status.ERROR)
    fix = state.remedy or (remediation if broken else "")
    if fix:
        yield from wrapped(f"fix: {fix}", told.columns)
    yield from wrapped(outage(told, state), told.columns)


def outage(told: Told, state: ControlState) -> str:
    """Of the one that lasts; empty where there is none."""
    found: Optional[Outage] = next(
        (one for one in told.view.outages if one.outage_id == state.outage and not one.ended), None
    )
    if found is None:
        return ""
    number = told.view.incidents.get(found.outage_id)
    incident = f", incident {number}: hullmark outages show {number}" if number else ""
    planned = f", planned ({found.ticket})" if found.planned and found.ticket else ""
    planned = planned or (", planned" if found.planned else "")
    return f"failing since {dated(found.began)}{planned}{incident}"


def _requirements(told: Told, state: ControlState) -> Iterator[str]:
    for coverage in ("direct", "partial"):
        found = requirements(told, state, coverage)
        if found and told.framework is not None:
            text = f"{told.framework.title}, {coverage}: {' '.join(found)}"
            yield from wrapped(text, told.columns)


def _counts(state: ControlState) -> bool:
    return state.status not in (Status.PASS, Status.NOT_APPLICABLE)


def rank(state: ControlState) -> tuple[int, str]:
    return _ORDER.index(state.status), state.control_id


def plain(text: str) -> str:
    """What ends a Nagios text is taken out."""
    return one_line(text).replace("|", "/")
