"""The ports of a service: what its containers listen on, which of it a host publishes, and who binds that.

A port with `mode: host` is bound by the engine on the instance's own host. Every other published port is one port of the service,
answered by the proxies of the hosts that `x-hullmark.ingress` picks (see `answering`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from hullmark.model.app import App, PortMode, PortSpec, Service

HOST_NETWORK = "host"
NO_NETWORK = "none"
TCP = "tcp"


def ports_of(service: Service) -> tuple[int, ...]:
    """The TCP ports of its containers, lowest first: of `ports` and `expose`, and those that its image exposes."""
    found = {port.target for port in service.ports if port.protocol == TCP}
    for text in (*service.container.expose, *service.exposed):
        number, _, protocol = text.partition("/")
        if number.isdigit() and (protocol or TCP) == TCP:
            found.add(int(number))
    return tuple(sorted(found))


def declared(service: Service) -> tuple[int, ...]:
    """Those that the app names itself."""
    return ports_of(dataclasses.replace(service, exposed=()))


def is_host_network(service: Service) -> bool:
    """Whether its containers have no network of their own: their ports are the host's."""
    return service.container.network_mode == HOST_NETWORK


def may_serve(service: Service) -> bool:
    """Whether others could reach it under an address, had it a port: a one-shot serves nobody, and one without a network of its own has
    nothing to be reached by."""
    container = service.container
    return not container.one_shot and container.network_mode not in (HOST_NETWORK, NO_NETWORK)


def has_address(service: Service) -> bool:
    """Whether it has an address."""
    return may_serve(service) and bool(ports_of(service))


def addressed(app: App) -> Iterator[str]:
    """The app's services that have an address, as `APP/SERVICE`."""
    for name, service in sorted(app.services.items()):
        if has_address(service):
            yield f"{app.name}/{name}"


def by_engine(ports: Sequence[PortSpec]) -> tuple[PortSpec, ...]:
    """Those that the engine binds on the host of each instance, so that they are taken there."""
    return tuple(port for port in ports if port.mode is PortMode.HOST)


def by_proxy(ports: Sequence[PortSpec]) -> tuple[PortSpec, ...]:
    """Those that proxies answer. One without a number is no port of any host: it is reached under the service's address only."""
    return tuple(
        port
        for port in ports
        if port.mode is PortMode.INGRESS and port.protocol == TCP and port.published_first
    )
