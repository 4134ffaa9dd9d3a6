"""What a service calls by service addresses, as far as its app says."""

from __future__ import annotations

from hullmark.core.serviceports import has_address
from hullmark.model.app import App, Service


def callees(app: App, service: Service) -> set[str]:
    """As `APP/SERVICE`: services of the app on a common network that have an address, and those that it `uses`."""
    keys = {place.network for place in service.container.networks}
    beside = {
        f"{app.name}/{name}"
        for name, other in app.services.items()
        if other is not service
        and has_address(other)
        and not keys.isdisjoint(place.network for place in other.container.networks)
    }
    return beside.union(use if "/" in use else f"{app.name}/{use}" for use in service.uses)
