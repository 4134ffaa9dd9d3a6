"""A host with two apps, for tests of what its proxy is to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import Backend, Frontend, ProxyPlan, Server

API = ServiceName("shop", "api.v1")
DB = ServiceName("shop", "db")
ZOO = ServiceName("zoo", "web")
HERE, THERE, THIRD = "a" * 32, "b" * 32, "c" * 32
LAN = "192.0.2.1"

API_ENTRY = ServiceEntry(API, "10.214.0.1", (80,), (Share(THERE, 2),), {"front": ()})
DB_ENTRY = ServiceEntry(DB, "10.214.0.2", (5432,), (Share(THERE, 1),), {"back": ()}, users=(ZOO,))
BRIDGES = (
    Bridge("shop", "front", "br-front", 11, "172.20.0.0/16"),
    Bridge("shop", "back", "br-back", 12, "172.21.0.0/16"),
    Bridge("zoo", "default", "br-zoo", 13, "172.22.0.0/16"),
)


def member(name: ServiceName, slot: int = 1, *, serving: bool = True, **addresses: str) -> Member:
    instance = InstanceId(name.app, name.service, slot, 3)
    container_id = f"{slot}{name.service.encode().hex()}".ljust(64, "0")
    return Member(instance, container_id, addresses, serving=serving)


MEMBERS = (
    member(API, front="172.20.0.2", back="172.21.0.2"),
    member(DB, back="172.21.0.3"),
    member(ZOO, default="172.22.0.2"),
)
DIRECTORY = Directory(
    range="10.214.0.0/16",
    addresses=("10.214.0.2", "10.214.0.1"),
    services=(API_ENTRY, DB_ENTRY),
    published=(PublishedEntry(8080, "", API, 80),),
    peers=(Peer(THERE, "two", "192.0.2.2", 7443),),
    admissions=(Admission(THERE, DB, ("out",)),),
)
SIGHT = ProxySight(
    HERE, DIRECTORY, MEMBERS, BRIDGES, (LAN,), tls_address=LAN, tls_port=7443, certificate="ab"
)


def seen(**changes: Any) -> ProxySight:
    """The sight, with fields of its own or of its directory changed."""
    own = {key: value for key, value in changes.items() if hasattr(SIGHT, key)}
    told = {key: value for key, value in changes.items() if key not in own}
    return replace(SIGHT, directory=replace(DIRECTORY, **told), **own)


def frontend(plan: ProxyPlan, name: str) -> Frontend:
    return next(one for one in plan.frontends if one.name == name)


def backend(plan: ProxyPlan, name: str) -> Backend:
    return next(one for one in plan.backends if one.name == name)


def servers(plan: ProxyPlan, name: str) -> dict[str, Server]:
    """By the address that they are at."""
    return {one.address: one for one in backend(plan, name).servers}
