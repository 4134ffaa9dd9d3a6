"""What a host's proxy is to do, before it is written in HAProxy's words (`engine/haproxyconfig.py`).

A connection goes from a frontend to a backend, and there to one of its servers:

    svc:APP:SERVICE:PORT        frontend on the service address, on bridges of networks that the service is on: any container there may call
    ask:APP:SERVICE:PORT        frontend on the service address, on our other bridges: only addresses in `callers` may, the rest is refused and logged; of a
                                service with which nothing here has to do everybody is
    pub:APP:SERVICE:PORT:HOST   frontend of a published port
    tls                         frontend of the one port that other hosts' proxies call: `admissions` says which backend they get

    svc:APP:SERVICE:PORT        backend: containers here, and one server for each other host that has some
    web:APP:SERVICE:PORT        the same, read as HTTP
    own:APP:SERVICE:PORT        backend for other hosts: containers here; only where none serves, other hosts, which don't pass it on again
    last:APP:SERVICE:PORT       backend for a connection that was passed on already: containers here
    peer                        backend that nothing goes to: the other hosts' proxies are looked at there, once for all services
    checked                     backend that answers other hosts that look at this one
    calls                       table of other hosts' connections: whose each one is
    refusals                    table of who was refused just now, and how often
    strangers                   table of addresses that call the TLS port: how many connections they have, and how many ended before it was known who calls

Names hold no colon, so a frontend's name says exactly whose it is (`subject_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hullmark.model.directory import ServiceName

SVC, ASK, PUB, WEB, OWN, LAST = "svc", "ask", "pub", "web", "own", "last"
OWN_KINDS = (OWN, LAST)
TELLING = (SVC, WEB, OWN)
"""Of backends of one port, the first that there is tells who answers."""
TLS, PEER, CHECKED = "tls", "peer", "checked"
CALLS, REFUSALS, STRANGERS = "calls", "refusals", "strangers"
CHECK_LABEL = "check"
"""What a look at another host's proxy asks for: nobody's service."""
RESORT = "-resort"
"""End of the name of a server that is asked only where nobody else is left."""

PROXY_UNIT = "proxy"
"""Subject's organizational unit of a proxy's certificate (CN: the host's id). An agent's or a master's has none, so it is refused."""

MOST_REFUSING = 2000
"""Listening sockets that are there only to record refusals, at some 3.4 KB each, and 24 KB for each port of a service (measured with 2.6). Past that, callers
from other apps' bridges are refused by the kernel, which records nothing."""


@dataclass(frozen=True, order=True)
class Bind:
    """A listening socket. `interface` empty: whichever way a connection comes. `index` as in `Bridge`."""

    address: str
    port: int
    interface: str = ""
    index: int = 0


@dataclass(frozen=True, order=True)
class Server:
    """Where a backend's connections go. Its name says all that it is but its weight, so one that is something else has another name.
    `weight` 0: it keeps its connections and gets none. `peer` and `server_name` are set for another host's proxy. `unchecked`: it is tried
    whether or not that one seems to answer."""

    name: str
    address: str
    port: int
    weight: int = 1
    peer: str = ""
    server_name: str = ""
    container_id: str = ""
    backup: bool = False
    unchecked: bool = False
    proxy_header: bool = False


@dataclass(frozen=True, order=True)
class Backend:
    name: str
    servers: tuple[Server, ...] = ()
    http: bool = False

    @property
    def members(self) -> int:
        """How many servers are given connections while all is well."""
        return sum(one.weight > 0 and not one.backup for one in self.servers)


@dataclass(frozen=True, order=True)
class Frontend:
    """`backend` empty: everybody is refused. `asks`: callers are looked up in `callers`. `http`: read as HTTP, and the caller's address is put into X-Forwarded-For. `shuts_out`: subnets
    whose callers are refused."""

    name: str
    backend: str
    binds: tuple[Bind, ...] = ()
    asks: bool = False
    http: bool = False
    shuts_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProxyPlan:
    """All of it. `admissions`: from `HOST_ID@SERVER NAME` to a backend. `callers`: `ADDRESS@APP/SERVICE`. `tls` empty: nothing is taken from
    other hosts, and none is asked. `addresses` are for the loopback device. `hosts`: ids of the cluster's other hosts, whose proxies may look at this one.

    For people, not for the proxy: `left_out` says of published ports that aren't bound, and why;
    `unwatched` is at how many ports of service addresses somebody is refused without a record (`MOST_REFUSING`)."""

    host_id: str = ""
    certificate: str = ""
    tls: tuple[Bind, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    backends: tuple[Backend, ...] = ()
    peers: tuple[Server, ...] = ()
    hosts: tuple[str, ...] = ()
    admissions: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[str, ...] = ()
    range: str = ""
    addresses: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unwatched: int = 0


@dataclass(frozen=True)
class Applied:
    """What came of a plan. `changed`: the proxy was told something. `left_out`: listening sockets that another program of the host has, `ADDRESS:PORT`;
    the rest of the plan is in force."""

    changed: bool = False
    reloaded: bool = False
    left_out: tuple[str, ...] = ()


def key_of(kind: str, name: ServiceName, port: int) -> str:
    """A frontend's or backend's name."""
    return f"{kind}:{name.app}:{name.service}:{port}"


def subject_of(name: str) -> tuple[ServiceName, int]:
    """Whose a frontend or backend is. Raises ValueError for `tls` and for what isn't one of ours."""
    _, app, service, port, *_ = name.split(":")
    return ServiceName(app, service), int(port)


def kind_of(name: str) -> str:
    return name.partition(":")[0]


def caller_of(address: str, name: ServiceName) -> str:
    return f"{address}@{name}"


def server_name_of(name: ServiceName, port: int, host_id: str, *, last: bool = False) -> str:
    """What the proxy of `host_id` is asked for. Only the first label may vary for a certificate's wildcard, so dots of a service's name are
    written `+`, too; it stays unique, as neither a port nor an app's name has a dot."""
    label = f"{port}+{name.service}+{name.app}".replace(".", "+")
    return f"{'last+' if last else ''}{label}.{host_id}"
