"""The controls of a cluster's hosts, as the API has them.

GET    /v1/posture   ?host=   -> PostureList
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.control import Posture
from hullmark.model.outage import Outage


@dataclass(frozen=True)
class ControlNumbers:
    """How many of a host's controls pass, fail, could not be told, were not looked at, and how many functions none of them carries."""

    passing: int = 0
    failing: int = 0
    unclear: int = 0
    not_run: int = 0
    absent: int = 0

    @property
    def unproven(self) -> int:
        return self.not_run + self.absent

    @property
    def word(self) -> str:
        """The worst of it: `2 FAIL`, `1 ERROR`, `3 unproven`, `12 ok`, `-`."""
        named = ((self.failing, "FAIL"), (self.unclear, "ERROR"), (self.unproven, "unproven"))
        found = [f"{number} {word}" for number, word in (*named, (self.passing, "ok")) if number]
        return found[0] if found else "-"


@dataclass(frozen=True)
class HostPosture:
    """`state` as in `hullmark hosts`. `heard_s`: seconds since the host was heard, None: never by this leader. `posture` is None for a
    host that has told nothing of its controls; of one that is not heard every control is `not_run`. `incidents`: the number of
    the incident that each open outage belongs to."""

    host_id: str
    host: str
    state: str
    heard_s: Optional[float]
    posture: Optional[Posture] = None
    outages: tuple[Outage, ...] = ()
    incidents: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PostureList:
    hosts: tuple[HostPosture, ...]
