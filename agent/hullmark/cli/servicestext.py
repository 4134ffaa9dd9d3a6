"""Services as text: one line for each, or one of them with its hosts and what its proxies carried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hullmark.cli.table import table, wrapped
from hullmark.cli.words import count
from hullmark.model.app import PortMode
from hullmark.model.directory import ServiceName
from hullmark.model.proxy import PortTraffic
from hullmark.model.services import NOT_HEARD, Published, ServiceList, ServiceReach

HEADS = ("SERVICE", "ADDRESS", "PORTS", "HEALTHY", "PUBLISHED", "HOSTS")
TRAFFIC_HEADS = ("OPEN", "TOTAL", "QUEUE", "RETRIES", "ERRORS", "REFUSED")
HOST_HEADS = ("HOST", "PORT", "UP", *TRAFFIC_HEADS, "IN", "OUT")
HOSTS_SHOWN = 3
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Sums:
    """What all hosts' proxies carried for one service. `queue_ms`: the longest of their averages."""

    open: int = 0
    connections: int = 0
    queue_ms: int = 0
    retries: int = 0
    errors: int = 0
    refused: int = 0

    @property
    def cells(self) -> tuple[str, ...]:
        numbers = (self.retries, self.errors, self.refused)
        queue = f"{self.queue_ms} ms"
        return (str(self.open), str(self.connections), queue, *map(str, numbers))


def sums(ports: Iterable[PortTraffic]) -> Sums:
    found = tuple(ports)
    return Sums(
        sum(one.open for one in found),
        sum(one.connections for one in found),
        max((one.queue_ms for one in found), default=0),
        sum(one.retries + one.redispatches for one in found),
        sum(one.errors for one in found),
        sum(one.refused for one in found),
    )


def lines(found: ServiceList, columns: int) -> Iterator[str]:
    heads = (*HEADS[:-1], *(TRAFFIC_HEADS if found.asked else ()), HEADS[-1])
    yield from table(heads, [_row(found, service) for service in found.services], columns)
    for host in found.traffic:
        if host.strangers:
            what = count(host.strangers, "connection")
            text = (
                f"{host.host}: {what} to the port between hosts ended before it was known who calls"
            )
            yield from wrapped(text, columns, "")
    yield from silent_lines(found, columns)
    unknown = [str(service.name) for service in found.services if service.unknown]
    if unknown:
        text = "not known, as its host is not heard: whether what is missing serves"
        unreached = [
            str(one.name) for one in found.services if one.unknown and found.is_unreached(one)
        ]
        if unreached:
            text += f"; and others' proxies get no answer, of {', '.join(unreached)}"
        yield from wrapped(f"{text}. What is known of it: hullmark why {unknown[0]}", columns, "")
    shut_in = [str(service.name) for service in found.services if found.shut_in(service)]
    if shut_in:
        text = "not reached: the proxy of an instance's own host gets no answer of it, so no connection does"
        yield from wrapped(f"{text}. Why: hullmark why {shut_in[0]}", columns, "")
    for service in found.services:
        for published in service.published:
            for text in _unanswered(service, published):
                yield from wrapped(text, columns, "")


def _unanswered(service: ServiceReach, published: Published) -> Iterator[str]:
    for spot in published.taken:
        text = (
            f"{service.name}: another program has port {spot.port} of {spot.address} on {spot.host}"
        )
        yield f"{text}: hullmark ports --host {spot.host}"
    for spot in published.barred:
        text = f"{service.name}: the policy of {spot.host} does not allow port {spot.port}"
        yield f"{text}: hullmark policy show {spot.host}"
    if published.is_unanswered and not (published.taken or published.barred):
        yield f"{service.name}: no host answers port {published.port}: hullmark why {service.name}"


def silent_lines(found: ServiceList, columns: int) -> Iterator[str]:
    for told in found.silent:
        yield from wrapped(f"not asked, or no answer: {told}", columns, "")


def _row(found: ServiceList, service: ServiceReach) -> tuple[str, ...]:
    carried = carried_for(found, service.name)
    cells: tuple[str, ...] = ()
    if found.asked:
        cells = sums(carried).cells if carried else ("-",) * len(TRAFFIC_HEADS)
    return (
        str(service.name),
        service.address,
        ",".join(map(str, service.ports)),
        f"{service.serving} of {service.wanted}{_unknown(service.unknown)}{_shut_in(found, service)}",
        ", ".join(_published(one) for one in service.published),
        *cells,
        _some([share.host for share in service.hosts]),
    )


def _shut_in(found: ServiceList, service: ServiceReach) -> str:
    number = found.shut_in(service)
    return f", {number} not reached" if number else ""


def _unknown(number: int) -> str:
    return f", {number} unknown" if number else ""


def carried_for(found: ServiceList, name: ServiceName) -> Sequence[PortTraffic]:
    return [one for host in found.traffic for one in host.ports if one.name == name]


def _published(one: Published) -> str:
    port = str(one.port) if one.port else "any"
    port += "" if one.protocol == "tcp" else f"/{one.protocol}"
    port += " (host)" if one.mode is PortMode.HOST else ""
    port += " (loopback)" if one.spots and all(spot.is_local for spot in one.spots) else ""
    if not one.known:
        return f"{port} (hosts unknown)"
    unknown = f" ({one.unknown} unknown)" if one.unknown else ""
    return f"{port} on {count(len({spot.host for spot in one.spots}), 'host')}{unknown}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - HOSTS_SHOWN
    shown = ", ".join(names[:HOSTS_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def one(found: ServiceList, service: ServiceReach, columns: int) -> Iterator[str]:
    """All that is known of one service."""
    address = service.address or f"no address: {service.why_no_address}"
    ports = f", ports {', '.join(map(str, service.ports))}" if service.ports else ""
    yield f"{service.name}  {address}{ports}"
    yield from wrapped(
        f"{service.serving} of {service.wanted} healthy{_unknown(service.unknown)}{_shut_in(found, service)}",
        columns,
    )
    for share in service.hosts:
        state = "" if share.state == "ready" else f", {share.state}"
        text = (
            f"{share.serving} of {share.instances} on {share.host}{state}{_unknown(share.unknown)}"
        )
        if share.last_known:
            text += f" ({share.last_known} served as known last)"
        yield from wrapped(text, columns, "    ")
    for published in service.published:
        yield from _published_lines(published, columns)
    if service.users:
        yield from wrapped(f"used by {', '.join(service.users)}", columns)
    if service.uses:
        yield from wrapped(f"uses {', '.join(service.uses)}", columns)
    for note in service.notes:
        yield from wrapped(note, columns)
    rows = list(_host_rows(found, service.name))
    if rows:
        yield from table(HOST_HEADS, rows, columns)
    yield from _down(found, service.name, columns)
    yield from silent_lines(found, columns)


def _published_lines(published: Published, columns: int) -> Iterator[str]:
    spots = [f"{spot.host} ({spot.address}:{spot.port})" for spot in published.spots]
    port = f"{published.port or 'any'}/{published.protocol}"
    nobody = "no host that is heard" if published.unknown else "no host"
    where = ", ".join(spots) or (nobody if published.known else "hosts that are not known yet")
    yield from wrapped(f"published: {port} to {published.target}, answered by {where}", columns)
    for told in published.silent:
        host, _, why = told.partition(": ")
        text = f"not answered by {told}"
        if why in NOT_HEARD:
            text = f"whether {host} answers it is not known: {why}"
        yield from wrapped(text, columns, "    ")


def _host_rows(found: ServiceList, name: ServiceName) -> Iterator[tuple[str, ...]]:
    """Without hosts of which there is nothing to say: each has some socket that refuses."""
    for host in found.traffic:
        for port in host.ports:
            if port.name == name and (port.members or port.connections or port.refused):
                up = f"{port.up} of {port.members}"
                volume = (size(port.bytes_in), size(port.bytes_out))
                yield (host.host, str(port.port), up, *sums([port]).cells, *volume)


def _down(found: ServiceList, name: ServiceName, columns: int) -> Iterator[str]:
    for host in found.traffic:
        for port in host.ports:
            for down in port.down if port.name == name else ():
                why = f": {down.words}" if down.why else ""
                text = f"{host.host} gets no answer of {down.member} on port {port.port}{why}"
                yield from wrapped(text, columns)


def size(number: int) -> str:
    value, unit = float(number), _UNITS[0]
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
