"""What is known of each host's proxy, and of what is served behind it: by the host's own report, or by what a leader kept before this one led.

A host whose agent is gone reports nothing to a new leader, although its proxy and its containers go on. The record of it counts until the host
reports, and never beside a report. It gives nobody a right: those follow from apps and orders, and an instance that is not ordered on the host any more is
nothing, whatever a record says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional

from hullmark.core.askers import ordered
from hullmark.model.loopback import bare, is_loopback
from hullmark.model.orders import InstanceId
from hullmark.model.records import ProxyRecord
from hullmark.model.snapshot import Snapshot

Place = tuple[str, int]
"""Where a proxy's TLS port is: address and port."""


def proxies_of(snapshot: Snapshot) -> dict[str, Place]:
    """Of the hosts that have a proxy which is up, as they say or said last. What can't be an address and a port is no proxy: it gets into others'
    configuration."""
    kept = kept_places(snapshot)
    found = {}
    for host_id in snapshot.hosts:
        state = snapshot.observed.get(host_id)
        if state is None:
            place = kept.get(host_id)
        else:
            place = _sound(state.facts.proxy_address, state.facts.proxy_port)
            place = place if state.facts.proxy_version else None
        if place is not None:
            found[host_id] = place
    return found


def kept_places(snapshot: Snapshot) -> dict[str, Place]:
    """By records alone, whatever hosts say since."""
    places = ((key, _sound(each.address, each.port)) for key, each in snapshot.proxies.items())
    return {key: place for key, place in places if place is not None and key in snapshot.hosts}


def _sound(address: str, port: int) -> Optional[Place]:
    found = bare(address)
    # What is IPv4 as IPv6, and a zone, which is an interface of that host's, are not in the bare address.
    if found is None or str(found) != address:
        return None
    # All other hosts call there every few seconds: on loopback that is a program of their own, and what is link-local may be a cloud's.
    nobody = found.is_unspecified or found.is_multicast or found.is_link_local
    return (address, port) if not (nobody or is_loopback(address)) and 0 < port < 1 << 16 else None


def serving(snapshot: Snapshot, host_id: str) -> Iterator[InstanceId]:
    """Of what the host has by its orders, or is to remove. One that has a tombstone counts for as long as it serves: what follows it may still be on its
    way."""
    state = snapshot.observed.get(host_id)
    if state is not None:
        for instance in ordered(snapshot, host_id):
            status = state.instances.get(instance.container_name)
            if status is not None and status.serving:
                yield instance
    elif host_id in snapshot.proxies:
        kept = frozenset(snapshot.proxies[host_id].serving)
        yield from (one for one in ordered(snapshot, host_id) if one.container_name in kept)


def record_of(
    snapshot: Snapshot, host_id: str, proxies: Mapping[str, Place]
) -> Optional[ProxyRecord]:
    """What is to be kept of a host, whose proxy is where `proxies` has it; None: nothing."""
    place = proxies.get(host_id)
    if place is None or host_id not in snapshot.hosts:
        return None
    names = (
        instance.container_name
        for instance in serving(snapshot, host_id)
        if f"{instance.app}/{instance.service}" in snapshot.addresses
    )
    return ProxyRecord(*place, tuple(sorted(set(names))))
