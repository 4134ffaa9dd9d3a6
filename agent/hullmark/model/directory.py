"""The directory: what the leader tells a host of the cluster's services, and of who may reach them.

    POST /agent/v1/directory {}  ->            asked for when a poll's answer says that it is another than the agent named
                        {DirectoryAnswer} <-   dropped like orders: late, of a lower epoch, or of another leader

A host's own containers are not in it: its agent sees those first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hullmark.model.app import ClientAddress
from hullmark.model.epoch import NO_EPOCH, Epoch


@dataclass(frozen=True, order=True)
class ServiceName:
    """One service of one app, anywhere."""

    app: str
    service: str

    def __str__(self) -> str:
        return f"{self.app}/{self.service}"


@dataclass(frozen=True, order=True)
class Peer:
    """Another host whose proxy takes TLS connections at `address`:`port`."""

    host_id: str
    name: str
    address: str
    port: int


@dataclass(frozen=True, order=True)
class Share:
    """`serving` instances of a service are on the host with this id. Never the host that the directory is for."""

    host_id: str
    serving: int


@dataclass(frozen=True)
class ServiceEntry:
    """A service that something on this host uses, offers or publishes. `address` is the service address, `ports` are TCP ports of its
    containers, which are also those of the address. `networks` are the app's own networks on which it is reached, with the names that it has
    there beside its own (aliases). `users`: services of other apps, or of no common network, that declared that they use it."""

    name: ServiceName
    address: str
    ports: tuple[int, ...]
    elsewhere: tuple[Share, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: tuple[ServiceName, ...] = ()
    client_address: ClientAddress = ClientAddress.NONE
    drain_s: float = 5.0
    scope: str = ""


@dataclass(frozen=True, order=True)
class OtherEntry:
    """A service with which nothing on this host has to do. Whoever calls its address here is refused, and that is recorded: nothing else is told of it, so that
    it stays the same whatever becomes of its instances."""

    name: ServiceName
    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True, order=True)
class PublishedEntry:
    """A port that this host's proxy answers: goes to `target` of the service. `host_ip` empty: on every address of the host that others can reach,
    and on loopback."""

    port: int
    host_ip: str
    name: ServiceName
    target: int


@dataclass(frozen=True, order=True)
class Admission:
    """The host `host_id` may ask this host for a service, for one of its own that has `scope`; an empty one is that of a published
    port, which anybody may be behind."""

    host_id: str
    name: ServiceName
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Directory:
    """`digest` is of all but epoch, leader and itself. `addresses`: every service address of the cluster, which each host has on its
    loopback device; `range` is what they come from. `unproxied`: ids of hosts whose proxy isn't up, as far as is known; who is neither one of these nor
    a peer is no host of the cluster. `others`: all services that are not in `services` and have a port; none for a host without a proxy."""

    epoch: Epoch = NO_EPOCH
    leader: str = ""
    digest: str = ""
    range: str = ""
    addresses: tuple[str, ...] = ()
    services: tuple[ServiceEntry, ...] = ()
    published: tuple[PublishedEntry, ...] = ()
    peers: tuple[Peer, ...] = ()
    unproxied: tuple[str, ...] = ()
    admissions: tuple[Admission, ...] = ()
    others: tuple[OtherEntry, ...] = ()


NO_DIRECTORY = Directory()
"""Of a host that no leader has told anything yet."""


@dataclass(frozen=True)
class DirectoryAnswer:
    """`lease_s`: as of orders."""

    directory: Directory
    lease_s: float = 10.0
