"""What the policies of hosts would say of services, before anything of them is there. The leader asks by a task `judge`, whose
argument `asked` is a `PolicyQuestion`; the agent answers with one line, a `PolicyAnswer`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.app import Bundle
from hullmark.model.orders import PublishedPort


@dataclass(frozen=True)
class Intended:
    """One service as a host would get it. Configs come without their content: nothing judges that."""

    bundle: Bundle
    ports: tuple[PublishedPort, ...] = ()


@dataclass(frozen=True)
class PolicyQuestion:
    services: tuple[Intended, ...]


@dataclass(frozen=True)
class ServiceRefusal:
    """Each reason names the rule, with its file and line on that host."""

    service: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class PolicyAnswer:
    """`refused` has the services that would be refused. `error`: nothing could be judged, and why."""

    refused: tuple[ServiceRefusal, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class PolicyRefusal:
    """Hosts, by name, whose policies refuse a service for the same reasons."""

    service: str
    hosts: tuple[str, ...]
    reasons: tuple[str, ...]
