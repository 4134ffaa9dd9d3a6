"""How a check looks at what containers of ours listen on: by the kernel's own tables of their network namespaces, from outside.

A container with a network of its own is looked at by its first process. What has the host's network is told by the host, process by process.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from hullmark.engine.containerlooks import Sight
from hullmark.engine.protocol import Engine
from hullmark.errors import NotFound
from hullmark.model import names
from hullmark.model.control import Reading, Trouble
from hullmark.model.host import Listener

TABLES = (("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp"))
"""Files of /proc/PID/net (proc(5)) with the protocol of each."""
TABLE_MOST = 1 << 20
"""Listening sockets come first in it."""
_LISTEN, _UNCONNECTED = "0A", "07"
_WORD = 8
HOST = "host"

Declared = Mapping[str, frozenset[str]]
"""Ports such as `80/tcp`, by `APP/SERVICE`."""


@dataclass(frozen=True)
class Sources:
    """What engines don't know, or don't tell: Podman nothing of exposed ports, Docker not with the host's network. `declared`: what the leader
    told of services' ports, None where it has told nothing. `on_host`: what the processes of
    containers (names by id) listen on in the host's own network, None where that can't be seen."""

    declared: Callable[[], Optional[Declared]]
    on_host: Callable[[Mapping[str, str]], Optional[tuple[Listener, ...]]]


NO_SOURCES = Sources(lambda: None, lambda containers: ())


def listeners(engine: Engine, sight: Sight, sources: Sources) -> Iterator[Reading]:
    """Of each container of ours that is up `listeners:NAME`: its network, what it declared, whether that is all, and its sockets."""
    told = sources.declared()
    found = list(_ours(engine))
    on_host = {str(one["Id"]): _name(one) for one in found if _is_on_host(one)}
    of_host = sources.on_host(on_host) if on_host else ()
    for one in found:
        name = _name(one)
        if _is_on_host(one):
            sockets = [each for each in of_host or () if each.container == name]
            unseen = Trouble.NONE if of_host is not None else Trouble.DENIED
            trouble = Reading("", "", trouble=unseen, at=sight.wall())
        else:
            pid = int((one.get("State") or {}).get("Pid") or 0)
            sockets, trouble = _sockets(pid, sight)
        if trouble.trouble is Trouble.MISSING:
            continue  # it has ended since
        yield Reading(
            f"listeners:{name}",
            f"sockets of {name}",
            json.dumps(_said(engine, one, told, sockets), sort_keys=True),
            errors=trouble.errors,
            trouble=trouble.trouble,
            at=sight.wall(),
        )


def _ours(engine: Engine) -> Iterator[Mapping[str, Any]]:
    for row in engine.told("/containers/json"):
        if names.LABEL_APP in (row.get("Labels") or {}):
            try:
                yield engine.inspected(str(row["Id"]))
            except NotFound:
                continue


def _name(found: Mapping[str, Any]) -> str:
    return str(found.get("Name") or found["Id"]).lstrip("/")


def _is_on_host(found: Mapping[str, Any]) -> bool:
    return (found.get("HostConfig") or {}).get("NetworkMode") == HOST


def _said(
    engine: Engine, found: Mapping[str, Any], told: Optional[Declared], sockets: list[Listener]
) -> Mapping[str, object]:
    config, host = found.get("Config") or {}, found.get("HostConfig") or {}
    labels = config.get("Labels") or {}
    service = f"{labels.get(names.LABEL_APP, '')}/{labels.get(names.LABEL_SERVICE, '')}"
    declared = {*(config.get("ExposedPorts") or ()), *(host.get("PortBindings") or ())}
    declared |= _of_image(engine, str(found.get("Image") or ""))
    declared |= (told or {}).get(service, frozenset())
    return {
        "network": HOST if _is_on_host(found) else "own",
        "declared": sorted(declared),
        "told": told is not None,
        "sockets": sorted({(one.protocol, one.address, one.port) for one in sockets}),
    }


def _of_image(engine: Engine, image: str) -> set[str]:
    try:
        found = engine.inspected_image(image)
    except NotFound:
        return set()
    return set((found.get("Config") or {}).get("ExposedPorts") or ())


def _sockets(pid: int, sight: Sight) -> tuple[list[Listener], Reading]:
    """And the first table that could not be read."""
    found: list[Listener] = []
    table = Reading("", "", trouble=Trouble.MISSING, at=sight.wall())
    for file, protocol in TABLES:
        seen = sight.file(file, f"/proc/{pid}/net/{file}", most=TABLE_MOST)
        if seen.trouble is Trouble.MISSING and file.endswith("6"):
            continue  # a kernel without IPv6
        table = seen
        if seen.trouble is not Trouble.NONE:
            break
        found += listening(seen.text, protocol)
    return found, table


def listening(table: str, protocol: str) -> Iterator[Listener]:
    """What waits for anybody. A UDP socket that is connected waits for its partner only."""
    wanted = _LISTEN if protocol == "tcp" else _UNCONNECTED
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == wanted:
            address, _, port = words[1].partition(":")
            number = int(port, 16)
            if number:
                yield Listener(number, protocol, _address(address))


def _address(text: str) -> str:
    """The kernel prints words of four bytes, each as a number of this machine."""
    words = (text[at : at + _WORD] for at in range(0, len(text), _WORD))
    packed = b"".join(socket.htonl(int(word, 16)).to_bytes(4, "big") for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
