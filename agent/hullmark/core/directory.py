"""The directory of each host: what it is told of the cluster's services, and of who may reach them (see `model.directory`).

    table = tabled(snapshot, former=table)     # of all hosts at once: they have most of it in common
    table.digests[host_id]                     # cheap: whether a host has to be told
    table[host_id]                             # what it is told, made when it asks

Only what serves and can be asked is elsewhere: a host that is lost has nothing, unless so many are silent that the fault is hardly theirs, or nobody
else serves what it served: its agent may just have been removed, and its proxy and containers go on. One that is only silent keeps what it said last.
"""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from hullmark.core import absence
from hullmark.core.answering import Answering, Proxies
from hullmark.core.askers import callers, networks_of, own_askers, present, scope_of
from hullmark.core.directoryline import Line, chunk_of, number_of
from hullmark.core.lastknown import proxies_of, serving
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


def all_heard(snapshot: Snapshot) -> bool:
    """Whether each host was heard in this term or is lost: before that, nobody can say where a service is."""
    waited_too_long = snapshot.waited_s > snapshot.lost_after_s * GIVEN_UP
    return waited_too_long or all(
        host_id in snapshot.observed or absence.is_lost(snapshot, host_id)
        for host_id in snapshot.hosts
    )


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, Directory]):
    """The directories of all enrolled hosts, by host id. `digests` are theirs; `frame` has what is the same for all, and all peers. `proxied`: hosts that
    have a proxy, which are told of other services, too."""

    lines: Mapping[ServiceName, Line]
    frame: Directory
    digests: Mapping[str, str]
    proxied: frozenset[str]

    def __getitem__(self, host_id: str) -> Directory:
        """Raises KeyError for a host that is not enrolled."""
        lines = self._lines_of(host_id)
        return replace(
            self._frame_for(host_id, lines),
            services=tuple(line.entry_for(host_id) for line in lines),
            peers=tuple(peer for peer in self.frame.peers if peer.host_id != host_id),
            admissions=tuple(one for line in lines for one in line.admissions_for(host_id)),
            others=tuple(one for line in self._others_of(host_id) for one in line.other),
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
            "others": [text for line in self._others_of(host_id) for text in line.other_texts],
        }
        parts.update({key: f"[{','.join(texts)}]" for key, texts in lists.items() if texts})
        return "{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}"

    @functools.cached_property
    def _peer_texts(self) -> Sequence[tuple[str, str]]:
        return [(peer.host_id, canonical(to_wire(peer)).decode()) for peer in self.frame.peers]

    def _lines_of(self, host_id: str) -> list[Line]:
        return [line for line in self.lines.values() if host_id in line.askers]

    def _others_of(self, host_id: str) -> list[Line]:
        if host_id not in self.proxied:
            return []
        return [line for line in self.lines.values() if host_id not in line.askers]

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
    peers, others = (sum(map(number_of, each)) for each in (directory.peers, directory.others))
    return _digest(_head(directory), peers, others, chunks)


def tabled(
    snapshot: Snapshot, proxies: Optional[Proxies] = None, former: Optional[Table] = None
) -> Table:
    """Of all hosts. `proxies`: as they are to be taken, where that is not as hosts say right now. What is as in the former table is kept from there."""
    where = proxies_of(snapshot) if proxies is None else proxies
    lines = _lines(snapshot, where, {} if former is None else former.lines)
    frame = _frame(snapshot, where)
    head = _head(frame)
    peers = {peer.host_id: number_of(peer) for peer in frame.peers}
    all_peers = sum(peers.values())
    all_others = sum(line.other_number for line in lines.values())
    others = {host_id: all_others if host_id in where else 0 for host_id in snapshot.hosts}
    chunks: dict[str, list[bytes]] = {host_id: [] for host_id in snapshot.hosts}
    for line in lines.values():
        for host_id, chunk in line.chunks.items():
            chunks[host_id].append(chunk)
            if host_id in where:
                others[host_id] -= line.other_number
    digests = {
        host_id: _digest(head, all_peers - peers.get(host_id, 0), others[host_id], parts)
        for host_id, parts in chunks.items()
    }
    return Table(lines, frame, digests, frozenset(where))


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
        unproxied=tuple(sorted(set(snapshot.hosts) - proxies.keys())),
    )


def _in_order(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split("."))


def _head(directory: Directory) -> bytes:
    return canonical([directory.range, list(directory.addresses), list(directory.unproxied)])


def _digest(head: bytes, peers: int, others: int, chunks: Iterable[bytes]) -> str:
    """`head` is JSON, the sums of peers and of other services a line, and chunks have a length of their own, so nothing can be read as something else."""
    whole = hashlib.sha256(head)
    whole.update(f"\n{peers:x} {others:x}\n".encode())
    whole.update(b"".join(chunks))
    return whole.hexdigest()


def _lines(
    snapshot: Snapshot, proxies: Proxies, former: Mapping[ServiceName, Line]
) -> dict[ServiceName, Line]:
    where = present(snapshot)
    calling = callers(snapshot.apps, where)
    shares = _shares(snapshot, proxies)
    published = Answering(snapshot, proxies).by_service()
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
    """How many instances serve on which host. What only lost hosts had counts too: other hosts' proxies see for themselves whether it answers."""
    braked = absence.brake(snapshot) is not None
    found: dict[ServiceName, list[Share]] = defaultdict(list)
    lost: dict[ServiceName, list[Share]] = defaultdict(list)
    for host_id in sorted(proxies):
        is_lost = absence.is_lost(snapshot, host_id) and not braked
        numbers: dict[ServiceName, int] = defaultdict(int)
        for instance in serving(snapshot, host_id):
            numbers[ServiceName(instance.app, instance.service)] += 1
        for name, number in numbers.items():
            (lost if is_lost else found)[name].append(Share(host_id, number))
    return {name: tuple(shares) for name, shares in {**lost, **found}.items()}
