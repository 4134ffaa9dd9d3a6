"""What of all that is wrong in a cluster is worst for people: what to type next is about that."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from hullmark.core.absence import is_ready, is_seen
from hullmark.core.roster import Roster
from hullmark.model.api import AppSummary, ServiceView
from hullmark.model.snapshot import Snapshot


class Urgency(enum.IntEnum):
    """Worst first."""

    MASTERS = 1  # nobody leads, or the store takes nothing: no command helps before that
    APPS_DOWN = 2  # a service of which no instance serves, as its hosts say themselves
    HOSTS = 3  # hosts that are not heard: what runs there goes on
    ENGINES = 4  # nothing is started where an engine is away
    PROXIES = 5  # what serves, and is not reached
    APPS_IN_PART = 6  # some instances serve, or nobody can tell
    REDUNDANCY = 7  # what another loss would do
    OTHER = 8
    CONTROLS = 9  # incidents, the mark, break-glass
    RECORDS = 10  # alerts that are not delivered, records that are not kept
    NOTED = 11  # nothing is wrong


BY_PROBLEM: Mapping[str, Urgency] = {
    "audit.unwritable": Urgency.OTHER,
    "proxy.unrecorded": Urgency.RECORDS,
    "alerts.": Urgency.RECORDS,
    "audit.": Urgency.RECORDS,
    "posture.": Urgency.RECORDS,
    "engine.": Urgency.ENGINES,
    "proxy.": Urgency.PROXIES,
}
"""By how the code of a host's problem begins, the first that fits; what is not here is `OTHER`. With an audit log that can't be written a host begins nothing."""


def of_problem(code: str) -> Urgency:
    found = (urgency for begins, urgency in BY_PROBLEM.items() if code.startswith(begins))
    return next(found, Urgency.OTHER)


def of_app(snapshot: Snapshot, roster: Roster, app: AppSummary) -> Urgency:
    """Of one that isn't as it should be."""
    is_down = any(_is_down(snapshot, roster, app.name, service) for service in app.services)
    return Urgency.APPS_DOWN if is_down else Urgency.APPS_IN_PART


def _is_down(snapshot: Snapshot, roster: Roster, app: str, service: ServiceView) -> bool:
    """Where a host or its engine is away that is the cause, and it may serve all the same."""
    if service.one_shot or service.serving or not service.wanted:
        return False
    places = roster.placed(app, service.service)
    if not places:
        return any(is_ready(snapshot, host_id) for host_id in snapshot.hosts)
    return all(is_seen(snapshot, item.host_id) for item in places)
