"""Services as they are reached: their addresses, who serves and who answers for them, what went through.

GET    /v1/services        ?app=&service=&traffic=   -> ServiceList
POST   /agent/v1/endpoints EndpointsRequest          -> EndpointsAnswer    by a host that keeps files for a load balancer
"""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.app import ClientAddress, PortMode
from hullmark.model.directory import ServiceName
from hullmark.model.epoch import Epoch
from hullmark.model.loopback import is_loopback
from hullmark.model.names import parse_container_name
from hullmark.model.proxy import PortTraffic

ENDPOINTS_PATH = "/agent/v1/endpoints"
NOT_HEARD = ("silent", "lost", "never")
"""States of hosts of which nobody can tell what they answer."""


@dataclass(frozen=True, order=True)
class HostShare:
    """`instances` of a service are on this host, and `serving` of them serve. `state`: that of the host, as `hullmark hosts` has it. `unknown`: how
    many nobody can tell of, because the host is not heard; `last_known`: how many of those served by what was known of them last."""

    host: str
    instances: int
    serving: int
    state: str = "ready"
    unknown: int = 0
    last_known: int = 0


@dataclass(frozen=True, order=True)
class Spot:
    """One place where a published port answers. `serving` instances are on that host itself; a proxy that has none passes
    connections on to one that has."""

    host: str
    address: str
    port: int
    serving: int = 0

    @property
    def is_local(self) -> bool:
        """Whether only programs of that host reach it."""
        return is_loopback(self.address)


@dataclass(frozen=True)
class Published:
    """`port` 0: the engine chooses one for each instance. `spots`: where it is answered, those that serve first. `silent`: hosts that
    should answer it, and why they don't, as `HOST: WHY`; of those that are not heard it is their state. `taken`: places of `silent` hosts where another
    program has it, `barred`: where the host's policy doesn't allow it. `known` False: this leader doesn't know yet which hosts are to answer it."""

    port: int
    target: int
    mode: PortMode = PortMode.INGRESS
    protocol: str = "tcp"
    spots: tuple[Spot, ...] = ()
    silent: tuple[str, ...] = ()
    taken: tuple[Spot, ...] = ()
    known: bool = True
    barred: tuple[Spot, ...] = ()

    @property
    def unknown(self) -> int:
        """How many hosts may answer it, and nobody can tell: they are not heard."""
        return sum(told.partition(": ")[2] in NOT_HEARD for told in self.silent)

    @property
    def is_unanswered(self) -> bool:
        """Whether no proxy answers it, as far as that is known."""
        by_proxies = self.mode is PortMode.INGRESS
        return by_proxies and self.known and not (self.spots or self.unknown)


@dataclass(frozen=True)
class ServiceReach:
    """`address` empty: others can't reach it by name, `why_no_address` says why. `users` declared that they use it. `one_shot`: it ends, and
    serves nobody. `notes` are of its instances, and of what it uses in vain. `unknown`: how many of the wanted are not seen to serve and may well, because
    their host is not heard; at most `missing`."""

    name: ServiceName
    address: str = ""
    why_no_address: str = ""
    ports: tuple[int, ...] = ()
    scope: str = ""
    client_address: ClientAddress = ClientAddress.NONE
    wanted: int = 0
    serving: int = 0
    hosts: tuple[HostShare, ...] = ()
    published: tuple[Published, ...] = ()
    uses: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    one_shot: bool = False
    notes: tuple[str, ...] = ()
    unknown: int = 0

    @property
    def missing(self) -> int:
        """How many of the wanted are not seen to serve."""
        return 0 if self.one_shot else max(0, self.wanted - self.serving)

    @property
    def is_unknown(self) -> bool:
        """Whether none is seen to serve, and nobody can tell of any that is missing."""
        return not self.serving and 0 < self.missing <= self.unknown


@dataclass(frozen=True)
class HostTraffic:
    """What one host's proxy carried for the services that were asked for. `strangers` as in `Traffic`."""

    host: str
    ports: tuple[PortTraffic, ...] = ()
    strangers: int = 0


@dataclass(frozen=True)
class ServiceList:
    """`silent`: hosts whose proxy should have been asked and said nothing, each with why. `asked`: whether hosts were asked for their traffic."""

    services: tuple[ServiceReach, ...] = ()
    asked: bool = False
    traffic: tuple[HostTraffic, ...] = ()
    silent: tuple[str, ...] = ()

    def is_unreached(self, service: ServiceReach) -> bool:
        """Whether the proxy of a host that was asked gets no answer where the service may serve."""
        ports = (port for host in self.traffic for port in host.ports)
        return any(port.down for port in ports if port.name == service.name)

    def shut_in(self, service: ServiceReach) -> int:
        """How many of its instances the proxy of their own host gets no answer from."""
        found = set()
        for host in self.traffic:
            for port in host.ports:
                for down in port.down if port.name == service.name else ():
                    if parse_container_name(down.member) is not None:
                        found.add(down.member)
        return len(found)

    def is_unknown(self, service: ServiceReach) -> bool:
        """Whether nobody can tell if it serves, as `hullmark why` has it: none is seen to, all that are missing may, and no proxy is seen to get no answer."""
        return service.is_unknown and not self.is_unreached(service)


@dataclass(frozen=True)
class EndpointsRequest:
    """`digest` of what the host has already; empty for none."""

    digest: str = ""


@dataclass(frozen=True)
class EndpointsAnswer:
    """`ready` False: this leader has not heard all hosts yet, so nothing is said. `same`: nothing changed since the digest. Dropped
    by the agent like orders: of a lower epoch, or of another leader."""

    epoch: Epoch
    leader: str
    ready: bool = False
    same: bool = False
    digest: str = ""
    services: tuple[ServiceReach, ...] = ()
