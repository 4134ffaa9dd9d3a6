"""Where connections go: a backend's containers on this host, and other hosts that have some."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hullmark.core import proxynames
from hullmark.model.app import ClientAddress
from hullmark.model.directory import Peer, ServiceEntry, ServiceName
from hullmark.model.proxy import Member, ProxySight
from hullmark.model.proxyplan import (
    CHECK_LABEL,
    LAST,
    OWN,
    RESORT,
    Server,
    kind_of,
    server_name_of,
    subject_of,
)

MOST_WEIGHT = 256  # HAProxy's own bound
MOST_RESORTS = 2
"""Of a backend: each costs some 25 KB."""


class Source:
    """Servers of any backend, from one sight."""

    def __init__(
        self, sight: ProxySight, entries: Mapping[ServiceName, ServiceEntry], *, has_tls: bool
    ) -> None:
        self._entries = entries
        peers = sight.directory.peers if has_tls else ()
        self._peers: dict[str, Peer] = {
            one.host_id: one
            for one in sorted(peers)
            if proxynames.is_peer(one) and one.host_id != sight.host_id
        }
        self.peers = tuple(
            _peer(one, f"{CHECK_LABEL}.{one.host_id}") for one in self._peers.values()
        )
        """For the backend in which they are looked at."""
        self._members: dict[ServiceName, list[Member]] = {}
        for member in sorted(sight.members, key=lambda one: (one.instance, one.container_id)):
            self._members.setdefault(member.name, []).append(member)

    def servers(self, backend: str) -> tuple[Server, ...]:
        name, port = subject_of(backend)
        kind, entry = kind_of(backend), self._entries[name]
        here = tuple(self._here(entry, port))
        if kind == LAST:
            return here
        elsewhere = tuple(self._elsewhere(entry, port, last=kind == OWN))
        if kind == OWN:
            return here + tuple(map(_last_resort, elsewhere))
        return here + elsewhere + tuple(map(_last_resort, _some(elsewhere, backend)))

    def _here(self, entry: ServiceEntry, port: int) -> Iterator[Server]:
        header = entry.client_address is ClientAddress.PROXY
        for member in self._members.get(entry.name, ()):
            address = _address(member, entry)
            if address and proxynames.is_container_id(member.container_id):
                place = f"{member.instance.slot}-g{member.instance.generation}"
                yield Server(
                    name=f"{place}-{member.container_id[:12]}-{address}",
                    address=address,
                    port=port,
                    weight=int(member.serving and not member.leaving),
                    container_id=member.container_id,
                    proxy_header=header,
                )

    def _elsewhere(self, entry: ServiceEntry, port: int, *, last: bool) -> Iterator[Server]:
        for share in sorted(entry.elsewhere):
            peer = self._peers.get(share.host_id)
            if peer is not None:
                asked = server_name_of(entry.name, port, peer.host_id, last=last)
                weight = max(0, min(share.serving, MOST_WEIGHT))
                yield replace(_peer(peer, asked), weight=weight)


def _peer(peer: Peer, server_name: str) -> Server:
    place = f"{peer.address}-{peer.port}".replace(":", "_")
    return Server(
        name=f"{peer.host_id}-{place}",
        address=peer.address,
        port=peer.port,
        peer=peer.host_id,
        server_name=server_name,
    )


def _some(servers: tuple[Server, ...], backend: str) -> tuple[Server, ...]:
    """Not the same hosts for all services."""
    start = zlib.crc32(backend.encode()) % len(servers) if servers else 0
    return tuple(sorted((servers[start:] + servers[:start])[:MOST_RESORTS]))


def _last_resort(server: Server) -> Server:
    """The same host, asked where nobody else is left. On a machine that is short of processor time checks fail of proxies that are only slow, and to try
    one of these in vain is no worse than to try none."""
    return replace(server, name=f"{server.name}{RESORT}", backup=True, unchecked=True)


def _address(member: Member, entry: ServiceEntry) -> str:
    """On a network of the service's where there is one. From the host all of a container's networks are as near."""
    sound = {key: each for key, each in member.addresses.items() if proxynames.is_ipv4(each)}
    nearest = sorted(sound, key=lambda network: (network not in entry.networks, network))
    return sound[nearest[0]] if nearest else ""
