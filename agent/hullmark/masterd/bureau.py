"""The bureau: what answers agents and people from one term, made with it and of no use beside another.

It is there before its term begins to lead and after it has ended: what it knows can be read then, and every change is
refused by the term's leadership.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

from hullmark.core.overview import Finding
from hullmark.masterd import masterplaces
from hullmark.masterd.admission import Admission
from hullmark.masterd.changecontrol import ChangeControl
from hullmark.masterd.changes import Changes, Check
from hullmark.masterd.credentials import Credentials
from hullmark.masterd.directories import Directories
from hullmark.masterd.hostlife import HostLife
from hullmark.masterd.incidentnotes import IncidentNotes
from hullmark.masterd.incidents import Incidents
from hullmark.masterd.loadlines import LoadLines
from hullmark.masterd.moving import Moving
from hullmark.masterd.operating import Operating
from hullmark.masterd.peers import Peers
from hullmark.masterd.people import People
from hullmark.masterd.proxyrecords import ProxyRecords
from hullmark.masterd.reads import Reads
from hullmark.masterd.rollouts import Rollouts
from hullmark.masterd.runs import Runs
from hullmark.masterd.settings import Settings
from hullmark.masterd.sights import Sights
from hullmark.masterd.snapshots import Snapshots
from hullmark.masterd.teller import Teller
from hullmark.masterd.term import Term
from hullmark.model.app import App

Shown = Callable[[App], Mapping[str, object]]


class Bureau:
    def __init__(
        self, term: Term, master: str, settings: Settings, *, check: Check, shown: Shown
    ) -> None:
        self.term = term
        self.teller = Teller(term, master, settings)
        term.turned = self.teller.turned
        term.loop.ordered = self.teller.ordered
        tell, wall = self.teller.tell, settings.wall
        self.changes = Changes(
            term.leadership,
            term.view,
            term.one_at_a_time,
            term.snapshot,
            check=check,
            tell=tell,
            addressing=term.addressing,
            places=lambda: masterplaces.of_all(master, settings, term.view.masters),
        )
        self.admission = Admission(term.leadership, term.view, term.one_at_a_time, wall, tell)
        self.operating = Operating(term, tell)
        self.moving = Moving(term, tell)
        self.rollouts = Rollouts(term, wall, tell)
        self.peers = Peers(term, master, wall, tell)
        self.people = People(term, wall, tell)
        self.snapshots = Snapshots(term, tell, wall)
        self.hostlife = HostLife(term, wall, tell, self._forget)
        self.credentials = Credentials(term, settings.clock, self.teller.add)
        self.directories = Directories(term, settings.clock)
        self.proxyrecords = ProxyRecords(term, self.directories)
        self.runs = Runs(settings.clock, self.teller.cloned)
        self.sights = Sights(term, settings, self.runs)
        self.changecontrol = ChangeControl(term, wall, tell)
        self.reads = Reads(
            term, settings, self.sights, self.hostlife, self.admission.invited, shown
        )
        self.loadlines = LoadLines(term, wall, settings.clock, tell, self.teller.add)
        self.reads.control = self._told
        self.incidents = Incidents(term, master, settings, self.teller)
        self.incidentnotes = IncidentNotes(term, wall, tell)
        self.reads.incidents = self.incidentnotes
        term.incident_of = self.incidents.open_numbers
        self.shown = shown

    def _told(self) -> Sequence[Finding]:
        """What the status says of the mark, then of change control."""
        return [*self.loadlines.findings(), *self.changecontrol.findings()]

    def _forget(self, host_id: str) -> None:
        """An operator removed the host: what it said is nothing to anybody, and what it holds open ends."""
        known = (self.term.fleet, self.credentials, self.runs, self.sights, self.directories)
        for each in known:
            each.forget(host_id)
        self.term.told(host_id).bump()
        self.term.changed()
