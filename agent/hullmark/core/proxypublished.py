"""Published ports that this host's proxy answers, each on the host's own addresses: never on all, so that a service address or a bridge answers nothing by them.

Containers of internal networks are refused there: an engine keeps what they send from other machines, not from its own host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hullmark.core import proxynames
from hullmark.model.app import EVERY_ADDRESS, ClientAddress
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.loopback import is_loopback
from hullmark.model.proxy import ProxySight
from hullmark.model.proxyplan import PUB, SVC, WEB, Bind, Frontend, key_of

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Published:
    frontends: list[Frontend]
    left_out: tuple[str, ...]


def frontends(
    sight: ProxySight, entries: Mapping[ServiceName, ServiceEntry], tls: tuple[Bind, ...]
) -> Published:
    """Of two that want the same one the first by name has it: the leader lets no second one be."""
    taken = {(one.address, one.port) for one in tls}
    binds: dict[tuple[ServiceName, int, int], list[Bind]] = {}
    left_out = set()
    for one in sorted(sight.directory.published):
        entry = entries.get(one.name)
        if entry is None or not (proxynames.is_port(one.port) and proxynames.is_port(one.target)):
            continue
        addresses = places(one.host_ip, sight.addresses)
        if not addresses:
            left_out.add(f"{one.host_ip}:{one.port} of {one.name}: not an address of this host")
        for address in addresses:
            holder = _holder(address, one.port, sight)
            if holder:
                left_out.add(f"{address}:{one.port} of {one.name}: the engine has it for {holder}")
            elif (address, one.port) in taken:
                left_out.add(f"{address}:{one.port} of {one.name}: taken by the proxy itself")
            else:
                taken.add((address, one.port))
                key = (one.name, one.target, one.port)
                binds.setdefault(key, []).append(Bind(address, one.port))
    inner = tuple(sorted(filter(proxynames.is_subnet, {*_internal(sight)})))
    found = [_frontend(entries[key[0]], *key[1:], found, inner) for key, found in binds.items()]
    return Published(found, tuple(sorted(left_out)))


def _frontend(
    entry: ServiceEntry, target: int, port: int, binds: list[Bind], inner: tuple[str, ...]
) -> Frontend:
    http = entry.client_address is ClientAddress.FORWARDED
    backend = key_of(WEB if http else SVC, entry.name, target)
    name = f"{key_of(PUB, entry.name, target)}:{port}"
    return Frontend(name, backend, tuple(sorted(binds)), http=http, shuts_out=inner)


def _internal(sight: ProxySight) -> Iterator[str]:
    """A network that is not plain IPv4 has no bridge here (`agentd/bridges.py`)."""
    return (one.subnet for one in sight.bridges if one.internal)


def places(host_ip: str, addresses: Iterable[str]) -> list[str]:
    """Where a port that is published on `host_ip` is to be listened on, of a host with these addresses."""
    own = {address for address in addresses if _is_for_others(address)}
    if host_ip in EVERY_ADDRESS:
        return sorted({*own, LOOPBACK})
    is_local = proxynames.is_ipv4(host_ip) and is_loopback(host_ip)
    return [host_ip] if host_ip in own or is_local else []


def _is_for_others(address: str) -> bool:
    """A link-local address can't be listened on without naming its interface."""
    return proxynames.is_address(address) and not ipaddress.ip_address(address).is_link_local


def _holder(address: str, port: int, sight: ProxySight) -> str:
    """The instance for which the engine still listens there: an older version had it so."""
    for member in sight.members:
        for one in member.bound:
            is_there = one.host_ip in EVERY_ADDRESS or one.host_ip == address
            if one.published == port and one.protocol == "tcp" and is_there:
                return str(member.instance)
    return ""
