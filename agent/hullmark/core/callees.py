"""What a service calls by service addresses, as far as its app says: services of the app on a common network that have an address, and those that it
`uses`.
"""

from __future__ import annotations

from hullmark.core.serviceports import has_address
from hullmark.model.app import App, Service


def calls(app: App, service: Service, name: str) -> bool:
    """Whether a service of this app calls the one named `APP/SERVICE`. Asked for each pair of services, so nothing is gathered for it."""
    if any(qualified(app.name, use) == name for use in service.uses):
        return True
    owner, _, key = name.partition("/")
    other = app.services.get(key) if owner == app.name else None
    return other is not None and _is_beside(service, other)


def calls_any(app: App, service: Service) -> bool:
    return bool(service.uses) or any(_is_beside(service, other) for other in app.services.values())


def qualified(app: str, use: str) -> str:
    """What a service of this app uses, as `APP/SERVICE`."""
    return use if "/" in use else f"{app}/{use}"


def _is_beside(service: Service, other: Service) -> bool:
    keys = {place.network for place in service.container.networks}
    return (
        other is not service
        and not keys.isdisjoint(place.network for place in other.container.networks)
        and has_address(other)
    )
