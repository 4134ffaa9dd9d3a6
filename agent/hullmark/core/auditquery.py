"""Which records of audit logs answer a question."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hullmark.model.audit import Record
from hullmark.model.audittrail import Query

APP = "app"
"""The field of a record that names the app of a container, network or volume."""


def matches(record: Record, query: Query) -> bool:
    """The query's `log` is looked at by whoever reads the logs."""
    entry = record.entry
    whole = (
        (query.by, entry.by),
        (query.request, entry.request_id),
        (query.ticket, entry.ticket),
        (query.outcome, entry.outcome.value),
        (query.app, app_of(record) if query.app else ""),
    )
    return (
        all(not wanted or wanted == found for wanted, found in whole)
        and entry.container_id.startswith(query.container)
        and (not query.kind or _is_kind(entry.kind, query.kind))
        and (not query.since or record.at >= query.since)
        and (not query.until or record.at < query.until)
    )


def needles(query: Query) -> tuple[bytes, ...]:
    """Texts that all stand in each line that matches, so that others need not be read."""
    named = (query.by, query.request, query.ticket, query.outcome, query.app, query.container)
    # An id's beginning and an app's name are parts of longer texts.
    return tuple(as_written(text) for text in named if text)


def as_written(text: str) -> bytes:
    """As it stands within a line of a log (`auditline`)."""
    return json.dumps(text)[1:-1].encode()


def app_of(record: Record) -> str:
    """Whose app a record is about; empty where it is about none."""
    entry = record.entry
    if entry.fields.get(APP):
        return entry.fields[APP]
    if "/" in entry.subject:
        return entry.subject.partition("/")[0] if " " not in entry.subject else ""
    if entry.kind.startswith(("app.", "rollout.", "request.")) and " " not in entry.subject:
        return entry.subject
    return ""


def log_named(text: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """The logs that a person means: one by its own name, or those of a host or master of that name. `names` are by log."""
    if text in names or ":" in text:
        return (text,)
    return tuple(log for log, name in sorted(names.items()) if name == text)


def _is_kind(kind: str, wanted: str) -> bool:
    return kind == wanted or kind.startswith(wanted.rstrip(".") + ".")
