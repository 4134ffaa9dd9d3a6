"""Tables of a pack: the story's own, and what masters know of hosts, apps, images, ports and people; CSV that spreadsheets take as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Optional

from hullmark.evidence.controlrecords import seconds_of
from hullmark.evidence.story import Story, Table
from hullmark.model.api import AppSummary, HostView, InstanceView
from hullmark.model.audit import Actor, Record, Stage
from hullmark.model.control import LEVELS
from hullmark.model.moments import moment
from hullmark.model.outage import NOTES
from hullmark.model.people import TokenView
from hullmark.model.ports import PortView

_PEOPLE = (Actor.HUMAN, Actor.MACHINE)
ACTIONS_MOST = 20_000


def csv_of(table: Table) -> bytes:
    """RFC 4180, UTF-8. What a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    writer.writerows([_harmless(text) for text in row] for row in table.rows)
    return out.getvalue().encode("utf-8", "replace")


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and text != "-" else text


def of_story(story: Story) -> tuple[Table, ...]:
    return (
        _requirements(story),
        _controls(story),
        _checks(story),
        _outages(story),
        _incidents(story),
        *story.tables,
    )


def _requirements(story: Story) -> Table:
    columns = (
        "requirement",
        "title",
        "verdict",
        "level",
        "why",
        "shown",
        "not covered",
        "controls",
        "see also",
    )
    rows = (
        (
            one.requirement_id, one.title, one.verdict, _level(one.level), one.why, one.covers, one.gaps,
            " ".join(f"{host}/{control}" for host, control in one.controls), ", ".join(one.sources),
        )
        for one in story.requirements
    )  # fmt: skip
    return Table("requirements", "Requirements", columns, tuple(rows))


def _controls(story: Story) -> Table:
    columns = (
        "host", "control", "function", "title", "status at the end", "level", "passing s", "failing s", "not looked at s", "of s",
        "seen by a second machine", "reason",
    )  # fmt: skip
    rows = (
        (
            one.host, one.control_id, one.function, one.title, one.status, _level(one.level), f"{one.proven_s:.0f}",
            f"{one.failed_s:.0f}", f"{one.unlooked_s:.0f}", f"{one.span_s:.0f}", _yes(one.seen_elsewhere), one.reason,
        )
        for one in story.controls
    )  # fmt: skip
    return Table("controls", "Controls", columns, tuple(rows))


def _checks(story: Story) -> Table:
    columns = (
        "host", "control", "check", "status at the end", "level", "looks that passed", "that failed", "that gave an error",
        "first", "last", "not exercised", "reason", "newest readings", "record",
    )  # fmt: skip
    rows = (
        (
            control.host, control.control_id, one.check_id, one.status, _level(one.level), str(one.passes), str(one.fails),
            str(one.errors), _at(one.first_at), _at(one.last_at), one.not_exercised, one.reason, one.raw, one.source,
        )
        for control in story.controls
        for one in control.checks
    )  # fmt: skip
    return Table("checks", "Checks", columns, tuple(rows))


def _outages(story: Story) -> Table:
    columns = (
        "outage", "host", "control", "function", "began", "ended", "passed before at", "lasted s", "status", "planned", "ticket",
        "reopened", "requirements", "reason",
    )  # fmt: skip
    rows = (
        (
            one.outage_id, one.host, one.control_id, one.function, _at(one.began), _at(one.ended), _at(one.passed_at),
            f"{one.ended - one.began:.0f}" if one.ended else "", one.status, _yes(one.planned), one.ticket, str(one.reopened),
            ", ".join(one.requirements), one.reason,
        )
        for one in story.outages
    )  # fmt: skip
    return Table("outages", "Outages", columns, tuple(rows))


def _incidents(story: Story) -> Table:
    columns = (
        "incident",
        "function",
        "began",
        "ended",
        "acknowledged by",
        "acknowledged at",
        "outages",
        *NOTES,
        "remarks",
    )
    rows = []
    for one in story.incidents:
        told = [
            " / ".join(
                f"{note.text} ({note.by}, {_at(note.at)})"
                for note in one.notes
                if note.topic == topic
            )
            for topic in (*NOTES, "")
        ]
        rows.append(
            (
                str(one.number), one.function, _at(one.began), _at(one.ended), one.acknowledged_by, _at(one.acknowledged_at),
                ", ".join(one.outages), *told,
            )
        )  # fmt: skip
    return Table("incidents", "Incidents", columns, tuple(rows))


# -- what masters know


def hosts(found: Iterable[HostView]) -> Table:
    columns = (
        "Host",
        "State",
        "Operating system",
        "Kernel",
        "Engine",
        "Agent",
        "Scope",
        "Addresses",
    )
    rows = (
        (
            one.name, one.state, one.facts.os, one.facts.kernel, f"{one.facts.engine} {one.facts.engine_version}".strip(),
            one.facts.agent_version, one.facts.scope, ", ".join(one.facts.addresses),
        )
        for one in found
    )  # fmt: skip
    return Table("hosts", "Hosts", columns, tuple(sorted(rows)))


def apps(found: Iterable[AppSummary]) -> Table:
    columns = (
        "App",
        "Service",
        "State",
        "Generation",
        "Image",
        "Digest",
        "Changed",
        "By",
        "Ticket",
    )
    rows = (
        (
            app.name, one.service, app.state, str(app.generation), one.image, one.digest, _at(app.change.at), app.change.by,
            app.change.ticket,
        )
        for app in found
        for one in app.services
    )  # fmt: skip
    return Table("apps", "Apps", columns, tuple(sorted(rows)))


def images(found: Iterable[InstanceView]) -> Table:
    """By digest, with where they run."""
    where: dict[tuple[str, str], set[str]] = {}
    for one in found:
        if one.status is not None and (one.status.image or one.status.image_id):
            where.setdefault((one.status.image, one.status.image_id), set()).add(one.host)
    rows = ((image, digest, ", ".join(sorted(names))) for (image, digest), names in where.items())
    return Table("images", "Images that run", ("Image", "Id", "Hosts"), tuple(sorted(rows)))


def ports(found: Iterable[PortView]) -> Table:
    columns = (
        *(
            "Host",
            "Address",
            "Port",
            "Protocol",
            "Belongs to",
            "Name",
            "Declared",
            "Listening",
            "By",
        ),
        *("Allowed by policy", "State", "State of host", "Told, seconds ago"),
    )
    rows = (
        (
            *(one.host, one.address or "every", f"{one.port}", one.protocol, one.kind.value),
            *(one.holder, _said(one.declared), _said(one.listening), one.by),
            *(_said(one.allowed), one.state.value, one.host_state, _seconds(one.told_s)),
        )
        for one in found
    )
    ordered = sorted(rows, key=lambda row: (row[0], int(row[2])))
    return Table("ports", "Ports of hosts", columns, tuple(ordered))


def _seconds(value: Optional[float]) -> str:
    """Empty where it is not known."""
    return "" if value is None else f"{value:.0f}"


def _said(value: Optional[bool]) -> str:
    """Empty where nothing is known, or said."""
    return "" if value is None else "yes" if value else "no"


def people(roles: Iterable[tuple[str, str]], tokens: Iterable[TokenView], acted: People) -> Table:
    """`roles`: who has one by the masters' configuration (`user alice`, `group ops`), and which."""
    columns = ("Who", "Role", "By what", "First acted in the period", "Last", "Actions")
    rows = [(who, role, "configuration of the master", "", "", "") for who, role in roles]
    for one in tokens:
        until = f"token, until {_at(one.expires_at)[:10]}, made by {one.by}{', expired' if one.expired else ''}"
        rows.append((one.name, one.role, until, "", "", ""))
    rows += acted.rows()
    return Table("people", "Users and roles", columns, tuple(rows))


class People:
    """Who acted in a period, from records: their newest role, and how often."""

    def __init__(self) -> None:
        self._roles: dict[str, str] = {}
        self._seen: dict[str, list[str]] = {}

    def take(self, record: Record) -> None:
        entry = record.entry
        if entry.actor not in _PEOPLE:
            return
        if entry.fields.get("role") and entry.kind == "login.used":
            self._roles[entry.by] = entry.fields["role"]
        elif entry.stage is not Stage.OUTCOME:
            self._seen.setdefault(entry.by, []).append(record.at)

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        names = sorted({*self._roles, *self._seen})
        return [
            (name, self._roles.get(name, ""), "the records", *_ends(self._seen.get(name, [])))
            for name in names
        ]


def _ends(times: Sequence[str]) -> tuple[str, str, str]:
    return (
        (min(times)[:19] + "Z", max(times)[:19] + "Z", str(len(times))) if times else ("", "", "0")
    )


class Actions:
    """What people and machines asked for: each with how it ended, oldest first. What was only read is told too."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], int] = {}
        self._rows: list[tuple[str, ...]] = []
        self.left_out = 0

    def take(self, record: Record) -> None:
        entry = record.entry
        if entry.actor not in _PEOPLE or entry.kind == "login.used":
            return
        before = self._open.pop((record.log, entry.of), None)
        if before is not None and entry.stage is Stage.OUTCOME:
            row = self._rows[before]
            self._rows[before] = (*row[:6], entry.outcome.value, row[7] or entry.reason, *row[8:])
            return
        if len(self._rows) >= ACTIONS_MOST:
            self.left_out += 1
            return
        if entry.stage is Stage.INTENT:
            self._open[record.log, record.seq] = len(self._rows)
        self._rows.append(
            (
                record.at[:19] + "Z", entry.by, entry.actor.value, entry.origin, entry.kind, entry.subject, entry.outcome.value,
                entry.reason, entry.ticket, entry.fields.get("approved_by", ""), f"{record.log} #{record.seq}",
            )
        )  # fmt: skip

    def table(self) -> Table:
        columns = (
            "At", "Who", "Kind of login", "From", "Action", "What", "Outcome", "Reason", "Ticket", "Approved by", "Record",
        )  # fmt: skip
        return Table("actions", "Administrative actions", columns, tuple(sorted(self._rows)))


def within(record: Record, begins: float, ends: float) -> bool:
    return begins <= seconds_of(record.at) < ends


def _level(level: int) -> str:
    return f"{level} {LEVELS[level]}" if level in LEVELS else "nothing"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _at(at: float) -> str:
    return moment(at)[:19] + "Z" if at else ""
