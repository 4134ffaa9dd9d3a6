"""Names that mean something else in every container than a service that has them: its hosts file begins with those lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.compose.findings import Node
from hullmark.model.app import Service

IN_HOSTS_FILES = (
    "localhost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
)
"""As `core.hostnames` writes them, with the addresses of loopback and of groups."""
OF_PODMAN = ("host.containers.internal", "host.docker.internal")


def warn_names(nodes: Mapping[str, Node], services: Mapping[str, Service], app: str) -> None:
    """Of services and their aliases, those of links too. Names have no case where they are looked up."""
    for service, node in nodes.items():
        for name, place in _names(service, node, services[service]):
            where = "in every container"
            if name.lower() in OF_PODMAN:
                where = "in containers of Podman"
            elif name.lower() not in IN_HOSTS_FILES:
                continue
            place.warn(f"{name} means something else {where}: callers need {service}.{app}")


def _names(name: str, node: Node, service: Service) -> Iterator[tuple[str, Node]]:
    """Each with the place nearest to where it is said."""
    yield name, node
    listed = node.get("networks")
    for attachment in service.container.networks:
        place = node
        if listed is not None and isinstance(listed.value, Mapping):
            is_listed = attachment.network in listed.value
            place = listed.child(attachment.network) if is_listed else node
        for alias in attachment.aliases:
            yield alias, place
