"""Following the records of all logs from a person to what was done because of them, and back.

    person, app, request, container  ->  requests at a master  ->  containers on hosts, with their processes

A request and what a host does because of it have the request's id in common: it came to the host with its orders. It stays with the
app through every change of leader.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.auditquery import app_of
from hullmark.model.audit import Actor, Outcome, Record, Stage
from hullmark.model.audittrail import (
    Place,
    Trace,
    TracedContainer,
    TracedDeed,
    TracedFailure,
    TracedRequest,
)
from hullmark.model.names import parse_container_name

CONTAINER = "container."
UNMANAGED = "unmanaged."
"""What was done to a container past Hullmark."""
CREATE = "container.create"
CONTAINER_ID = re.compile(r"[0-9a-f]{12,64}")
ID_OF_CHANGE = re.compile(r"[0-9a-f]{8}")
"""Of a change that waits, and of a break-glass."""
GLASS = "break_glass"
PID = "pid"
NAME = "name"
GENERATION = "generation"
APPROVED_BY = "approved_by"


def begins(record: Record, what: str) -> bool:
    """Whether a record belongs to what a person named: a container's id or the beginning of one, its name, an instance, an app, a user
    or token, a request's id, a ticket, or the id of a change that waited or of a break-glass."""
    entry = record.entry
    if what in (entry.request_id, entry.by, entry.ticket, entry.subject, entry.fields.get(NAME)):
        return True
    if ID_OF_CHANGE.fullmatch(what) and what in (*entry.subject.split(), entry.fields.get(GLASS)):
        return True
    if CONTAINER_ID.fullmatch(what) and entry.container_id.startswith(what):
        return True
    return app_of(record) == what or entry.subject.startswith(f"{what}.")


def is_narrow(what: str) -> bool:
    """Whether one container, or the containers of one instance, are named, so that others of the same request are left out."""
    return bool(CONTAINER_ID.fullmatch(what) or parse_container_name(what) or "/" in what)


class Search:
    """Gathers the records of a story from logs that are read several times, as often as there are new clues:

    while search.goes_on:
        for record in ...:                    # of all logs; those without one of `texts` may be left out
            search.look(record)
        search.turn()
    """

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        self._narrow = is_narrow(what)
        self._found: dict[tuple[str, int, str], Record] = {}
        self._requests: frozenset[str] = frozenset()
        self._containers: frozenset[str] = frozenset()
        self._pass = 1
        self.goes_on = True
        self.whole = True
        """False where more than `most` records belong to it."""
        self.texts: frozenset[str] = frozenset({what})

    @property
    def records(self) -> list[Record]:
        return list(self._found.values())

    def look(self, record: Record) -> None:
        wanted = begins(record, self._what) if self._pass == 1 else self._follows(record)
        if not wanted:
            return
        key = (record.log, record.seq, record.hash)
        if key not in self._found and len(self._found) >= self._most:
            self.whole = False
            return
        self._found[key] = record

    def turn(self) -> None:
        """All logs were read once."""
        requests, containers = self._requests, self._containers
        of_requests = self._found.values() if self._pass == 1 else ()
        self._requests |= {one.entry.request_id for one in of_requests} - {""}
        self._containers |= {one.entry.container_id for one in self._found.values()} - {""}
        self._pass += 1
        self.texts = (self._requests - requests) | (self._containers - containers)
        self.goes_on = bool(self.texts) and self.whole

    def _follows(self, record: Record) -> bool:
        entry = record.entry
        if entry.container_id and entry.container_id in self._containers:
            return True
        if not entry.request_id or entry.request_id not in self._requests:
            return False
        # Before it was made a container had no id: the intent has its name only.
        begun = entry.kind == CREATE and entry.stage is Stage.INTENT
        return not self._narrow or _of_master(record) or begun


def trace(
    what: str, records: Iterable[Record], names: Mapping[str, str], *, whole: bool = True
) -> Trace:
    """`records` are all that were gathered, of any logs. `names` has for each log the name of its host or master."""
    ordered = sorted(records, key=lambda one: (one.at, one.log, one.seq))
    places = {(one.log, one.seq): one for one in ordered}
    requests, deeds, failed = defaultdict(list), defaultdict(list), defaultdict(list)
    for record in ordered:
        entry = record.entry
        if entry.container_id and entry.kind.startswith((CONTAINER, UNMANAGED)):
            deeds[(record.log, entry.container_id)].append(record)
        elif entry.request_id and _of_master(record) and entry.actor is not Actor.SYSTEM:
            requests[entry.request_id].append(record)
        elif entry.outcome in (Outcome.REFUSED, Outcome.FAILURE) and not _of_master(record):
            failed[(record.log, entry.kind, entry.subject, entry.request_id, entry.reason)].append(
                record
            )
    return Trace(
        what,
        tuple(_request(each, names) for each in requests.values()),
        tuple(_container(each, places, names) for each in deeds.values()),
        tuple(sorted({record.log for record in ordered})),
        whole,
        tuple(_failure(each, names) for each in failed.values()),
    )


def _failure(records: Sequence[Record], names: Mapping[str, str]) -> TracedFailure:
    """An agent tries again and again: records that say the same are one."""
    first, entry = records[0], records[0].entry
    return TracedFailure(
        entry.kind,
        entry.subject,
        _name(first.log, names),
        first.log,
        entry.outcome.value,
        first.at,
        records[-1].at,
        len(records),
        entry.reason,
        entry.by,
        entry.request_id,
    )


def _of_master(record: Record) -> bool:
    return record.log.startswith("master:")


def _place(record: Record) -> Place:
    return Place(record.log, record.seq)


def _name(log: str, names: Mapping[str, str]) -> str:
    return names.get(log) or log.partition(":")[2]


def _request(records: Sequence[Record], names: Mapping[str, str]) -> TracedRequest:
    """The leader's records of one request come before those of a master that only passed it on."""
    own = [record for record in records if "forwarded_to" not in record.entry.fields]
    asked = next((one for one in own if one.entry.stage is Stage.INTENT), (own or records)[0])
    ended = [one for one in own if one.entry.stage is Stage.OUTCOME and one.log == asked.log]
    entry, last = asked.entry, ended[-1].entry if ended else None
    told = [record.entry for record in own if record.entry.fields.get(GENERATION, "").isdigit()]
    return TracedRequest(
        entry.request_id,
        entry.kind,
        entry.subject,
        asked.at,
        entry.by,
        entry.actor.value,
        entry.origin,
        (last or entry).outcome.value,
        _name(asked.log, names),
        entry.ticket,
        (last or entry).reason,
        entry.epoch,
        int(told[-1].fields[GENERATION]) if told else 0,
        tuple(_place(record) for record in records),
        next((each for each in map(_approved_by, own) if each), ""),
    )


def _approved_by(record: Record) -> str:
    return record.entry.fields.get(APPROVED_BY, "")


@dataclass
class _Deeds:
    """The deeds of one container so far."""

    done: list[TracedDeed] = field(default_factory=list)
    open: dict[int, int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        entry = record.entry
        at = self.open.pop(entry.of, None) if entry.stage is Stage.OUTCOME else None
        places: tuple[Place, ...] = (_place(record),)
        begun = record.at
        if at is not None:
            places = (*self.done[at].places, *places)
            begun = self.done[at].at
        pid = entry.fields.get(PID, "")
        deed = TracedDeed(
            entry.kind,
            begun,
            entry.outcome.value,
            entry.by,
            entry.request_id,
            int(pid) if pid.isdigit() else 0,
            entry.reason,
            entry.epoch,
            places,
        )
        if at is not None:
            self.done[at] = deed
            return
        self.done.append(deed)
        if entry.stage is Stage.INTENT:
            self.open[record.seq] = len(self.done) - 1


def _container(
    records: Sequence[Record],
    places: Mapping[tuple[str, int], Record],
    names: Mapping[str, str],
) -> TracedContainer:
    first = records[0]
    deeds = _Deeds()
    intent = _intent_of_creation(records, places)
    for record in (intent, *records) if intent is not None else records:
        deeds.take(record)
    made = next((one for one in records if one.entry.kind == CREATE), first).entry
    name = next((one.entry.fields[NAME] for one in records if one.entry.fields.get(NAME)), "")
    instance = parse_container_name(name)
    digest = next((one.entry.image_digest for one in records if one.entry.image_digest), "")
    return TracedContainer(
        first.entry.container_id,
        name,
        _name(first.log, names),
        first.log,
        instance.app if instance is not None else app_of(first),
        str(instance) if instance is not None else first.entry.subject,
        instance.generation if instance is not None else 0,
        digest,
        made.request_id,
        made.by,
        tuple(deeds.done),
    )


def _intent_of_creation(
    records: Sequence[Record], places: Mapping[tuple[str, int], Record]
) -> Optional[Record]:
    """Before it was made a container had no id, so its first record is found by the outcome that names it."""
    outcome = next((one for one in records if one.entry.kind == CREATE and one.entry.of), None)
    if outcome is None or outcome.entry.outcome is Outcome.REFUSED:
        return None
    return places.get((outcome.log, outcome.entry.of))
