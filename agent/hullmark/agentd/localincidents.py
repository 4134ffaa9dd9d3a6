"""Incidents of a host that is in no cluster, with what its people said of them. Once a cluster keeps them, what is here is history."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

from hullmark import log
from hullmark.agentd.keptfile import read_kept
from hullmark.core import incidents
from hullmark.errors import Conflict, NotFound
from hullmark.model.audit import Actor, Entry
from hullmark.model.outage import NOTE_LENGTH_MOST, NOTES_MOST, Incident, Note, Outage
from hullmark.pki.files import write_document

_log = log.get("outages")

FILE = "incidents.json"
CLOSED_KEPT_S = 400 * 86400.0
INCIDENTS_MOST = 500
LOCAL = "local"


@dataclass(frozen=True)
class KeptIncidents:
    """`last` is the highest number that was given."""

    form: int = 1
    last: int = 0
    incidents: Mapping[str, Incident] = field(default_factory=dict)


class LocalIncidents:
    """May be used from any thread. `note` records in the audit log."""

    def __init__(
        self, folder: Path, note: Callable[[Entry], None], wall: Callable[[], float] = time.time
    ) -> None:
        self._file, self._note, self._wall = folder / FILE, note, wall
        self._lock = threading.RLock()
        self._kept = KeptIncidents()
        self._all: tuple[Incident, ...] = ()
        self._unwritten = False
        self._late = log.Lasting(_log, "incidents not written", "incidents are written again")

    def load(self) -> None:
        """What an agent before this one left."""
        with self._lock:
            self._kept = read_kept(KeptIncidents, self._file) or KeptIncidents()
            self._all = _newest_first(self._kept)

    def all(self) -> tuple[Incident, ...]:
        """The newest first."""
        return self._all

    def numbers(self) -> Mapping[str, int]:
        """The incident of each outage."""
        return {name: one.number for one in self.all() for name in one.outages}

    def acknowledged(self) -> frozenset[str]:
        """Outages of incidents that somebody acknowledged."""
        return frozenset(name for one in self.all() if one.acknowledged_at for name in one.outages)

    def group(self, outages: Iterable[Outage], now: float) -> None:
        """These are the host's outages. What can't be written is tried again with the next."""
        with self._lock:
            known = {one.number: one for one in self._kept.incidents.values()}
            found = incidents.fold(known, outages, now, last=self._kept.last)
            if found != known:
                last = max([self._kept.last, *found])
                self._kept = KeptIncidents(last=last, incidents=_kept(found.values(), now))
                self._unwritten, self._all = True, _newest_first(self._kept)
            self._write()

    def acknowledge(self, number: int, by: str) -> Incident:
        """Raises NotFound, Conflict where somebody did."""
        with self._lock:
            incident = self.named(number)
            if incident.acknowledged_at:
                who = incident.acknowledged_by
                raise Conflict(f"incident {incident.number} was acknowledged by {who} before")
            known = replace(incident, acknowledged_by=by, acknowledged_at=self._wall())
            return self._put(known, _said("incident.acknowledged", incident.number, by, ""))

    def put_note(self, number: int, by: str, topic: str, text: str) -> Incident:
        """Raises NotFound, Conflict where there are too many notes."""
        with self._lock:
            incident = self.named(number)
            if len(incident.notes) >= NOTES_MOST:
                raise Conflict(f"incident {incident.number} has {NOTES_MOST} notes: no more")
            note = Note(self._wall(), by, topic, text[:NOTE_LENGTH_MOST])
            known = replace(incident, notes=(*incident.notes, note))
            return self._put(known, _said("incident.noted", incident.number, by, topic))

    def named(self, number: int) -> Incident:
        """What became of the one with this number. Raises NotFound."""
        found = self._kept.incidents.get(str(number))
        if found is None:
            raise NotFound(f"there is no incident {number}", remedy="hullmark outages list")
        return self.named(found.merged_into) if found.merged_into else found

    def _put(self, incident: Incident, entry: Entry) -> Incident:
        known = {**self._kept.incidents, str(incident.number): incident}
        self._kept = replace(self._kept, incidents=known)
        self._unwritten, self._all = True, _newest_first(self._kept)
        self._write()
        self._note(entry)
        return incident

    def _write(self) -> None:
        if not self._unwritten:
            return
        try:
            write_document(self._file, self._kept)
        except OSError as error:
            why = error.strerror or str(error)
            self._late.failed(why, why, file=self._file)
        else:
            self._late.done()
            self._unwritten = False


def _newest_first(kept: KeptIncidents) -> tuple[Incident, ...]:
    return tuple(sorted(kept.incidents.values(), key=lambda one: -one.number))


def _kept(found: Iterable[Incident], now: float) -> Mapping[str, Incident]:
    """Those that last, and the newest of the others, as long as records are kept."""
    ordered = sorted(found, key=lambda one: (bool(one.ended or one.merged_into), -one.number))
    return {
        str(one.number): one
        for place, one in enumerate(ordered)
        if place < INCIDENTS_MOST and not (one.ended and now - one.ended > CLOSED_KEPT_S)
    }


def _said(kind: str, number: int, by: str, topic: str) -> Entry:
    fields = {"incident": str(number), **({"topic": topic} if topic else {})}
    subject = f"incident {number}"
    return Entry(kind, subject, by=by, actor=Actor.HUMAN, origin=LOCAL, fields=fields)
