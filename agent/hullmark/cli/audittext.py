"""Records, traces and verdicts as people read them, and records as a table for other programs (CSV)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

from hullmark.cli.auditverifying import GOOD, NOT_VOUCHED, Verdict, unvouched
from hullmark.cli.words import count, one_line
from hullmark.model.audit import Record
from hullmark.model.audittrail import (
    Trace,
    TracedContainer,
    TracedDeed,
    TracedFailure,
    TracedRequest,
)

COLUMNS = (
    "at",
    "log",
    "name",
    "seq",
    "kind",
    "stage",
    "outcome",
    "by",
    "actor",
    "origin",
    "subject",
    "reason",
    "ticket",
    "request_id",
    "epoch",
    "container_id",
    "image_digest",
    "of",
    "fields",
    "boot",
    "prev",
    "hash",
)
COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes what begins with one of these for a formula, some also where spaces are before it."""
ID_SHOWN = 12


def line(record: Record, names: Mapping[str, str]) -> str:
    """`names` are those of hosts and masters, by log."""
    entry = record.entry
    parts = [
        f"{record.at[:19]}Z",
        names.get(record.log, record.log),
        entry.kind,
        entry.outcome.value,
        entry.subject,
        f"by {entry.by}",
        f"from {entry.origin}" if entry.origin else "",
        f"ticket {entry.ticket}" if entry.ticket else "",
        entry.container_id[:ID_SHOWN],
        entry.reason,
        entry.fields.get("command") or entry.fields.get("program", ""),
    ]
    # Two spaces are between parts, and never within one.
    return "  ".join(" ".join(one_line(part).split()) for part in parts if part)


def csv_head() -> str:
    return _row(COLUMNS)


def csv_row(record: Record, names: Mapping[str, str]) -> str:
    entry = record.entry
    own = {
        "at": record.at,
        "log": record.log,
        "name": names.get(record.log, ""),
        "seq": record.seq,
        "stage": entry.stage.value,
        "outcome": entry.outcome.value,
        "actor": entry.actor.value,
        "of": entry.of or "",
        "fields": json.dumps(dict(entry.fields), sort_keys=True) if entry.fields else "",
        "boot": record.boot,
        "prev": record.prev,
        "hash": record.hash,
    }
    return _row([_harmless(own.get(name, getattr(entry, name, ""))) for name in COLUMNS])


def _harmless(value: object) -> str:
    """Text of others: nothing in it that a spreadsheet or a terminal would obey. The lines of the log itself have it unchanged."""
    text = "".join(each if each.isprintable() else "?" for each in str(value))
    return f"'{text}" if text.lstrip(" ?").startswith(COMPUTED) else text


def _row(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def trace_lines(trace: Trace) -> Iterator[str]:
    """Each request with what came of it below it, then what no request here led to."""
    shown: set[str] = set()
    for request in trace.requests:
        yield from _request_lines(request)
        for container in trace.containers:
            if request.request_id in _requests_of(container):
                shown.add(container.container_id)
                yield from _container_lines(container)
        for failure in trace.failures:
            if failure.request_id == request.request_id:
                yield from _failure_lines(failure)
        yield ""
    rest = [each for each in trace.containers if each.container_id not in shown]
    known = {request.request_id for request in trace.requests}
    failures = [each for each in trace.failures if each.request_id not in known]
    if rest or failures:
        yield "no request at a master is known for"
        for container in rest:
            yield from _container_lines(container)
        for failure in failures:
            yield from _failure_lines(failure)
        yield ""
    if not trace.whole:
        yield "this is not all of it: name less, such as one request or one container"


def _requests_of(container: TracedContainer) -> set[str]:
    return {container.request_id, *(deed.request_id for deed in container.deeds)}


def _request_lines(request: TracedRequest) -> Iterator[str]:
    ticket = f"  ticket {request.ticket}" if request.ticket else ""
    yield one_line(
        f"{request.at[:19]}Z  {request.by} ({request.actor}) from {request.origin or 'unknown'}{ticket}"
    )
    made = f"  generation {request.generation}" if request.generation else ""
    epoch = f"  epoch {request.epoch}" if request.epoch else ""
    what = f"{request.kind} {request.subject}{made}"
    yield "    " + one_line(f"{what}  {request.outcome} at master {request.master}{epoch}")
    yield f"    request {one_line(request.request_id)}"
    if request.approved_by:
        yield f"    approved by {one_line(request.approved_by)}"
    elif request.reason:
        yield f"    {one_line(request.reason)}"


def _container_lines(container: TracedContainer) -> Iterator[str]:
    generation = f"  generation {container.generation}" if container.generation else ""
    what = f"{container.instance}{generation}  container {container.container_id}"
    yield "    " + one_line(f"{container.host}  {what}")
    if container.image_digest:
        yield f"      image {one_line(container.image_digest)}"
    for deed in container.deeds:
        yield "      " + one_line(_deed(deed))


def _failure_lines(failure: TracedFailure) -> Iterator[str]:
    yield "    " + one_line(f"{failure.host}  {failure.subject}")
    more = f"  {failure.times} times, last {failure.last[:19]}Z" if failure.times > 1 else ""
    what = f"{failure.kind} {failure.outcome}{more}  by {failure.by}"
    yield "      " + one_line(f"{failure.at[:19]}Z  {what}  {failure.reason}")


def _deed(deed: TracedDeed) -> str:
    parts = [
        f"{deed.at[:19]}Z  {deed.kind} {deed.outcome}",
        f"process {deed.pid}" if deed.pid else "",
        f"by {deed.by}",
        f"request {deed.request_id}" if deed.request_id else "",
        deed.reason,
    ]
    return "  ".join(part for part in parts if part)


def _vouched_by(verdict: Verdict) -> str:
    """`20: m1, m2`, or `20 (m1), 18 (m2)`."""
    if len(set(verdict.vouched_by.values())) == 1:
        return f"{verdict.vouched_to}: {', '.join(verdict.masters)}"
    found = sorted(verdict.vouched_by.items(), key=lambda each: -each[1])
    return ", ".join(f"{seq} ({name})" for name, seq in found if seq)


def verdict_lines(verdict: Verdict, why: str) -> Iterator[str]:
    """`why`: why there are no heads to hold it against."""
    yield f"{verdict.word.upper()}  log {one_line(verdict.log) or 'of nobody'}"
    files = verdict.files[0] if len(verdict.files) == 1 else f"{len(verdict.files)} files"
    span = f", numbers {verdict.first} to {verdict.last}" if verdict.records else ""
    yield f"  {count(verdict.records, 'record')}{span}  ({one_line(files)})"
    if verdict.word == GOOD:
        yield f"  masters vouch for it up to record {one_line(_vouched_by(verdict))}"
    if verdict.word == NOT_VOUCHED:
        yield f"  {one_line(unvouched(verdict, why))}"
    for text in verdict.findings:
        yield f"  WRONG  {one_line(text)}"
    for text in verdict.notes:
        yield f"  note: {one_line(text)}"
