"""Hosts: what the cluster keeps of them, and what they say of themselves."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True, order=True)
class Listener:
    """A port of the host that something else than our containers' engine listens on. `address` as the kernel shows
    it, `0.0.0.0` or `::` for all; `process` is its name, empty where that can't be seen, and PROXY for this host's proxy. `container`: the
    name of ours that the process is in, which then has the host's network."""

    port: int
    protocol: str = "tcp"
    address: str = ""
    process: str = ""
    container: str = ""


PROXY = "hullmark-proxy"
"""A proxy of ours among listeners: a shop may have an HAProxy of its own beside it."""


@dataclass(frozen=True)
class PortExemption:
    """As `model.policy.Exemption`, of rules about ports."""

    pattern: str
    given: Mapping[str, Optional[tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class PortRules:
    """What a host's policy says of ports, by the rule's key: `ports.published`, `ports.addresses` and `ports.approved`. A rule that no file
    gives is missing, None: any."""

    given: Mapping[str, Optional[tuple[str, ...]]] = field(default_factory=dict)
    exemptions: tuple[PortExemption, ...] = ()


NO_PORT_RULES = PortRules()


@dataclass(frozen=True)
class CallerRule:
    """What a host's policy says of who on other hosts may use its services (`services.from`), for those whose APP/SERVICE fits `pattern`. `allowed` as
    the policy has them, None: anybody. `place` is its file and line, the file without its folder."""

    pattern: str
    allowed: Optional[tuple[str, ...]] = None
    place: str = ""


@dataclass(frozen=True)
class HostFacts:
    """Inventory, sent by the agent when it changes. Architecture is the kernel's name, `x86_64`. `scope` is what the host's
    policy says, `unknown` where that can't be read. `mode` is `observe` where the agent refuses every order. `proxy_version` is that of the
    host's proxy, empty where it has none that is up; its TLS port is at `proxy_address`:`proxy_port`. `container_range` is where apps'
    networks get their subnets, and `networks` are the other IPv4 networks that the host has a route to, single addresses too where
    services may get them. Of `caller_rules` the last one that fits a service counts; where none does, anybody may use it."""

    hostname: str = ""
    os: str = ""
    kernel: str = ""
    architecture: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    agent_version: str = ""
    engine: str = ""
    engine_version: str = ""
    engine_socket: str = ""
    addresses: tuple[str, ...] = ()
    boot_id: str = ""
    listeners: tuple[Listener, ...] = ()
    scope: str = ""
    mode: str = ""
    proxy_version: str = ""
    proxy_address: str = ""
    proxy_port: int = 0
    port_rules: PortRules = NO_PORT_RULES
    container_range: str = ""
    networks: tuple[str, ...] = ()
    caller_rules: tuple[CallerRule, ...] = ()


NO_FACTS = HostFacts()
"""Of a host that has said nothing yet."""


class Availability(enum.Enum):
    """What an operator lets a host be used for."""

    ACTIVE = "active"
    CORDONED = "cordoned"  # keeps what it has, gets nothing new
    DRAINING = "draining"  # gets nothing new, and what can go elsewhere does


@dataclass(frozen=True)
class Maintenance:
    """Planned work on a host: its silence is expected, and nothing moves because of it. Times are seconds
    since 1970; after `until` the host counts as any other."""

    since: float
    until: float
    by: str
    ticket: str = ""


@dataclass(frozen=True)
class HostRecord:
    """What the store keeps of an enrolled host. `certificate_sha256` is of the newest one issued, and
    `former_sha256` of the one before it, which holds until the newest was used: an answer that was lost must
    not lock a host out. A new enrolment leaves no former one."""

    host_id: str
    name: str
    enrolled_at: float
    labels: Mapping[str, str] = field(default_factory=dict)
    certificate_sha256: str = ""
    former_sha256: str = ""
    availability: Availability = Availability.ACTIVE
    maintenance: Optional[Maintenance] = None
