"""Declared flows of traffic: who may call which service, and why.

GET    /v1/flows   ?scope=   -> FlowList
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FlowKind(enum.Enum):
    """By what a flow is declared."""

    NETWORK = "network"  # both are on a network of their app
    USES = "uses"  # the caller's x-hullmark.uses names the service
    PUBLISHED = "published"  # a port that proxies answer
    HOST = "host"  # a port that is the host's own: mode: host, or network_mode: host


class Encrypted(enum.Enum):
    """Whether Hullmark encrypts it. What callers and services encrypt themselves is theirs, and not known here."""

    YES = "yes"  # all of it goes from one host's proxy to another's, by TLS
    BETWEEN_HOSTS = "between hosts"  # where it leaves a host; the rest is not encrypted
    NO = "no"
    UNKNOWN = "unknown"  # one of both runs nowhere now


@dataclass(frozen=True)
class Flow:
    """`caller` and `service` are `APP/SERVICE`; a caller that is empty is anybody who reaches the host; of a port that is on a
    loopback address alone (`local`) that is a program of the host itself. `scope`s are `cde` or `out`, of no known caller
    empty. `networks` has their names where that is the kind. `ports` are the service's own, `published` those of hosts. Hosts are names:
    where callers are, or where a published port is answered, and where the service is. `refused_by`: those of the latter whose policy turns callers of
    other hosts away, with file and line."""

    kind: FlowKind
    caller: str
    caller_scope: str
    service: str
    scope: str
    ports: tuple[int, ...]
    protocol: str = "tcp"
    published: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    caller_hosts: tuple[str, ...] = ()
    service_hosts: tuple[str, ...] = ()
    across_hosts: bool = False
    encrypted: Encrypted = Encrypted.UNKNOWN
    refused_by: tuple[str, ...] = ()
    local: bool = False


@dataclass(frozen=True)
class FlowList:
    flows: tuple[Flow, ...]
