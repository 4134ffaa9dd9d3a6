"""Ports: short and long forms, ranges written out.

80  8080:80  127.0.0.1:8080:80/tcp  [::1]:8080:80  3000-3005  9090-9091:8080-8081  8000-9000:80

What is not TCP is bound on the host itself, which is `mode: host`: only the long form can say that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hullmark.compose import forms, values
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.document import MapValue
from hullmark.errors import InvalidInput
from hullmark.model.app import EVERY_ADDRESS, PortMode, PortSpec

SHORT = "[[IP:]HOST:]CONTAINER[/PROTOCOL], ports from 1 to 65535, ranges of equal length"
MAX_PORTS = 1000
"""Of one service. More is a slip of the finger, and a rule of the host's packet filter for each."""
MAX_PORTS_OF_APP = 10_000
"""Ranges are short to write: this bounds what they are written out to, repeated ones included."""

_SHORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(?P<host>[0-9]{1,5}(?:-[0-9]{1,5})?)?:)?"
    r"(?P<container>[0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(?P<protocol>[a-z]+))?"
)
_EXPOSED = re.compile(r"([0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(tcp|udp|sctp))?")


class Taken:
    """The host ports that one service takes, to see whether it takes one of them twice."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[int, str], set[str]] = {}

    def take(self, port: PortSpec) -> bool:
        """False where no host could publish this port beside the ones before. A range is a choice."""
        if not port.published_first or port.published_first != port.published_last:
            return True
        taken = self._addresses.setdefault((port.published_first, port.protocol), set())
        address = "" if port.host_ip in EVERY_ADDRESS else port.host_ip
        free = not taken or (address != "" and not taken & {"", address})
        taken.add(address)
        return free


def mode_problem(port: PortSpec) -> str:
    """Why the port can't be published in its mode; empty where it can."""
    if port.protocol == "tcp" or port.mode is PortMode.HOST:
        return ""
    return f"{port.protocol[:8]} is published with mode: host only"


def as_host_port(port: PortSpec) -> str:
    """The long form, on one line, of the same port on the host itself."""
    first, last = port.published_first, port.published_last
    published = f"{first}" if first == last else f"{first}-{last}"
    fields = {
        "target": str(port.target),
        "published": published if first else "",
        "host_ip": f'"{port.host_ip}"' if port.host_ip else "",
        "protocol": port.protocol,
        "mode": "host",
    }
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items() if value) + "}"


def read_ports(service: Node, *, on_host: bool) -> tuple[PortSpec, ...]:
    """`on_host`: the service is on the host's own network, where every port is the host's."""
    found: dict[PortSpec, None] = {}
    taken = Taken()
    listed = service.get("ports")
    for item in listed.items() if listed is not None else ():
        ports = entry_ports(item)
        _count(item, len(ports))
        _check_mode(item, () if on_host else ports)
        for port in ports:
            if port not in found and not taken.take(port):
                item.wrong(f"host port {port.published_first}/{port.protocol} is taken twice")
            found[port] = None
    if listed is not None and len(found) > MAX_PORTS:
        listed.wrong(f"{len(found)} ports", f"at most {MAX_PORTS} of one service")
    return tuple(found)


def entry_ports(item: Node) -> tuple[PortSpec, ...]:
    """Of one item of `ports`."""
    if isinstance(item.value, MapValue):
        return _long(item)
    nothing: tuple[PortSpec, ...] = ()
    return item.read(short, nothing)


def _check_mode(item: Node, ports: Sequence[PortSpec]) -> None:
    """One problem for an entry, however many ports its range has."""
    for port in ports:
        problem = mode_problem(port)
        if problem:
            item.wrong(problem, f"the long form, such as {as_host_port(port)}")
            return


def read_expose(service: Node) -> tuple[str, ...]:
    listed = service.get("expose")
    found: list[str] = []
    for item in listed.items() if listed is not None else ():
        nothing: Sequence[str] = ()
        ports = item.read(exposed, nothing)
        _count(item, len(ports))
        found += ports
    return tuple(dict.fromkeys(found))


def _count(item: Node, ports: int) -> None:
    """Raises InvalidInput where the app's ports have become too many."""
    item.findings.ports += ports
    if item.findings.ports > MAX_PORTS_OF_APP:
        item.wrong("too many ports", f"{MAX_PORTS_OF_APP} in one app")
        raise InvalidInput(item.findings.problems)


def exposed(value: Any) -> Sequence[str]:
    """`PORT/PROTOCOL` for each port."""
    match = _EXPOSED.fullmatch(_digits(value))
    if match is None:
        raise ValueError("PORT[-PORT][/PROTOCOL]")
    first, last = _range(match[1])
    return [f"{port}/{match[2] or 'tcp'}" for port in range(first, last + 1)]


def short(value: Any) -> tuple[PortSpec, ...]:
    match = _SHORT.fullmatch(_digits(value))
    if match is None:
        raise ValueError(SHORT)
    host_ip = (match["ip"] or "").strip("[]")
    protocol = match["protocol"] or "tcp"
    if not forms.optional(forms.ADDRESS).holds(host_ip) or not forms.PROTOCOL.holds(protocol):
        raise ValueError(SHORT)
    published = _published(match["host"] or "0")
    return _spread(_range(match["container"]), published, PortSpec(1, 0, 0, protocol, host_ip))


def on_the_host(ports: Sequence[PortSpec]) -> tuple[PortSpec, ...]:
    """With the host's own network the container's ports are the host's, on every address."""
    own = [PortSpec(port.target, port.target, port.target, port.protocol) for port in ports]
    return tuple(dict.fromkeys(replace(port, mode=PortMode.HOST) for port in own))


def _long(item: Node) -> tuple[PortSpec, ...]:
    if not judge(item, "services.*.ports[]"):
        return ()
    if not item.has("target"):
        item.wrong("names no target", "the container's port")
        return ()
    target = item.field_of("target", values.whole(forms.PORT), 0)
    published = item.field_of("published", _range_of, (0, 0))
    port = PortSpec(
        target,
        *published,
        item.field_of("protocol", values.text(forms.PROTOCOL), "tcp"),
        item.field_of("host_ip", values.text(forms.ADDRESS), ""),
        PortMode(item.field_of("mode", values.choice("ingress", "host"), "ingress")),
    )
    return (port,) if target else ()


def _range_of(value: Any) -> tuple[int, int]:
    text = _digits(value)
    if re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?", text):
        return _published(text)
    raise ValueError("a port, or a range of them such as 8000-8010")


def _published(text: str) -> tuple[int, int]:
    """0 means: any that is free."""
    return (0, 0) if text == "0" else _range(text)


def _digits(value: Any) -> str:
    return str(value) if isinstance(value, str) or type(value) is int else ""


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    found = int(first), int(last or first)
    if not (forms.PORT.holds(found[0]) and forms.PORT.holds(found[1]) and found[0] <= found[1]):
        raise ValueError("ports from 1 to 65535, the lower one first")
    if found[1] - found[0] >= MAX_PORTS:
        raise ValueError(f"at most {MAX_PORTS} ports in one entry")
    return found


def _spread(
    targets: tuple[int, int], published: tuple[int, int], like: PortSpec
) -> tuple[PortSpec, ...]:
    """One port for each of the container's. A range of host ports for one of them is a choice."""
    first, last = targets
    if first == last:
        low, high = published
        return (replace(like, target=first, published_first=low, published_last=high),)
    if published[0] and published[1] - published[0] != last - first:
        raise ValueError(SHORT)
    made = []
    for offset in range(last - first + 1):
        at = published[0] + offset if published[0] else 0
        made.append(replace(like, target=first + offset, published_first=at, published_last=at))
    return tuple(made)
