"""The report: one HTML page with everything in it, made from a story by templates that escape whatever they are given.

No script, no picture or style from elsewhere: it is read in a browser without a network, and printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hullmark.evidence import story as words
from hullmark.evidence.chart import chart
from hullmark.evidence.story import ControlStory, RequirementStory, Story
from hullmark.evidence.verdicts import span, word_of
from hullmark.model.control import LEVELS, NOTHING_PROVEN
from hullmark.model.moments import day
from hullmark.model.outage import NOTES, Incident

TEMPLATES = Path(__file__).with_name("templates")
ROWS_MOST = 150
"""Of a table that has a file of its own in the pack."""
CELLS_MOST = 10
"""Hosts side by side in the table of functions."""

EXPLAINED: Mapping[str, str] = {
    words.PROVEN: "Each function that the requirement names passed on every host, for the whole time in which the host was there.",
    words.INTERRUPTED: "Each function passes at the end on every host, and failed or was not looked at for some time before.",
    words.NOT_PROVEN: "A function does not pass at the end on some host, is carried by nothing there, or was not looked at.",
    words.ELSEWHERE: "Evidence is in this pack's records and inventory, and not in controls.",
    words.NOT_COVERED: "An agent on a host can't see this: evidence has to come from elsewhere.",
}
SOURCES: Mapping[str, tuple[str, str]] = {
    "audit": ("#verification", "audit logs and their verification"),
    "inventory": ("#inventory", "inventory"),
    "outages": ("#outages", "outages and incidents"),
    "policy": ("#actions", "what hosts' policies refused, in the audit logs"),
    "people": ("#people", "users and roles"),
    "ports": ("#ports", "ports"),
    "change-control": ("#actions", "administrative actions, with tickets and approvals"),
}
PROVES: Mapping[int, str] = {
    0: "The tool is there.",
    1: "It runs.",
    2: "It says itself that it works.",
    3: "A harmless canary was seen at the tool's own output, by a way that the check did not write.",
    4: "The canary was seen on another machine.",
}


@dataclass(frozen=True)
class ControlRow:
    """One control over all hosts on which it applies."""

    control_id: str
    title: str
    hosts: int
    passing: int
    least_share: float
    level: int
    seen_elsewhere: int
    checks: tuple[tuple[str, int, int], ...]
    """Each with how many looks there were on all hosts, and the lowest level that it proved on those that passed."""
    not_exercised: tuple[str, ...]
    troubled: tuple[ControlStory, ...]


def render(story: Story, fingerprint: str = "") -> str:
    """`fingerprint` is that of the certificate which the pack's signature leads to."""
    environment = Environment(
        loader=FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        utc=day, span=span, share=share, level=level_word, anchor=anchor, word=word_of
    )
    tables = {table.name: table for table in story.tables}
    return environment.get_template("report.html.j2").render(
        story=story,
        fingerprint=fingerprint,
        counts=Counter(one.verdict for one in story.requirements),
        verdicts=words.VERDICTS,
        explained=EXPLAINED,
        sources=SOURCES,
        proves=PROVES,
        levels=LEVELS,
        requirements=[(one, control_rows(story, one)) for one in story.requirements],
        chart=chart(story.outages, story.begins, story.ends),
        incidents=[(one, seven(one)) for one in story.incidents],
        open_notes=sum(missing(one) for one in story.incidents),
        matrices=matrices(story),
        suffix=common_suffix(story.hosts),
        tables=tables,
        inventory=[
            tables[name]
            for name in ("hosts", "apps", "images", "ports", "people")
            if name in tables
        ],
        rows_most=ROWS_MOST,
    )


def control_rows(story: Story, requirement: RequirementStory) -> list[ControlRow]:
    """The controls that a requirement rests on, each over all its hosts."""
    wanted = set(requirement.controls)
    found: dict[str, list[ControlStory]] = {}
    for control in story.controls:
        if (control.host, control.control_id) in wanted:
            found.setdefault(control.control_id, []).append(control)
    return [_row(control_id, controls) for control_id, controls in sorted(found.items())]


def _row(control_id: str, controls: Sequence[ControlStory]) -> ControlRow:
    left_out = (check.not_exercised for one in controls for check in one.checks)
    return ControlRow(
        control_id,
        controls[0].title,
        len(controls),
        sum(one.status == "pass" for one in controls),
        min(_share_of(one) for one in controls),
        min(one.level for one in controls),
        sum(one.seen_elsewhere for one in controls),
        _checks(controls),
        tuple(dict.fromkeys(text for text in left_out if text)),
        tuple(
            one
            for one in controls
            if one.failed_s > 0 or one.unlooked_s >= 60 or one.status != "pass"
        ),
    )


def _checks(controls: Sequence[ControlStory]) -> tuple[tuple[str, int, int], ...]:
    looks: Counter[str] = Counter()
    levels: dict[str, list[int]] = {}
    for check in (check for one in controls for check in one.checks):
        looks[check.check_id] += check.passes + check.fails + check.errors
        levels.setdefault(check.check_id, []).append(check.level)
    lowest = {
        name: min((each for each in found if each >= 0), default=-1)
        for name, found in levels.items()
    }
    return tuple((name, looks[name], lowest[name]) for name in sorted(levels))


def _share_of(one: ControlStory) -> float:
    return one.proven_s / one.span_s if one.span_s else 0.0


@dataclass(frozen=True)
class Cell:
    """What is known of one function on one host."""

    share: float
    level: int
    passing: bool
    seen_elsewhere: bool


@dataclass(frozen=True)
class Matrix:
    hosts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Optional[Cell], ...]], ...]


def matrices(story: Story) -> list[Matrix]:
    """Functions by hosts, a few hosts at a time."""
    names = sorted({one.function for one in story.controls if one.applies})
    cells = {(name, host): _cell(story, name, host) for name in names for host in story.hosts}
    count = -(-len(story.hosts) // CELLS_MOST)
    size = -(-len(story.hosts) // count) if count else 1
    parts = [story.hosts[at : at + size] for at in range(0, len(story.hosts), size)]
    return [
        Matrix(part, tuple((name, tuple(cells[name, host] for host in part)) for name in names))
        for part in parts
        if names
    ]


def common_suffix(hosts: Sequence[str]) -> str:
    """The domain that all names end in, with its dot; empty where there is none, or where they are addresses."""
    domains = {host.partition(".")[1] + host.partition(".")[2] for host in hosts}
    domain = domains.pop() if len(domains) == 1 else ""
    return "" if not domain.strip(".0123456789") else domain


def _cell(story: Story, function: str, host: str) -> Optional[Cell]:
    """By the weakest control that applies; None where none does."""
    found = [
        one
        for one in story.controls
        if (one.function, one.host) == (function, host) and one.applies
    ]
    if not found:
        return None
    return Cell(
        min(_share_of(one) for one in found),
        max(one.level for one in found),
        all(one.status == "pass" for one in found),
        any(one.seen_elsewhere for one in found),
    )


@dataclass(frozen=True)
class Thing:
    """One of the seven that PCI DSS 10.7.3 asks for. `texts` empty: still open."""

    title: str
    texts: tuple[str, ...]


def seven(incident: Incident) -> list[Thing]:
    restored = f"restored {day(incident.ended)}: checks pass since" if incident.ended else ""
    lasted = f"{day(incident.began)} to {day(incident.ended)}" if incident.ended else ""
    length = f"{lasted} ({span(incident.ended - incident.began)})" if lasted else ""
    known = (
        Thing("Security functions restored", (restored,) if restored else ()),
        Thing("Duration, with date and time of begin and end", (length,) if length else ()),
    )
    told = []
    for topic, title in NOTES.items():
        texts = tuple(
            f"{note.text} ({note.by}, {day(note.at)})"
            for note in incident.notes
            if note.topic == topic
        )
        told.append(Thing(title[:1].upper() + title[1:], texts))
    return [*known, *told]


def missing(incident: Incident) -> int:
    return sum(not thing.texts for thing in seven(incident))


def share(value: float) -> str:
    """Never rounded up to all of it."""
    if value >= 1.0 - 1e-9:
        return "100 %"
    return f"{min(value * 100, 99.99):.2f} %" if value > 0.99 else f"{min(value * 100, 99.9):.1f} %"


def level_word(level: int) -> str:
    return "nothing" if level <= NOTHING_PROVEN else f"{level} {LEVELS.get(level, '')}"


def anchor(text: str) -> str:
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in text)
