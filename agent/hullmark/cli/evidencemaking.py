"""Making a pack from what was gathered, of a cluster or of one host: the story, the verification of records, the file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hullmark import __version__
from hullmark.cli.logparts import Part
from hullmark.cli.newfile import new_file
from hullmark.cli.words import duration
from hullmark.errors import HullmarkError, InvalidInput, UsageError
from hullmark.evidence import tables
from hullmark.evidence.manifest import Manifest
from hullmark.evidence.pack import Content, write
from hullmark.evidence.signers import Signer
from hullmark.evidence.slices import Standing, Vouched, verified
from hullmark.evidence.story import Story, Table
from hullmark.evidence.telling import Evidence, Question
from hullmark.model.audit import Outcome, Record
from hullmark.model.auditline import parse
from hullmark.model.control import ControlSpec, Framework
from hullmark.model.moments import NS_PER_S, nanoseconds
from hullmark.model.outage import Incident
from hullmark.model.people import TokenView

BEFORE_S = 90_000.0
"""Records of a day and an hour before the period are read too: what a check found last before it, told once a day, stands in them."""
SUMMED_S = 3900.0
"""And of the hour after it: its last hour is summed up then."""
AFTER_S = 7200.0
"""By then masters have sealed that."""


HOST_REMOVED = "request.remove-host"


@dataclass(frozen=True)
class Period:
    """In seconds since 1970."""

    begins: float
    ends: float


@dataclass
class Gathered:
    """`hosts` are names by log. `roles` (who, which) by the masters' configuration."""

    of: str
    hosts: Mapping[str, str]
    parts: list[Part] = field(default_factory=list)
    vouched: Vouched = field(default_factory=Vouched)
    incidents: tuple[Incident, ...] = ()
    tables: list[Table] = field(default_factory=list)
    roles: list[tuple[str, str]] = field(default_factory=list)
    tokens: tuple[TokenView, ...] = ()
    remarks: list[str] = field(default_factory=list)


def period(begins: str, ends: str, now: float) -> Period:
    """Of days or times (RFC 3339), days in UTC: `--to` is the first moment that is not in it. Raises UsageError."""
    found = Period(_moment(begins, "--from", now), _moment(ends, "--to", now))
    if found.ends <= found.begins:
        raise UsageError(
            f"--to {ends} is not after --from {begins}: nothing is between them",
            remedy="of a day: --from 2026-11-01 --to 2026-11-02",
        )
    return found


def _moment(text: str, option: str, now: float) -> float:
    if text == "now":
        return now
    whole = f"{text}T00:00:00Z" if len(text) == 10 else text
    found = nanoseconds(whole)
    if found is not None and found >= 0:
        return found / NS_PER_S
    try:
        return now - duration(text, option)
    except UsageError:
        raise UsageError(
            f"{option}: neither a day, a time nor a duration: {text[:40]!r}",
            remedy="such as 2026-11-01, 2026-11-24T01:30:00Z, 30d (ago) or now",
        ) from None


def framework(name: str) -> Framework:
    """Raises NotFound, InvalidInput."""
    from hullmark.config import load_framework

    return load_framework(name)


def definitions(remarks: list[str]) -> Mapping[str, ControlSpec]:
    """By id, as this machine has them: titles and what to do are from here."""
    from hullmark.config import load_controls, shipped_controls

    try:
        return {one.control_id: one for one in load_controls(shipped_controls()).specs}
    except HullmarkError as error:
        remarks.append(
            f"this machine's definitions of controls can't be read, so they have no titles: {error.message}"
        )
        return {}


def make(
    path: Path, gathered: Gathered, of: Framework, when: Period, by: str, now: float, signer: Signer
) -> tuple[Manifest, Story]:
    """Raises Conflict where the file is there already, and what signing raises."""
    known = definitions(gathered.remarks)
    asked = Question(
        gathered.of, of, when.begins, when.ends, now, by, __version__, gathered.hosts, known, gathered.incidents,
    )  # fmt: skip
    evidence, actions, people = Evidence(asked), tables.Actions(), tables.People()
    found = standings(gathered)
    gathered.remarks += gathered.vouched.remarks
    for part, standing in found:
        if standing.problems:
            gathered.remarks.append(
                f"the audit log {part.log} is not whole, and nothing in it counts: {standing.problems[0]}"
            )
            continue
        for record in _records(part):
            evidence.take(record)
            if tables.within(record, when.begins, when.ends):
                actions.take(record)
                people.take(record)
                gathered.remarks += _removed(record)
        evidence.close(part.log)
    if actions.left_out:
        gathered.remarks.append(
            f"{actions.left_out} administrative actions are in audit/ only: the table has the first {tables.ACTIONS_MOST}"
        )
    told = (
        *gathered.tables,
        tables.people(gathered.roles, gathered.tokens, people),
        actions.table(),
        _verification(found),
    )
    story = evidence.story()
    story = replace(story, tables=told, remarks=(*gathered.remarks, *story.remarks))
    content = Content(
        story,
        signer.fingerprint,
        list(evidence.newest_readings()),
        [part.part() for part, standing in found if part.last and not standing.problems],
        gathered.vouched.lines(),
    )
    with new_file(path, replace=False) as out, tempfile.TemporaryFile(dir=path.parent) as draft:
        manifest = write(draft, content, signer.sign)
        draft.seek(0)
        shutil.copyfileobj(draft, out)
    return manifest, story


def _records(part: Part) -> Iterator[Record]:
    """Of a part that is whole, so that all of them are this log's."""
    for line in part.lines():
        with contextlib.suppress(
            InvalidInput
        ):  # a chain is made of lines, also of some that say nothing
            yield parse(line)


def _removed(record: Record) -> list[str]:
    entry = record.entry
    if entry.kind != HOST_REMOVED or entry.outcome is not Outcome.SUCCESS:
        return []
    return [
        f"{entry.subject} was removed from the cluster at {record.at[:19]}Z: this pack does not tell of it"
    ]


def standings(gathered: Gathered) -> Sequence[tuple[Part, Standing]]:
    """Each part, cut where masters vouch for what it is used for, and what was found of it."""
    found = []
    heads = gathered.vouched.heads()
    for part in gathered.parts:
        part.cut(gathered.vouched.last(part.log))
        own = {
            master: [head for head in known if head.log == part.log]
            for master, known in heads.items()
        }
        found.append((part, verified(part.lines(), own)))
    return found


def _verification(found: Sequence[tuple[Part, Standing]]) -> Table:
    columns = ("Log", "Of", "Records", "From", "To", "Chain", "Vouched for up to", "By")
    rows = []
    for part, standing in found:
        by = ", ".join(standing.vouched_by) or "nobody"
        to = str(standing.vouched_to or "")
        numbers = (str(standing.count), str(standing.first), str(standing.last))
        rows.append((part.log, part.of, *numbers, standing.words, to, by))
    return Table("verification", "Audit verification", columns, tuple(rows))
