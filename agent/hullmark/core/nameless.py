"""Containers that were made before their host had a proxy: they have their engine's hosts file, and know services by the engine's names only, that is
those of their networks on the same host. A host says so of each instance; here is what people are told, where that keeps one from a service that it would
call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import constraints
from hullmark.core.callees import calls, calls_any
from hullmark.core.homes import may_have_home
from hullmark.core.roster import Placed, Roster
from hullmark.model.app import App, DeployMode, Service
from hullmark.model.observed import NO_STATE, InstanceStatus
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Unable:
    """A service of which instances know no names; `texts`: what is told of them."""

    app: App
    service: Service
    texts: Sequence[str]


def told(snapshot: Snapshot, app: App, item: Placed) -> str:
    """Of one instance, with what to type; empty where nothing is to be said."""
    instance = item.assignment.instance
    service, then = app.services.get(instance.service), remedy(snapshot, app, item)
    if service is None or not then or not calls_any(app, service):
        return ""
    return (
        f"{instance} on {snapshot.host_name(item.host_id)} was made before its host had a proxy, and knows no services of "
        f"other hosts by name until it is made anew: {then}"
    )


def remedy(snapshot: Snapshot, app: App, item: Placed) -> str:
    """What makes one anew that knows no names; empty for one that does."""
    instance = item.assignment.instance
    if instance.service not in app.services or not _is_nameless(item.status):
        return ""
    moving = command(snapshot, app, item)
    name = f"{instance.app}/{instance.service}"
    relabelling = f"give {name} another label in its Compose file, then `hullmark apply`"
    return f"`{moving}`" if moving else relabelling


def command(snapshot: Snapshot, app: App, item: Placed) -> str:
    """The one that does; empty where a person has to change a file, or nothing is to be done. What is replaced without a change of its app
    goes to another host, and leaves its data."""
    instance = item.assignment.instance
    service = app.services.get(instance.service)
    if service is None or not _is_nameless(item.status):
        return ""
    is_bound = may_have_home(service) or service.deploy.mode is DeployMode.GLOBAL
    return (
        ""
        if is_bound or not _fits_another(snapshot, item, service)
        else f"hullmark move {instance}"
    )


def of_service(snapshot: Snapshot, roster: Roster, app: App, service: str) -> Iterator[str]:
    """Of its own instances."""
    for item in roster.placed(app.name, service):
        text = told(snapshot, app, item)
        if text:
            yield text


def unable(snapshot: Snapshot, roster: Roster) -> Iterator[Unable]:
    """All such services, of all apps."""
    alive = (record for _, record in sorted(snapshot.apps.items()) if not record.removing)
    for record in alive:
        for key, service in sorted(record.app.services.items()):
            texts = tuple(of_service(snapshot, roster, record.app, key))
            if texts:
                yield Unable(record.app, service, texts)


def callers(found: Sequence[Unable], name: str) -> Iterator[str]:
    """Of those instances that would call the service, `APP/SERVICE`, of whichever app. `found`: as `unable` gives it."""
    for each in found:
        if calls(each.app, each.service, name):
            yield from each.texts


def _is_nameless(status: Optional[InstanceStatus]) -> bool:
    return status is not None and status.nameless


def _fits_another(snapshot: Snapshot, item: Placed, service: Service) -> bool:
    """Whether its constraints let it run on any other host, as far as hosts are known."""
    wanted = service.deploy.placement.constraints
    return any(
        constraints.failing(wanted, host, snapshot.observed.get(host_id, NO_STATE).facts) is None
        for host_id, host in snapshot.hosts.items()
        if host_id != item.host_id
    )
