"""Services as they are reached: their addresses, who serves and who answers for them, what went through.

GET    /v1/services        ?app=&service=&traffic=   -> ServiceList
POST   /agent/v1/endpoints EndpointsRequest          -> EndpointsAnswer    by a host that keeps files for a load balancer
"""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.app import ClientAddress, PortMode
from hullmark.model.directory import ServiceName
from hullmark.model.epoch import Epoch
from hullmark.model.proxy import PortTraffic

ENDPOINTS_PATH = "/agent/v1/endpoints"


@dataclass(frozen=True, order=True)
class HostShare:
    """`instances` of a service are on this host, and `serving` of them serve. `state`: that of the host, as `hullmark hosts` has it."""

    host: str
    instances: int
    serving: int
    state: str = "ready"


@dataclass(frozen=True, order=True)
class Spot:
    """One place where a published port answers. `serving` instances are on that host itself; a proxy that has none passes
    connections on to one that has."""

    host: str
    address: str
    port: int
    serving: int = 0


@dataclass(frozen=True)
class Published:
    """`port` 0: the engine chooses one for each instance. `spots`: where it is answered, those that serve first. `silent`: hosts that
    should answer it, and why they don't."""

    port: int
    target: int
    mode: PortMode = PortMode.INGRESS
    protocol: str = "tcp"
    spots: tuple[Spot, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceReach:
    """`address` empty: others can't reach it by name, `why_no_address` says why. `users` declared that they use it. `one_shot`: it ends, and
    serves nobody."""

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


@dataclass(frozen=True)
class HostTraffic:
    """What one host's proxy carried for the services that were asked for."""

    host: str
    ports: tuple[PortTraffic, ...] = ()


@dataclass(frozen=True)
class ServiceList:
    """`silent`: hosts whose proxy should have been asked and said nothing, each with why. `asked`: whether hosts were asked for their traffic."""

    services: tuple[ServiceReach, ...] = ()
    asked: bool = False
    traffic: tuple[HostTraffic, ...] = ()
    silent: tuple[str, ...] = ()


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
