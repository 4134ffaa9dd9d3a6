"""What people ask to see, answered from what one term knows. Nothing here changes anything, or waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from hullmark.core.explain import explanation
from hullmark.core.orphans import orphan_views
from hullmark.core.overview import Finding
from hullmark.core.pair import Known
from hullmark.core.schedule import Unplaced
from hullmark.core.standing import Standing
from hullmark.masterd.hostlife import HostLife
from hullmark.masterd.incidentnotes import IncidentNotes
from hullmark.masterd.settings import Settings
from hullmark.masterd.sights import Sights
from hullmark.masterd.term import Term
from hullmark.model.api import (
    AppDetail,
    AppList,
    EventList,
    HostList,
    InstanceList,
    OrphanList,
)
from hullmark.model.app import App
from hullmark.model.explanation import Explanation
from hullmark.model.hostlife import HostDetail

EVENTS_AT_ONCE = 1000


class Reads:
    """`invited` gives the hosts with an invite that can still be used; `shown` masks an app."""

    def __init__(
        self,
        term: Term,
        settings: Settings,
        sights: Sights,
        hostlife: HostLife,
        invited: Callable[[], Sequence[str]],
        shown: Callable[[App], Mapping[str, object]],
    ) -> None:
        self._term = term
        self._settings = settings
        self._sights = sights
        self._hostlife = hostlife
        self._invited = invited
        self._shown = shown
        self.control: Callable[[], Sequence[Finding]] = tuple
        """What the status tells of change control."""
        self.incidents: Optional[IncidentNotes] = None

    def app_list(self) -> AppList:
        return AppList(self._standing().summaries())

    def app_detail(self, name: str) -> AppDetail:
        """Raises NotFound."""
        record = self._term.view.app(name)
        version = self._term.version.value
        return self._standing().detail(record, version, self._shown(record.app))

    def explain(self, name: str, service: str) -> Explanation:
        """Raises NotFound."""
        record = self._term.view.app(name)
        blind_s = self._sights.blind_s()
        return explanation(self._term.snapshot(), self._term.unplaced, record, service, blind_s)

    def stuck(self) -> tuple[Sequence[Unplaced], Mapping[str, float]]:
        """What the newest plan could not place; and for how long hosts, by id, have not seen their own containers."""
        return self._term.unplaced, self._sights.blind_s()

    def instances(self, app: str) -> InstanceList:
        """Of one app, or of all. Raises NotFound for an app that there isn't."""
        found = self._standing().instances(app)
        if app and not found:
            self._term.view.app(app)
        return InstanceList(found)

    def hosts(self) -> HostList:
        return HostList(self._sights.views(self._term.snapshot()))

    def host_detail(self, name: str) -> HostDetail:
        """Raises NotFound."""
        host = self._hostlife.named(name)
        return self._sights.detail(host, self._term.snapshot(), self._standing().instances())

    def orphans(self) -> OrphanList:
        return OrphanList(orphan_views(self._term.snapshot()))

    def events(self, after: int, limit: int) -> EventList:
        return self._term.journal.since(after, min(max(limit, 0), EVENTS_AT_ONCE))

    def known(self) -> Known:
        """What a status tells of hosts and apps."""
        snapshot = self._term.snapshot()
        return Known(
            snapshot,
            self._sights.views(snapshot),
            self._standing().summaries(),
            len(orphan_views(snapshot)),
            self._sights.claims(snapshot.leader.epoch),
            self._invited(),
            self.control(),
            () if self.incidents is None else tuple(self.incidents.findings()),
            None if self.incidents is None else self.incidents.numbers(),
        )

    def _standing(self) -> Standing:
        return Standing(self._term.snapshot(), self._term.unplaced, self._sights.blind_s())
