"""A host's proxy: what it is planned from, what it is told, and what it says of itself."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.directory import NO_DIRECTORY, Directory, ServiceName
from hullmark.model.orders import InstanceId, PublishedPort


@dataclass(frozen=True)
class Member:
    """A container of ours on this host that is up. `addresses` are by the app's network key. `serving`: it may be given new connections;
    `leaving`: it keeps those that it has and gets none. `bound`: ports of the host that its engine holds for it."""

    instance: InstanceId
    container_id: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    serving: bool = False
    leaving: bool = False
    bound: tuple[PublishedPort, ...] = ()

    @property
    def name(self) -> ServiceName:
        return ServiceName(self.instance.app, self.instance.service)


@dataclass(frozen=True, order=True)
class Bridge:
    """The bridge of one of our networks, as it is on this host now. `index` is the kernel's number of the interface: one of the same name that
    was made anew has another, and what listened on the former hears nothing."""

    app: str
    network: str
    interface: str
    index: int
    subnet: str
    gateway: str = ""
    internal: bool = False


@dataclass(frozen=True)
class ProxySight:
    """All that a host's proxy is planned from. `addresses`: the host's own, by which others reach it. `tls_address` and `tls_port`: where
    its TLS port is to be, an empty address for none. `certificate`: the digest of the proxy's certificate, so that a new one is a change."""

    host_id: str
    directory: Directory = NO_DIRECTORY
    members: tuple[Member, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    addresses: tuple[str, ...] = ()
    tls_address: str = ""
    tls_port: int = 0
    certificate: str = ""


class ServerState(enum.Enum):
    """HAProxy's own words of a server's administrative state."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True)
class ProxyLook:
    """What the proxy's processes are now. `up`: a worker answers. `started_at` is of the main process, to be compared only; `loaded` is the
    digest of the structure that the worker runs with, `replaced` names files of its program that were replaced on disk since it began."""

    up: bool = False
    version: str = ""
    pid: int = 0
    worker: int = 0
    started_at: float = 0.0
    loaded: str = ""
    replaced: tuple[str, ...] = ()
    why: str = ""


_HEARD: Mapping[str, str] = {
    "L4TOUT": "nothing comes back: a firewall drops it, or there is no route",
    "L4CON": "it is refused: nothing listens there, or a firewall rejects it",
    "L6TOUT": "it connects, but TLS is not answered",
    "L6RSP": "it connects, but TLS fails: a certificate is not what it should be",
}
"""HAProxy's words for what a check came to (its management guide, `check_status`)."""


@dataclass(frozen=True, order=True)
class Down:
    """A member that gets no connections because it doesn't answer: another host by its id, or a container of this host by its name. `why` is
    HAProxy's word for it, as `L4TOUT` where nothing came back, `L4CON` where it was refused."""

    member: str
    why: str = ""

    @property
    def words(self) -> str:
        """`why` for people."""
        return _HEARD.get(self.why, self.why or "it does not answer")

    @property
    def is_refused(self) -> bool:
        return self.why == "L4CON"

    @property
    def is_shut_out(self) -> bool:
        """It did not come to a connection: mostly a firewall."""
        return self.why in ("L4TOUT", "L4CON")


@dataclass(frozen=True)
class PeerLook:
    """What came of the proxy's looks at another host's: `answers` for `since_s` seconds, or doesn't; None where that isn't settled, as after a reload.
    `why` as in `Down`."""

    host_id: str
    answers: Optional[bool] = None
    since_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, order=True)
class ContainerPort:
    """A port of a container of ours, by the container's name."""

    container: str
    port: int


@dataclass(frozen=True)
class ContainerLook:
    """What came of the proxy's looks at a container of its host. `answers` and `why` as in `PeerLook`."""

    place: ContainerPort
    answers: Optional[bool] = None
    why: str = ""


@dataclass(frozen=True)
class PortTraffic:
    """Of one port of a service on one host, since the proxy's worker began. `queue_ms` and `connect_ms`: averages of the newest 1,024 connections.
    `members`: this host's serving containers and the other hosts that serve it; `up`: those of them that answer, `down`: those that don't.
    `refused`: callers that may not use it."""

    name: ServiceName
    port: int
    address: str = ""
    up: int = 0
    members: int = 0
    open: int = 0
    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    queue_ms: int = 0
    connect_ms: int = 0
    retries: int = 0
    redispatches: int = 0
    errors: int = 0
    refused: int = 0
    down: tuple[Down, ...] = ()


@dataclass(frozen=True)
class Traffic:
    """The answer of one host to a task `traffic`. `strangers`: connections to its TLS port that ended before it was known who calls, since the proxy's
    worker began; it may be less than there were by as many as are open. `why` is set where its proxy can't be asked."""

    ports: tuple[PortTraffic, ...] = ()
    why: str = ""
    strangers: int = 0
