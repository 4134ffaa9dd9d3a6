"""Who reaches a service, and how: what it uses, which hosts answer its published ports, what its containers learn of callers.

x-hullmark:
  uses: [shop/db, cache]
  ingress: ["node.labels.edge == true"]
  client_address: proxy
  drain: 30s
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.compose import forms, values
from hullmark.compose.findings import OWN, Node
from hullmark.model.app import (
    DRAIN_S,
    ClientAddress,
    ContainerSpec,
    PortMode,
    PortSpec,
    Service,
)

USES_MOST = 100
"""Of one service."""
NO_PROXIED = "the service publishes no port that proxies answer"
UNREACHING = ("host", "none")
"""Network modes with which a container has no address of its own that a caller could be known by."""


@dataclass(frozen=True)
class Serving:
    uses: tuple[str, ...] = ()
    ingress: tuple[str, ...] = ()
    client_address: ClientAddress = ClientAddress.NONE
    drain_s: float = DRAIN_S


def read_serving(service: Node, app: str) -> Serving:
    """A service of the app itself may be named without it; `uses` names each in full."""
    own = service.get(OWN)
    if own is None:
        return Serving()
    said = own.field_of(
        "client_address", values.choice(*(each.value for each in ClientAddress)), ""
    )
    return Serving(
        tuple(_used(own.get("uses"), app)),
        own.list_of("ingress", values.text(forms.CONSTRAINT)),
        ClientAddress(said) if said else ClientAddress.NONE,
        own.field_of("drain", values.duration(forms.DRAIN), DRAIN_S),
    )


def _used(listed: Optional[Node], app: str) -> Iterator[str]:
    seen: set[str] = set()
    for item in listed.items("a list of services") if listed is not None else ():
        name = item.read(_service_name, "")
        if not name:
            continue
        full = name if "/" in name else f"{app}/{name}"
        if full in seen:
            item.wrong(f"{full} stands there twice")
        else:
            seen.add(full)
            yield full


def _service_name(value: Any) -> str:
    form = forms.USED if isinstance(value, str) and "/" in value else forms.SERVICE_NAME
    if not isinstance(value, str) or not form.holds(value):
        raise ValueError(forms.USED.allowed)
    return value


def warn_serving(service: Node, ports: Sequence[PortSpec], serving: Serving) -> None:
    """What is said and means nothing, and what means something else than with other tools."""
    proxied = [port for port in ports if port.mode is PortMode.INGRESS and port.protocol == "tcp"]
    for port in proxied:
        text = _choice_problem(port)
        if text:
            service.child("ports").warn(text)
    if any(port.published_first for port in proxied):
        return
    if serving.ingress:
        service.child(OWN).child("ingress").warn(NO_PROXIED)
    if serving.client_address is ClientAddress.FORWARDED:
        service.child(OWN).child("client_address").warn(NO_PROXIED)


def _choice_problem(port: PortSpec) -> str:
    """A proxy chooses no port: it is one and the same on every host."""
    if not port.published_first:
        return (
            f"no host port is named for {port.target}: it is reached under the service's address only;"
            " with mode: host it gets any free port of the instance's host"
        )
    if port.published_first != port.published_last:
        first, last = port.published_first, port.published_last
        return (
            f"of {first}-{last} hosts answer {first} only; with mode: host each instance gets one"
            " of them that is free on its host"
        )
    return ""


def uses_problem(used: str, app: str, name: str, services: Sequence[str]) -> str:
    """What is wrong with one of `uses`, as far as the app itself shows it."""
    other, _, service = used.partition("/")
    if other != app:
        return ""
    if service == name:
        return "a service that uses itself: all instances of a service reach each other anyhow"
    if service in services:
        return ""
    return f"the app has no service {service[:80]}; one of another app is named APP/SERVICE"


def caller_problem(service: Service) -> str:
    """Why the service can't use others by name; empty where it can."""
    container: ContainerSpec = service.container
    if not service.uses or container.network_mode not in UNREACHING:
        return ""
    if container.network_mode == "none":
        return "with network_mode none a container reaches nothing"
    return (
        "with network_mode host every process of the host could use what the service may:"
        " a proxy can't tell them apart"
    )
