"""Where published ports answer, as the files that load balancers read: a hosts file, a HAProxy fragment, JSON.

Only what can be reached from outside is in the first two: a service address is no use to another machine. The same services give the same
text, so that a file is written only when something changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hullmark.model.app import PortMode
from hullmark.model.services import Published, ServiceReach, Spot

Services = Sequence[ServiceReach]

HEAD = "# Where this cluster's services answer, by Hullmark. Changes of your own are lost when it is written anew."
SCHEMA = "hullmark.endpoints/1"

_NO_NAME = re.compile(r"[^a-zA-Z0-9_.-]")


def hosts_file(services: Services) -> str:
    """`ADDRESS SERVICE.APP` for each host that answers one of the service's published ports, those that serve it first."""
    lines = [HEAD]
    for service in services:
        name = f"{service.name.service}.{service.name.app}"
        spots = sorted(
            (spot for published in service.published for spot in published.spots),
            key=lambda spot: not spot.serving,
        )
        found = dict.fromkeys(spot.address for spot in spots if _is_reached(spot))
        lines += [f"{address}\t{name}" for address in found]
        if service.published and not found:
            lines.append(f"# {name}: {_nobody(spots)}")
    return _text(lines)


def haproxy_fragment(services: Services) -> str:
    """A backend for each published TCP port, `APP.SERVICE.PORT`. Mode, balance and timeouts are those of the reader's defaults."""
    lines = [HEAD]
    for service in services:
        for published in service.published:
            if published.protocol == "tcp":
                lines += ["", *_backend(service, published)]
    return _text(lines)


def _backend(service: ServiceReach, published: Published) -> Iterator[str]:
    name = f"{service.name.app}.{service.name.service}.{published.port or published.target}"
    yield f"backend {_NO_NAME.sub('_', name)}"
    spots = [spot for spot in published.spots if _is_reached(spot)]
    serves = any(spot.serving for spot in spots)
    for spot in spots:
        # A proxy without an instance of its own would pass the connection on: one hop more.
        spare = " backup" if serves and not spot.serving else ""
        yield f"    server {_server(published, spot)} {_dialled(spot)} check{spare}"
    if not spots:
        yield f"    # {_nobody(published.spots)}"


def _is_reached(spot: Spot) -> bool:
    return bool(spot.address) and not spot.is_local


def _nobody(spots: Sequence[Spot]) -> str:
    if any(spot.is_local for spot in spots):
        return "each host answers for it on a loopback address, for its own programs only"
    return "no host answers for it now"


def _server(published: Published, spot: Spot) -> str:
    host = _NO_NAME.sub("_", spot.host)
    return f"{host}-{spot.port}" if published.mode is PortMode.HOST else host


def _dialled(spot: Spot) -> str:
    return f"[{spot.address}]:{spot.port}" if ":" in spot.address else f"{spot.address}:{spot.port}"


def json_text(services: Services) -> str:
    """One document with every service, also those that are reached by name only."""
    document = {"schema": SCHEMA, "services": [_document(service) for service in services]}
    return json.dumps(document, indent=2) + "\n"


def _document(service: ServiceReach) -> dict[str, Any]:
    return {
        "app": service.name.app,
        "service": service.name.service,
        "scope": service.scope,
        "address": service.address,
        "ports": list(service.ports),
        "wanted": service.wanted,
        "serving": service.serving,
        "published": [
            {
                "port": published.port,
                "protocol": published.protocol,
                "mode": published.mode.value,
                "target": published.target,
                "endpoints": [_endpoint(spot) for spot in published.spots],
            }
            for published in service.published
        ],
    }


def _endpoint(spot: Spot) -> dict[str, Any]:
    return {
        "host": spot.host,
        "address": spot.address,
        "port": spot.port,
        "serving": spot.serving,
    }


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
