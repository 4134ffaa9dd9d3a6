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
