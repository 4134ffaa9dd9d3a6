"""Services that are only on internal networks, on hosts with Podman: it gives their containers no default route, so they have no way to service addresses.

They still reach the instances on the same host, by the engine's own names (`hostnames`). Said in the plan and by `hullmark why`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hullmark.core import constraints
from hullmark.core.callees import calls, calls_any
from hullmark.core.hostnames import PODMAN
from hullmark.core.hostnames import is_shut_in as are_shut_in
from hullmark.core.portconflicts import listed
from hullmark.core.roster import Roster
from hullmark.model.app import App, Service
from hullmark.model.host import HostFacts
from hullmark.model.observed import NO_STATE
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class ShutIn:
    """A service with instances on such hosts, and the hosts' names."""

    app: App
    name: str
    hosts: Sequence[str]


def warnings(snapshot: Snapshot, app: App) -> Iterator[str]:
    """Of the hosts where its constraints let it run."""
    for name, service in sorted(app.services.items()):
        names = [
            host.name
            for host in sorted(snapshot.hosts.values(), key=lambda host: host.name)
            for facts in [_facts(snapshot, host.host_id)]
            if facts.engine == PODMAN
            and constraints.failing(service.deploy.placement.constraints, host, facts) is None
        ]
        if names and is_shut_in(app, service) and calls_any(app, service):
            yield (
                f"{app.name}/{name} is only on internal networks: with Podman, as on {listed(names)}, it reaches "
                "services of its networks only where they have instances on the same host, and none that it uses"
            )


def shut_in(snapshot: Snapshot, roster: Roster, app: App) -> Iterator[ShutIn]:
    """All such services of the app."""
    for name, service in sorted(app.services.items()):
        if not is_shut_in(app, service):
            continue
        where = {item.host_id for item in roster.placed(app.name, name)}
        hosts = sorted(
            snapshot.host_name(host_id)
            for host_id in where
            if _facts(snapshot, host_id).engine == PODMAN
        )
        if hosts:
            yield ShutIn(app, name, hosts)


def callers(found: Sequence[ShutIn], service: str) -> Iterator[str]:
    """Of those that would call this one, of the same app. `found`: as `shut_in` gives it."""
    for each in found:
        app, name = each.app, each.name
        if name != service and calls(app, app.services[name], f"{app.name}/{service}"):
            yield (
                f"{app.name}/{name} on {listed(each.hosts)} is only on internal networks, where Podman leaves no way to "
                f"service addresses: it reaches instances of {service} on the same host only"
            )


def is_shut_in(app: App, service: Service) -> bool:
    """Whether all networks of its own are internal ones."""
    keys = {place.network for place in service.container.networks}
    return are_shut_in([app.networks[key] for key in keys & app.networks.keys()])


def _facts(snapshot: Snapshot, host_id: str) -> HostFacts:
    return snapshot.observed.get(host_id, NO_STATE).facts
