"""From records to a story: what was proven of each control, function and requirement in a period, and for how long.

What nobody looked at is never proven: it is time that is told apart. A requirement's verdict is the worst of its functions and hosts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from hullmark.evidence import timeline, verdicts
from hullmark.evidence.controlrecords import (
    Result,
    Summary,
    outage_of,
    result_of,
    seconds_of,
    summary_of,
)
from hullmark.evidence.story import CheckStory, ControlStory, Story, Table
from hullmark.evidence.timeline import Span
from hullmark.model.audit import Record
from hullmark.model.control import (
    NOTHING_PROVEN,
    OTHER_HOST,
    CheckSpec,
    Condition,
    ControlSpec,
    Framework,
    Status,
)
from hullmark.model.moments import day
from hullmark.model.outage import Incident, Outage

_NOTHING_READ = ("", "[]")
_UNSUMMED_S = 7200.0
"""A period that ends this close to the making of the pack ends, for each host, with its newest summary."""


@dataclass(frozen=True)
class Question:
    """What a pack is made of, for which time, and by whom. Times in seconds since 1970. `definitions` are controls by id, where they are
    known; `hosts` names by log, of all that are to be told of."""

    of: str
    framework: Framework
    begins: float
    ends: float
    made_at: float
    made_by: str
    version: str
    hosts: Mapping[str, str]
    definitions: Mapping[str, ControlSpec] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    tables: tuple[Table, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass
class _Log:
    """What one host's records say."""

    summaries: list[Summary] = field(default_factory=list)
    results: dict[tuple[str, str], list[Result]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    began_at: float = 0.0
    first_at: float = 0.0
    last_at: float = 0.0


@dataclass(frozen=True)
class _Host:
    """What is left of a log once all its records were taken."""

    controls: tuple[ControlStory, ...]
    spans: verdicts.HostSpans
    readings: tuple[Result, ...]
    remarks: tuple[str, ...]


class Evidence:
    """Gathers records, in any order of logs, each log's in its own order. What is of no host that is told of is left out."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._logs = {log: _Log() for log in question.hosts}
        self._hosts: dict[str, _Host] = {}
        self._outages: dict[tuple[str, str], Outage] = {}

    def take(self, record: Record) -> None:
        log = self._logs.get(record.log)
        if log is None or seconds_of(record.at) > self._question.made_at + 300:
            return
        at = seconds_of(record.at)
        log.began_at = at if record.seq == 1 else log.began_at
        log.first_at = log.first_at or at
        log.last_at = max(log.last_at, at)
        result, summary = result_of(record), summary_of(record)
        if summary is not None:
            log.summaries.append(summary)
        if result is not None:
            log.results.setdefault(result.key, []).append(result)
            log.functions[result.control_id] = result.function or log.functions.get(
                result.control_id, ""
            )
        key = (record.log, record.entry.fields.get("outage", ""))
        outage = outage_of(record, self._question.hosts[record.log], self._outages.get(key))
        if outage is not None:
            self._outages[key] = outage

    def close(self, log: str) -> None:
        """No more records of this log come: they are made into what is told of its host, and forgotten. A year of a host is large."""
        if log not in self._logs or log in self._hosts:
            return
        found, name = self._logs[log], self._question.hosts[log]
        remarks: list[str] = []
        begins, ends = self._there(found, name, remarks)
        controls, spans = [], {}
        for control_id in sorted({key[0] for key in self._keys(found)}):
            told, spans[control_id] = self._control(found, name, control_id, begins, ends)
            controls.append(told)
        functions = {told.control_id: told.function for told in controls}
        newest = (self._newest(results) for results in found.results.values())
        self._hosts[log] = _Host(
            tuple(controls),
            verdicts.HostSpans(name, begins, ends, spans, functions),
            tuple(one for one in newest if one is not None),
            tuple(remarks),
        )
        self._logs[log] = _Log()

    def newest_readings(self) -> Iterable[tuple[str, Result]]:
        """The host's name and the result, for each check that has readings."""
        for host in self._told():
            for result in host.readings:
                yield host.spans.name, result

    def _told(self) -> list[_Host]:
        """In the order of their names."""
        for log in self._logs:
            self.close(log)
        return sorted(self._hosts.values(), key=lambda host: host.spans.name)

    def _newest(self, results: Sequence[Result]) -> Optional[Result]:
        ends = self._question.ends
        with_readings = (
            one for one in reversed(results) if one.readings not in _NOTHING_READ and one.at < ends
        )
        return next(with_readings, None)

    def story(self) -> Story:
        question, told = self._question, self._told()
        controls = [control for host in told for control in host.controls]
        hosts = [host.spans for host in told]
        remarks = (*question.remarks, *(remark for host in told for remark in host.remarks))
        requirements = tuple(
            verdicts.requirement(each, hosts, controls) for each in question.framework.requirements
        )
        return Story(
            question.of, question.framework.title or question.framework.name,
            question.begins, question.ends, question.made_at, question.made_by, question.version,
            tuple(sorted(question.hosts.values())), requirements, tuple(controls),
            self._incidents(), question.tables, remarks, self._period_outages(),
        )  # fmt: skip

    # -- the time in which a host was there

    def _there(self, found: _Log, name: str, remarks: list[str]) -> tuple[float, float]:
        question = self._question
        begins, ends = question.begins, min(question.ends, question.made_at)
        if found.began_at > begins:
            begins = min(found.began_at, ends)
            remarks.append(
                f"{name}: its record begins within the period; what was before is not told"
            )
        elif found.first_at > begins + 1:
            remarks.append(
                f"{name}: its records from before {day(found.first_at)} are not there: they were removed by age, or masters never had them"
            )
        if not found.summaries:
            remarks.append(
                f"{name}: no summary of its controls is in the records of this period, and one is made each hour: nothing is proven"
            )
            return begins, ends
        newest = max(one.ends for one in found.summaries)
        if question.made_at - ends < _UNSUMMED_S and begins < newest < ends <= newest + _UNSUMMED_S:
            remarks.append(
                f"{name}: the time after its newest summary is not summed up yet, and left out"
            )
            ends = newest
        return begins, ends

    # -- controls

    @staticmethod
    def _keys(found: _Log) -> set[tuple[str, str]]:
        return {*found.results, *(key for one in found.summaries for key in one.tallies)}

    def _control(
        self, found: _Log, host: str, control_id: str, begins: float, ends: float
    ) -> tuple[ControlStory, tuple[Span, ...]]:
        windows = timeline.runs(found.summaries)
        keys = sorted(key for key in self._keys(found) if key[0] == control_id)
        checks = {
            key[1]: timeline.check_spans(windows, found.results.get(key, ()), key) for key in keys
        }
        known = self._question.definitions.get(control_id)
        function = found.functions.get(control_id, "") or (known.function if known else "")
        conditions = {one.condition for key in keys for one in found.results.get(key, ())}
        spec = _spec(control_id, function, known, tuple(checks), conditions)
        spans = timeline.control_spans(spec, checks)
        if len(conditions) > 1 and Condition.NONE in conditions:
            # What was a pass under one of them was a failure under the other, and records don't say from when on.
            spans = timeline.unproven(spans)
        carries = _carries_since(
            function, (one for key in keys for one in found.results.get(key, ()))
        )
        # What it proved before, it proved of another function.
        spans = timeline.joined(
            (*timeline.unproven(timeline.cut(spans, 0.0, carries)), *timeline.cut(spans, carries))
        )
        told = tuple(self._check(found, host, key, checks[key[1]], begins, ends) for key in keys)
        status = timeline.status_at(spans, ends)
        level = max((one.level for one in told), default=NOTHING_PROVEN)
        proven, failed, absent = (
            timeline.total_s(spans, begins, ends, *statuses)
            for statuses in ((Status.PASS,), timeline.BAD, (Status.NOT_APPLICABLE,))
        )
        return ControlStory(
            host, control_id, function, spec.title, spec.rationale, status.value, level,
            _reason(told, status), proven, proven + failed, level >= OTHER_HOST, told,
            spec.remediation, failed, max(0.0, ends - begins - absent),
        ), spans  # fmt: skip

    def _check(
        self,
        found: _Log,
        host: str,
        key: tuple[str, str],
        spans: Sequence[Span],
        begins: float,
        ends: float,
    ) -> CheckStory:
        results = [one for one in found.results.get(key, ()) if one.at < ends]
        tallies = [
            (one, one.tallies[key])
            for one in found.summaries
            if key in one.tallies and one.ends > begins and one.begins < ends
        ]
        inside = [one for one in results if one.at >= begins]
        passed = [one.level for one in inside if one.status is Status.PASS]
        passed += [tally.level for _, tally in tallies if tally.status is Status.PASS]
        status = timeline.status_at(spans, ends)
        latest = next((one for one in reversed(results) if one.status is status), None)
        newest = self._newest(results)
        return CheckStory(
            key[1],
            status.value,
            min(passed, default=NOTHING_PROVEN),
            latest.reason if latest else "",
            sum(tally.passes for _, tally in tallies),
            sum(tally.fails for _, tally in tallies),
            sum(tally.errors for _, tally in tallies),
            min((max(one.begins, begins) for one, _ in tallies), default=0.0),
            max((min(one.ends, ends) for one, _ in tallies), default=0.0),
            next((one.not_exercised for one in reversed(results) if one.not_exercised), ""),
            raw_name(host, newest) if newest else "",
            f"{newest.log} #{newest.seq} {newest.hash}" if newest else "",
        )

    # -- outages

    def _period_outages(self) -> tuple[Outage, ...]:
        known = {(one.host, one.outage_id): one for one in self._outages.values()}
        for incident in self._incidents():
            known.update({(one.host, one.outage_id): one for one in incident.outages.values()})
        return tuple(sorted(filter(self._within, known.values()), key=lambda one: one.began))

    def _incidents(self) -> tuple[Incident, ...]:
        """Those of the period; where nobody is told to keep incidents, what records say of each outage stands by itself."""
        names = set(self._question.hosts.values())
        found = []
        for incident in self._question.incidents:
            outages = {
                key: one
                for key, one in incident.outages.items()
                if one.host in names and self._within(one)
            }
            if outages:
                found.append(replace(incident, outages=outages))
        return tuple(sorted(found, key=lambda one: one.began))

    def _within(self, outage: Outage) -> bool:
        return outage.began < self._question.ends and (
            not outage.ended or outage.ended >= self._question.begins
        )


def raw_name(host: str, result: Result) -> str:
    """The file in the pack with a check's newest readings."""
    return "/".join(("raw", *map(plain, (host, result.control_id, result.check_id)))) + ".txt"


def plain(text: str) -> str:
    """As a file's name: letters, digits, dots, hyphens and underscores, and no dot at first."""
    kept = "".join(
        each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in text
    )
    return (kept.lstrip(".") or "_")[:100]


def _spec(
    control_id: str,
    function: str,
    known: Optional[ControlSpec],
    checks: Sequence[str],
    conditions: Collection[Condition],
) -> ControlSpec:
    """Of the checks and the condition that were recorded: how it is defined where the pack is made proves nothing, and has only words for
    it. Where there were several conditions, all checks have to pass."""
    recorded = tuple(CheckSpec(name, "", NOTHING_PROVEN, 0.0, 0.0) for name in checks)
    condition = next(iter(conditions)) if len(conditions) == 1 else Condition.ALL
    if known is None:
        return ControlSpec(control_id, function, control_id, "", condition, recorded, "")
    return replace(known, checks=recorded, condition=condition, enabled=True)


def _carries_since(function: str, results: Iterable[Result]) -> float:
    """From when on the control was recorded as one of this function; 0.0 where it never was of another."""
    since = 0.0
    for one in sorted(results, key=lambda each: each.seq):
        if one.function and one.function != function:
            since = float("inf")
        elif since == float("inf"):
            since = one.at
    return since


def _reason(checks: Sequence[CheckStory], status: Status) -> str:
    return next((one.reason for one in checks if one.status == status.value and one.reason), "")
