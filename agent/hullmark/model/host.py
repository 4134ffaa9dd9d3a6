"""Hosts: what the cluster keeps of them, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HostFacts:
    """Inventory, sent by the agent when it changes. Architecture is the kernel's name, `x86_64`."""

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


NO_FACTS = HostFacts()
"""Of a host that has said nothing yet."""


@dataclass(frozen=True)
class HostRecord:
    """What the store keeps of an enrolled host. `certificate_sha256` is of the newest one issued."""

    host_id: str
    name: str
    enrolled_at: float
    labels: Mapping[str, str] = field(default_factory=dict)
    certificate_sha256: str = ""
