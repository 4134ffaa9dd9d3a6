"""Telling: what becomes an event while one term lasts, in whose name, and with which words."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.givenorders import given, listed
from hullmark.core.schedule import Plan
from hullmark.masterd.fleet import Passage
from hullmark.masterd.hostlife import planned
from hullmark.masterd.runs import Alarm, cloned
from hullmark.masterd.settings import Settings
from hullmark.masterd.term import Term
from hullmark.model.change import Change
from hullmark.model.event import Event
from hullmark.model.snapshot import Snapshot


class Teller:
    """`master` is the name of the one that tells."""

    def __init__(self, term: Term, master: str, settings: Settings) -> None:
        self._term = term
        self._master = master
        self._settings = settings

    def add(
        self, kind: str, subject: str, message: str, by: str, fields: Mapping[str, str]
    ) -> None:
        settings = self._settings
        event = Event(
            settings.new_id(),
            settings.wall(),
            kind,
            subject,
            self._master,
            message,
            by,
            dict(fields),
        )
        self._term.journal.add(event)
        settings.happened(event)

    def tell(self, kind: str, subject: str, change: Change, fields: Mapping[str, str]) -> None:
        """Of a change that somebody asked for."""
        message = ", ".join(f"{key} {value}" for key, value in fields.items())
        more = {"ticket": change.ticket, "request_id": change.request_id, "from": change.origin}
        more.update(approved_by=change.approved_by, break_glass=change.break_glass)
        kept = {**fields, **{key: value for key, value in more.items() if value}}
        self.add(kind, subject, message, change.by, kept)

    def ordered(self, snapshot: Snapshot, made: Plan) -> None:
        """For the audit log: what hosts are to run and to remove from now on, and because of whose request. No event."""
        settings = self._settings
        for each in given(snapshot, made):
            record = snapshot.apps.get(each.app)
            request_id = "" if record is None else record.change.request_id
            words = {"app": each.app, "run": listed(each.run), "remove": listed(each.remove)}
            fields = {**words, "request_id": request_id, "epoch": str(snapshot.leader.epoch)}
            settings.happened(
                Event(
                    settings.new_id(),
                    settings.wall(),
                    "orders.given",
                    f"host {self.name_of(each.host_id)}",
                    self._master,
                    fields={key: value for key, value in fields.items() if value},
                )
            )

    def turned(self, passage: Passage) -> None:
        """Of a host in maintenance that is told too, as what was to be expected."""
        kind = {"silent": "host.silent", "lost": "host.lost"}.get(passage.word, "host.returned")
        host = self._term.view.hosts.get(passage.host_id)
        fields = planned(host, self._settings.wall())
        message = f"not heard for {passage.heard_s:.1f} s" + (", in maintenance" if fields else "")
        self.add(kind, f"host {self.name_of(passage.host_id)}", message, "", fields)

    def problems(self, host_id: str) -> None:
        """What of its problems a host has begun or ceased to tell."""
        term = self._term
        found = term.fleet.observed[host_id].problems
        for told in term.troubles.compare(host_id, found, self._settings.wall()):
            self.add(told.kind, f"host {self.name_of(host_id)}", told.message, "", told.fields)

    def cloned(self, host_id: str, alarm: Alarm) -> None:
        fields = {"host_id": host_id, "standing": alarm.standing, "refused": alarm.refused}
        self.add("host.cloned", f"host {self.name_of(host_id)}", cloned(alarm).message, "", fields)
        self._term.version.bump()

    def name_of(self, host_id: str) -> str:
        record = self._term.view.hosts.get(host_id)
        return host_id if record is None else record.name
