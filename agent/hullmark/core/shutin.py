"""Services that are only on internal networks, on hosts with Podman: it gives their containers no default route, so they have no way to service addresses.

They still reach the instances on the same host, by the engine's own names (`hostnames`). Said in the plan and by `hullmark why`.
"""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.core import constraints
from hullmark.core.callees import callees
from hullmark.core.hostnames import PODMAN
from hullmark.core.hostnames import is_shut_in as are_shut_in
from hullmark.core.portconflicts import listed
from hullmark.model.app import App, Service
from hullmark.model.host import HostFacts
from hullmark.model.observed import NO_STATE
from hullmark.model.snapshot import Snapshot


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
        if names and is_shut_in(app, service) and callees(app, service):
            yield (
                f"{app.name}/{name} is only on internal networks: with Podman, as on {listed(names)}, it reaches "
                "services of its networks only where they have instances on the same host, and none that it uses"
            )


def callers(snapshot: Snapshot, app: App, service: str) -> Iterator[str]:
    """Of instances on such hosts that would call it."""
    for name, each in sorted(app.services.items()):
        if name == service or f"{app.name}/{service}" not in callees(app, each):
            continue
        if not is_shut_in(app, each):
            continue
        names = sorted(
            snapshot.host_name(host_id)
            for host_id, given in snapshot.assignments.items()
            if _facts(snapshot, host_id).engine == PODMAN
            and any(
                (one.instance.app, one.instance.service) == (app.name, name)
                for one in given.assignments
            )
        )
        if names:
            yield (
                f"{app.name}/{name} on {listed(names)} is only on internal networks, where Podman leaves no way to "
                f"service addresses: it reaches instances of {service} on the same host only"
            )


def is_shut_in(app: App, service: Service) -> bool:
    """Whether all networks of its own are internal ones."""
    keys = {place.network for place in service.container.networks}
    return are_shut_in([app.networks[key] for key in keys & app.networks.keys()])


def _facts(snapshot: Snapshot, host_id: str) -> HostFacts:
    return snapshot.observed.get(host_id, NO_STATE).facts
