"""The directory of each host: what it is told of the cluster's services, and of who may reach them (see `model.directory`).

    table = tabled(snapshot, former=table)     # of all hosts at once: they have most of it in common
    table.digests[host_id]                     # cheap: whether a host has to be told
    table[host_id]                             # what it is told, made when it asks

Only what serves and can be asked is elsewhere: a host that is lost has nothing, unless so many are silent that the fault is hardly theirs; one that is
only silent keeps what it said last.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from hullmark.core import absence
from hullmark.core.askers import callers, networks_of, ordered, own_askers, present, scope_of
from hullmark.core.directoryline import Line, chunk_of
from hullmark.core.publishing import Proxies, Publishing
from hullmark.core.serviceports import ports_of
from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot
from hullmark.model.wire import canonical, to_wire

GIVEN_UP = 2.0
"""Of `lost_after_s`: a host that is heard all the time and reports nothing is not waited for any longer."""


def proxies_of(snapshot: Snapshot) -> dict[str, tuple[str, int]]:
    """Of the hosts that have a proxy which is up, as they say. What can't be an address and a port is no proxy: it gets into others' configuration."""
    found = {}
    for host_id in snapshot.hosts:
        state = snapshot.observed.get(host_id)
        if state is None or not state.facts.proxy_version:
            continue
        place = state.facts.proxy_address, state.facts.proxy_port
        if _is_place(*place):
            found[host_id] = place
    return found


def _is_place(address: str, port: int) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # All other hosts call there every few seconds: on loopback that is a program of their own, and what is link-local may be a cloud's.
    nobody = found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local
    # A zone, as in fe80::1%eth0, is an interface of that host's.
    sound = str(found) == address and "%" not in address and not nobody
    return sound and 0 < port < 1 << 16


def all_heard(snapshot: Snapshot) -> bool:
    """Whether each host was heard in this term or is lost: before that, nobody can say where a service is."""
    waited_too_long = snapshot.waited_s > snapshot.lost_after_s * GIVEN_UP
    return waited_too_long or all(
        host_id in snapshot.observed or absence.is_lost(snapshot, host_id)
        for host_id in snapshot.hosts
    )


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, Directory]):
    """The directories of all enrolled hosts, by host id. `digests` are theirs; `frame` has what is the same for all, and all peers."""

    lines: Mapping[ServiceName, Line]
    frame: Directory
    digests: Mapping[str, str]

    def __getitem__(self, host_id: str) -> Directory:
        """Raises KeyError for a host that is not enrolled."""
        lines = self._lines_of(host_id)
        return replace(
            self._frame_for(host_id, lines),
            services=tuple(line.entry_for(host_id) for line in lines),
            peers=tuple(peer for peer in self.frame.peers if peer.host_id != host_id),
            admissions=tuple(one for line in lines for one in line.admissions_for(host_id)),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)

    def text(self, host_id: str) -> str:
        """The same as `wire.canonical` of the directory, without writing out for each host what many have."""
        lines = self._lines_of(host_id)
        frame = to_wire(self._frame_for(host_id, lines))
        parts = {key: canonical(value).decode() for key, value in frame.items()}
        lists = {
            "services": [line.text_for(host_id) for line in lines],
            "peers": [text for peer, text in self._peer_texts if peer != host_id],
            "admissions": [text for line in lines for text in line.admission_texts_for(host_id)],
        }
        parts.update({key: f"[{','.join(texts)}]" for key, texts in lists.items() if texts})
        return "{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}"

    @functools.cached_property
    def _peer_texts(self) -> Sequence[tuple[str, str]]:
        return [(peer.host_id, canonical(to_wire(peer)).decode()) for peer in self.frame.peers]

    def _lines_of(self, host_id: str) -> list[Line]:
        return [line for line in self.lines.values() if host_id in line.askers]

    def _frame_for(self, host_id: str, lines: Sequence[Line]) -> Directory:
        published = sorted(one for line in lines for one in line.published_for(host_id))
        return replace(
            self.frame, digest=self.digests[host_id], published=tuple(published), peers=()
        )


def directory_of(snapshot: Snapshot, host_id: str) -> Directory:
    """Of one host. Raises KeyError for one that is not enrolled."""
    return tabled(snapshot)[host_id]


def digest_of(directory: Directory) -> str:
    """Of all but epoch, leader and digest: the same where those are the same, and only then."""
    published: dict[ServiceName, list[PublishedEntry]] = defaultdict(list)
    for entry in directory.published:
        published[entry.name].append(entry)
    admissions: dict[ServiceName, list[Admission]] = defaultdict(list)
    for admission in directory.admissions:
        admissions[admission.name].append(admission)
    chunks = [
        chunk_of(entry, published[entry.name], admissions[entry.name])
        for entry in directory.services
    ]
    return _digest(_head(directory), sum(map(_number_of, directory.peers)), chunks)


def tabled(
    snapshot: Snapshot, proxies: Optional[Proxies] = None, former: Optional[Table] = None
) -> Table:
    """Of all hosts. `proxies`: as they are to be taken, where that is not as hosts say right now. What is as in the former table is kept from there."""
    where = proxies_of(snapshot) if proxies is None else proxies
    lines = _lines(snapshot, where, {} if former is None else former.lines)
    frame = _frame(snapshot, where)
    head = _head(frame)
    peers = {peer.host_id: _number_of(peer) for peer in frame.peers}
    all_peers = sum(peers.values())
    chunks: dict[str, list[bytes]] = {host_id: [] for host_id in snapshot.hosts}
    for line in lines.values():
        for host_id, chunk in line.chunks.items():
            chunks[host_id].append(chunk)
    digests = {
        host_id: _digest(head, all_peers - peers.get(host_id, 0), parts)
        for host_id, parts in chunks.items()
    }
    return Table(lines, frame, digests)


def _frame(snapshot: Snapshot, proxies: Proxies) -> Directory:
    peers = (
        Peer(host_id, snapshot.host_name(host_id), *place) for host_id, place in proxies.items()
    )
    return Directory(
        epoch=snapshot.leader.epoch,
        leader=snapshot.leader.leader,
        range=snapshot.address_range,
        addresses=tuple(sorted(snapshot.addresses.values(), key=_in_order)),
        peers=tuple(sorted(peers)),
    )


def _in_order(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split("."))


def _head(directory: Directory) -> bytes:
    return canonical([directory.range, list(directory.addresses)])


def _number_of(peer: Peer) -> int:
    """Its digest as a number: those of a set of peers are added up, so that one can be taken out of all without looking at the others."""
    text = canonical([peer.host_id, peer.name, peer.address, peer.port])
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def _digest(head: bytes, peers: int, chunks: Iterable[bytes]) -> str:
    """`head` is JSON, the sum of peers a line, and chunks have a length of their own, so nothing can be read as something else."""
    whole = hashlib.sha256(head)
    whole.update(f"\n{peers:x}\n".encode())
    whole.update(b"".join(chunks))
    return whole.hexdigest()


def _lines(
    snapshot: Snapshot, proxies: Proxies, former: Mapping[ServiceName, Line]
) -> dict[ServiceName, Line]:
    where = present(snapshot)
    calling = callers(snapshot.apps, where)
    shares = _shares(snapshot, proxies)
    published = Publishing(snapshot, proxies).by_service()
    lines = {}
    for name, address in _addressed(snapshot):
        record = snapshot.apps[name.app]
        service = record.app.services[name.service]
        entry = _entry(record, name, address, calling.users.get(name, ()))
        hosts, answers = where.get(name, frozenset()), published.get(name, {})
        own = own_askers(service, hosts)
        askers = calling.askers(name, entry.networks, own, answers)
        made = Line(entry, shares.get(name, ()), askers, hosts, answers)
        kept = former.get(name)
        lines[name] = kept if kept is not None and kept == made else made
    return lines


def _addressed(snapshot: Snapshot) -> list[tuple[ServiceName, str]]:
    """Services that there are, with their addresses, in order."""
    found = []
    for text, address in snapshot.addresses.items():
        name = ServiceName(*text.split("/", 1))
        record = snapshot.apps.get(name.app)
        if record is not None and name.service in record.app.services:
            found.append((name, address))
    return sorted(found)


def _entry(
    record: AppRecord, name: ServiceName, address: str, users: tuple[ServiceName, ...]
) -> ServiceEntry:
    service = record.app.services[name.service]
    return ServiceEntry(
        name,
        address,
        ports_of(service),
        networks=networks_of(record, service),
        users=users,
        client_address=service.client_address,
        drain_s=service.drain_s,
        scope=scope_of(service),
    )


def _shares(snapshot: Snapshot, proxies: Proxies) -> dict[ServiceName, tuple[Share, ...]]:
    """How many instances serve on which host. One that has a tombstone counts for as long as it serves: what follows it may still be on its way."""
    braked = absence.brake(snapshot) is not None
    found: dict[ServiceName, list[Share]] = defaultdict(list)
    for host_id in sorted(proxies):
        state = snapshot.observed.get(host_id)
        if state is None or (absence.is_lost(snapshot, host_id) and not braked):
            continue
        serving: dict[ServiceName, int] = defaultdict(int)
        for instance in ordered(snapshot, host_id):
            status = state.instances.get(instance.container_name)
            if status is not None and status.serving:
                serving[ServiceName(instance.app, instance.service)] += 1
        for name, number in serving.items():
            found[name].append(Share(host_id, number))
    return {name: tuple(shares) for name, shares in found.items()}
