"""When a check and a control were passing, from summaries and results: what nobody looked at is in no span.

A summary says that the runner was there from its beginning to its end; results say when a status changed within. Where they don't
fit together the time counts as not looked at. A run that began anew begins with nothing known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from hullmark.core.posture import control_state
from hullmark.evidence.controlrecords import Result, Summary, Tally
from hullmark.model.control import CheckState, ControlSpec, Status

JOINED_S = 0.05
"""Summaries of one run begin where the one before them ended."""
BAD = (Status.FAIL, Status.ERROR)


@dataclass(frozen=True)
class Span:
    begins: float
    ends: float
    status: Status


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, with equal neighbours as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: each.begins):
        if span.ends <= span.begins:
            continue
        last = found[-1] if found else None
        if last is not None and last.status is span.status and span.begins <= last.ends + 0.001:
            found[-1] = Span(last.begins, max(last.ends, span.ends), last.status)
        else:
            found.append(span)
    return tuple(found)


def runs(summaries: Iterable[Summary]) -> tuple[tuple[Summary, bool], ...]:
    """In order, none reaching into the next; each with whether the one before it is of the same run. Where one hour's is in several records
    they are one again."""
    whole: dict[tuple[float, float], Summary] = {}
    for each in summaries:
        same = whole.get((each.begins, each.ends))
        tallies = {**(same.tallies if same else {}), **each.tallies}
        whole[each.begins, each.ends] = replace(each, tallies=tallies)
    found: list[tuple[Summary, bool]] = []
    for _, each in sorted(whole.items()):
        last = found[-1][0].ends if found else None
        if last is not None and each.ends <= last:
            continue
        begins = each.begins if last is None else max(each.begins, last)
        goes_on = last is not None and begins - last <= JOINED_S
        found.append((replace(each, begins=begins), goes_on))
    return tuple(found)


def check_spans(
    windows: Sequence[tuple[Summary, bool]], results: Sequence[Result], key: tuple[str, str]
) -> tuple[Span, ...]:
    """Of one check. `windows` as `runs` has them, `results` this check's, in the order in which they were recorded."""
    spans: list[Span] = []
    state, at, before = Status.NOT_RUN, 0, 0.0
    for summary, goes_on in windows:
        if not goes_on:
            state, before = Status.NOT_RUN, summary.begins
        while at < len(results) and results[at].at < before:
            at += 1  # of an hour that nobody summed up
        inside = []
        while at < len(results) and results[at].seq < summary.seq:
            inside.append(results[at])
            at += 1
        state = _window(spans, summary, summary.tallies.get(key), inside, state)
        before = summary.ends
    return joined(spans)


def _window(
    spans: list[Span],
    summary: Summary,
    tally: Optional[Tally],
    inside: Sequence[Result],
    state: Status,
) -> Status:
    """The status at the window's end."""
    if tally is None:
        return Status.NOT_RUN
    if state is Status.NOT_RUN and not inside:
        state = _told(tally)
    here, begins = [], summary.begins
    for result in inside:
        changed = min(max(result.since, begins), summary.ends)
        here.append(Span(begins, changed, state))
        begins, state = changed, result.status
    here.append(Span(begins, summary.ends, state))
    seen = {span.status for span in here}
    missed = (tally.fails and Status.FAIL not in seen) or (
        tally.errors and Status.ERROR not in seen
    )
    if missed or state is not tally.status:
        here = [
            Span(
                span.begins,
                span.ends,
                Status.NOT_RUN if span.status is Status.PASS else span.status,
            )
            for span in here
        ]
        state = tally.status if tally.status is not Status.PASS else Status.NOT_RUN
    spans += here
    return state


def _told(tally: Tally) -> Status:
    """Of a window with no result before or in it, as in the middle of a run: a pass only where all looks were."""
    if tally.status is Status.PASS:
        clean = tally.passes > 0 and not tally.fails and not tally.errors
        return Status.PASS if clean else Status.NOT_RUN
    return tally.status


def control_spans(spec: ControlSpec, checks: Mapping[str, Sequence[Span]]) -> tuple[Span, ...]:
    """A control's, from its checks' by its condition."""
    edges = sorted(
        {edge for spans in checks.values() for span in spans for edge in (span.begins, span.ends)}
    )
    begins = {name: [span.begins for span in spans] for name, spans in checks.items()}
    found = []
    for first, last in zip(edges, edges[1:]):
        states = {
            name: _state_at(name, spans, begins[name], first) for name, spans in checks.items()
        }
        if all(state is None for state in states.values()):
            continue
        known = {name: state for name, state in states.items() if state is not None}
        found.append(Span(first, last, control_state(spec, known).status))
    return joined(found)


def _state_at(
    name: str, spans: Sequence[Span], begins: Sequence[float], at: float
) -> Optional[CheckState]:
    number = bisect_right(begins, at) - 1
    if number < 0 or spans[number].ends <= at:
        return None
    return CheckState(name, spans[number].status, at=at)


def cut(spans: Iterable[Span], begins: float, ends: float = float("inf")) -> Iterator[Span]:
    """What of them is within this time."""
    for one in spans:
        if one.begins < ends and begins < one.ends:
            yield replace(one, begins=max(one.begins, begins), ends=min(one.ends, ends))


def unproven(spans: Iterable[Span]) -> tuple[Span, ...]:
    """With nothing as passing."""
    return joined(
        replace(one, status=Status.NOT_RUN) if one.status is Status.PASS else one for one in spans
    )


def function_spans(controls: Sequence[Sequence[Span]]) -> tuple[Span, ...]:
    """Of the controls that carry one function on one host: it fails where one that applies does, and passes where one passes."""
    edges = sorted(
        {edge for spans in controls for span in spans for edge in (span.begins, span.ends)}
    )
    begins = [[span.begins for span in spans] for spans in controls]
    found = []
    for first, last in zip(edges, edges[1:]):
        states = [
            _state_at("", spans, begins[number], first) for number, spans in enumerate(controls)
        ]
        seen = {state.status for state in states if state is not None}
        if seen:
            found.append(Span(first, last, _together(seen)))
    return joined(found)


def _together(seen: set[Status]) -> Status:
    for status in (*BAD, Status.PASS, Status.NOT_RUN):
        if status in seen:
            return status
    return Status.NOT_APPLICABLE


def total_s(spans: Iterable[Span], begins: float, ends: float, *statuses: Status) -> float:
    """How much of the time from `begins` to `ends` is in spans of these statuses."""
    return sum(
        max(0.0, min(span.ends, ends) - max(span.begins, begins))
        for span in spans
        if span.status in statuses
    )


def status_at(spans: Sequence[Span], at: float) -> Status:
    """At the end of the time before `at`."""
    for span in reversed(spans):
        if span.begins < at:
            return span.status if at <= span.ends + 1.0 else Status.NOT_RUN
    return Status.NOT_RUN
