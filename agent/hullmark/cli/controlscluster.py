"""Controls of all hosts as people read them: one line for each host with what fails there below it, one control on each host, and one line
for Nagios. The worst is first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hullmark.cli import controlstext
from hullmark.cli.controlstext import NAGIOS_MOST, RESULTS, Told
from hullmark.cli.table import table, wrapped
from hullmark.cli.words import age, count, one_line
from hullmark.core.coverage import Tally, numbers, tally
from hullmark.core.postures import UNHEARD
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, EXIT_UNKNOWN
from hullmark.model.control import ControlState, Status
from hullmark.model.postureview import ControlNumbers

HEADS = ("HOST", "STATE", "PASS", "PROOF", "FAIL", "ERROR", "UNPROVEN", "INCIDENTS")
ON_HOSTS = ("HOST", "CONTROL", "RESULT", "PROOF", "SINCE")
FAILS, UNCLEAR, UNTOLD, UNPROVEN, PROVEN = range(5)
WORDS: Mapping[int, str] = {
    FAILS: "with what FAILS",
    UNCLEAR: "with an ERROR",
    UNTOLD: "of which nothing is known",
    UNPROVEN: "not proven",
    PROVEN: "all proven",
}
NOTHING = ControlNumbers()


@dataclass(frozen=True)
class On:
    """A control on a host."""

    told: Told
    state: ControlState


def overview(all_told: Sequence[Told], columns: int) -> Iterator[str]:
    """Hosts, each with what fails or could not be told below it, and the sum."""
    ordered = sorted(all_told, key=_place)
    first, *lines = table(HEADS, map(_row, ordered), columns)
    yield first
    for told, line in zip(ordered, lines):
        yield line
        yield from _below(told)
    yield summary(all_told)


def summary(all_told: Sequence[Told]) -> str:
    """`3 hosts: 1 with what FAILS, 2 all proven`."""
    grades = [grade(told) for told in all_told]
    found = ", ".join(f"{grades.count(one)} {word}" for one, word in WORDS.items() if one in grades)
    return f"{count(len(grades), 'host')}: {found}" if grades else "no host is enrolled"


def grade(told: Told) -> int:
    posture = told.view.posture
    if posture is None or told.view.state in UNHEARD:
        return UNTOLD
    found = numbers(posture)
    if found.failing or found.unclear:
        return FAILS if found.failing else UNCLEAR
    return PROVEN if found.passing and not found.unproven else UNPROVEN


def code(all_told: Sequence[Told]) -> int:
    """Of the command: 3 where nothing is known of any host."""
    grades = {grade(told) for told in all_told}
    if grades <= {UNTOLD}:
        return EXIT_UNKNOWN
    return EXIT_OK if grades == {PROVEN} else EXIT_DEGRADED


def on_hosts(found: Iterable[On], columns: int) -> Iterator[str]:
    """One control, or those of one function, on all hosts that have it."""
    ordered = sorted(found, key=lambda on: (controlstext.rank(on.state), on.told.view.host))
    rows = [
        (
            on.told.view.host,
            on.state.control_id,
            RESULTS[on.state.status],
            controlstext.proof(on.state.level),
            controlstext.ago(on.told, on.state.since),
        )
        for on in ordered
    ]
    first, *lines = table(ON_HOSTS, rows, columns)
    yield first
    for on, line in zip(ordered, lines):
        yield line
        if on.state.status is not Status.PASS:
            yield from controlstext.below(on.told, on.state)


def nagios(all_told: Sequence[Told]) -> tuple[str, int]:
    """One line, and the code: 0 all is proven on all hosts, 1 not all, 2 something fails, 3 nothing is known of any."""
    grades = [grade(told) for told in all_told]
    sums = _sums(all_told)
    silent = grades.count(UNTOLD)
    data = (
        f"hosts={len(grades)} proven={grades.count(PROVEN)} unknown={silent} pass={sums.passing} "
        f"fail={sums.failing} error={sums.unclear} not_run={sums.not_run} absent={sums.absent}"
    )
    if not grades or silent == len(grades):
        return f"{controlstext.unknown(summary(all_told))} | {data}", 3
    exits = 2 if FAILS in grades else 1 if set(grades) != {PROVEN} else 0
    bad = [_in_short(told) for told in sorted(all_told, key=_place) if grade(told) != PROVEN]
    more = f", and {len(bad) - NAGIOS_MOST} more" if len(bad) > NAGIOS_MOST else ""
    named = f": {'; '.join(bad[:NAGIOS_MOST])}{more}" if bad else ""
    word = ("OK", "WARNING", "CRITICAL")[exits]
    return f"HULLMARK {word} - {controlstext.plain(summary(all_told) + named)} | {data}", exits


def _numbers(told: Told) -> ControlNumbers:
    posture = told.view.posture
    if posture is None:
        return NOTHING
    return numbers(posture, heard=told.view.state not in UNHEARD)


def _sums(all_told: Iterable[Told]) -> ControlNumbers:
    found = [_numbers(told) for told in all_told]
    return ControlNumbers(
        sum(one.passing for one in found),
        sum(one.failing for one in found),
        sum(one.unclear for one in found),
        sum(one.not_run for one in found),
        sum(one.absent for one in found),
    )


def _place(told: Told) -> tuple[int, str]:
    return grade(told), told.view.host


def _row(told: Told) -> tuple[str, ...]:
    found, posture = _numbers(told), told.view.posture
    counted = (found.passing, found.failing, found.unclear, found.unproven)
    passing, failing, unclear, unproven = ("-" if posture is None else str(n) for n in counted)
    numbers_of = sorted(set(told.view.incidents.values()))
    incidents = " ".join(map(str, numbers_of[:NAGIOS_MOST])) + (
        " ..." if len(numbers_of) > NAGIOS_MOST else ""
    )
    proof = _highest(tally(posture)) if posture is not None and found.passing else "-"
    return (
        *(told.view.host, told.view.state, passing, proof),
        *(failing, unclear, unproven, incidents or "-"),
    )


def _highest(sums: Tally) -> str:
    return f"{sums.highest} at level {sums.level}"


def _below(told: Told) -> Iterator[str]:
    posture = told.view.posture
    if posture is None or told.view.state in UNHEARD:
        yield from wrapped(_untold(told), told.columns)
        return
    for problem in posture.problems:
        yield from wrapped(problem, told.columns)
    for state in _broken(told):
        said = f"{state.control_id} {RESULTS[state.status]}: {state.reason}"
        yield from wrapped(said, told.columns)
        if state.remedy:
            yield from wrapped(f"fix: {state.remedy}", told.columns)
        yield from wrapped(controlstext.outage(told, state), told.columns)
    yield from wrapped(_unproven(told), told.columns)


def _broken(told: Told) -> list[ControlState]:
    bad = (Status.FAIL, Status.ERROR)
    return sorted(
        (one for one in told.controls.values() if one.status in bad), key=controlstext.rank
    )


def _unproven(told: Told) -> str:
    posture = told.view.posture
    if posture is None:
        return ""
    waiting = sorted(n for n, one in told.controls.items() if one.status is Status.NOT_RUN)
    named = waiting + [f"{function} (ABSENT)" for function in tally(posture).uncovered]
    if not named:
        return "" if tally(posture).passing or _broken(told) else "not proven: nothing is looked at"
    return f"not proven: {', '.join(named)}"


def _untold(told: Told) -> str:
    if told.view.posture is None and told.view.state not in UNHEARD:
        return "it has told nothing of its controls yet"
    if told.view.heard_s is None:
        return "not heard since this leader began: what holds there nobody knows"
    return f"not heard for {age(told.view.heard_s)}: what holds there nobody knows"


def _in_short(told: Told) -> str:
    if grade(told) == UNTOLD:
        return f"{told.view.host} {told.view.state}"
    broken = [f"{one.control_id} {RESULTS[one.status]}" for one in _broken(told)]
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    what = ", ".join(broken[:3]) + more if broken else f"{_numbers(told).unproven} unproven"
    return one_line(f"{told.view.host} {what}")
