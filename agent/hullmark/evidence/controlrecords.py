"""What records of the audit log say of controls and outages, read from their fields.

Whatever a field of an old or foreign version says, it is read or left out; a left-out one proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from hullmark.model import jsontext
from hullmark.model.audit import Record
from hullmark.model.control import NOTHING_PROVEN, Condition, Status
from hullmark.model.moments import NS_PER_S, nanoseconds
from hullmark.model.outage import Outage

RESULT, SUMMARY, OUTAGE = "control.result", "controls.summary", "outage."
KINDS = ("control", "controls", "outage", "incident", "alert")
"""First parts of the kinds that evidence is made of."""
REOPENED = "outage.reopened"
ENDINGS = ("outage.recovered", "outage.withdrawn")
"""The second: its control is defined no more."""
_CONDITIONS = {one.value: one for one in Condition}
_STATUSES = {one.value: one for one in Status}


@dataclass(frozen=True)
class Result:
    """A check's result, and the condition of its control then. `at` is when it was recorded, `since` when it became this, both in seconds since 1970. `readings` is JSON text;
    `source` the record's place, for people and for tracing."""

    log: str
    control_id: str
    check_id: str
    function: str
    status: Status
    level: int
    reason: str
    at: float
    since: float
    readings: str = ""
    not_exercised: str = ""
    seq: int = 0
    hash: str = ""
    condition: Condition = Condition.ALL

    @property
    def key(self) -> tuple[str, str]:
        return self.control_id, self.check_id


@dataclass(frozen=True)
class Tally:
    """One check in one summary: its newest status, and how many looks found what."""

    status: Status
    level: int = NOTHING_PROVEN
    passes: int = 0
    fails: int = 0
    errors: int = 0


@dataclass(frozen=True)
class Summary:
    """What was looked at from `begins` to `ends`, by (control, check). Results of that time have lower numbers than `seq`."""

    log: str
    begins: float
    ends: float
    tallies: Mapping[tuple[str, str], Tally] = field(default_factory=dict)
    seq: int = 0


def result_of(record: Record) -> Optional[Result]:
    """None for what is no result."""
    fields = record.entry.fields
    status = _STATUSES.get(fields.get("status", ""))
    if record.entry.kind != RESULT or status is None or not fields.get("control"):
        return None
    at = seconds_of(record.at)
    return Result(
        record.log,
        fields["control"],
        fields.get("check", ""),
        fields.get("function", ""),
        status,
        level_of(fields.get("level", "")),
        record.entry.reason,
        at,
        min(seconds_of(fields.get("since", "")) or at, at),
        fields.get("readings", ""),
        fields.get("not_exercised", ""),
        record.seq,
        record.hash,
        _CONDITIONS.get(fields.get("condition", ""), Condition.ALL),
    )


def summary_of(record: Record) -> Optional[Summary]:
    """None for what is no summary, or one that can't be read."""
    fields = record.entry.fields
    if record.entry.kind != SUMMARY:
        return None
    begins, ends = (seconds_of(fields.get(name, "")) for name in ("begins", "ends"))
    tallies = _tallies(fields.get("results", ""))
    if not 0 < begins < ends or not tallies:
        return None
    return Summary(record.log, begins, ends, tallies, record.seq)


def _tallies(text: str) -> dict[tuple[str, str], Tally]:
    try:
        found = jsontext.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    read = {key: _tally(value) for key, value in found.items() if isinstance(key, str)}
    return {_key(key): tally for key, tally in read.items() if tally is not None}


def _key(text: str) -> tuple[str, str]:
    control, _, check = text.partition("/")
    return control, check


def _tally(value: Any) -> Optional[Tally]:
    if not isinstance(value, dict) or value.get("status") not in _STATUSES:
        return None
    passes, fails, errors = (_count(value.get(name)) for name in ("pass", "fail", "error"))
    level = value.get("level", NOTHING_PROVEN)
    level = level if type(level) is int else NOTHING_PROVEN
    return Tally(_STATUSES[value["status"]], level, passes, fails, errors)


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0


def outage_of(record: Record, host: str, known: Optional[Outage]) -> Optional[Outage]:
    """The outage after this record; `known` is what records before have of it. None for what is no record of one."""
    entry, fields = record.entry, record.entry.fields
    if not entry.kind.startswith(OUTAGE) or not fields.get("outage"):
        return None
    before = known or Outage(fields["outage"], host, "", "", "", 0.0, "")
    ended = 0.0
    if entry.kind in ENDINGS:
        ended = seconds_of(fields.get("ended", "")) or seconds_of(record.at)
    return Outage(
        before.outage_id,
        host,
        fields.get("control", before.control_id),
        fields.get("function", before.function),
        fields.get("title", "") or before.title or fields.get("control", ""),
        seconds_of(fields.get("began", "")) or before.began or seconds_of(record.at),
        before.reason or entry.reason,
        fields.get("status", before.status),
        seconds_of(fields.get("passed_at", "")) or before.passed_at,
        ended,
        before.level,
        fields.get("remedy", before.remedy),
        _names(fields.get("requirements", "")) or before.requirements,
        before.planned or fields.get("planned", "") in ("true", "True", "yes", "1"),
        entry.ticket or before.ticket,
        before.reopened + (entry.kind == REOPENED),
    )


def _names(text: str) -> tuple[str, ...]:
    """A list as JSON or with commas."""
    if text.startswith("["):
        try:
            found = jsontext.loads(text)
        except ValueError:
            return ()
        return tuple(each for each in found if isinstance(each, str))
    return tuple(each.strip() for each in text.split(",") if each.strip())


def level_of(text: str) -> int:
    return int(text) if text in ("0", "1", "2", "3", "4") else NOTHING_PROVEN


def seconds_of(text: str) -> float:
    """Of RFC 3339 or a decimal; 0.0 for neither."""
    found = nanoseconds(text)
    if found is not None:
        return found / NS_PER_S
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 <= number < 1e11 else 0.0
