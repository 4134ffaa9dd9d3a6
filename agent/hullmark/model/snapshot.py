"""All that a leader knows at one moment: what decisions are made from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model.host import HostRecord
from hullmark.model.loadline import NO_RECORD, LoadLineRecord
from hullmark.model.observed import HostState
from hullmark.model.records import (
    AppRecord,
    ClusterRecord,
    HomesRecord,
    HostAssignments,
    LeaderRecord,
    ProxyRecord,
    Rollout,
)


class Strategy(enum.Enum):
    """Which of the hosts that fit is best."""

    SPREAD = "spread"  # the one with the least on it
    BINPACK = "binpack"  # the fullest one that has room, so that others stay free


@dataclass(frozen=True)
class Snapshot:
    """Apps, homes and rollouts are keyed by app; hosts, assignments, observed and heard by host id.

    `observed` has a host only once it has sent a full report to this leader. `heard_s` is the time in
    seconds since each host's last sync, absent if this leader never heard it; a host gets its time anew when its maintenance ends and after a stall of the leader, so what is decided follows
    from `heard_s`, and what is told of a host's silence from `told_s`. For those it has waited
    `waited_s`, which begins anew with each term and after each stall; `enrolled_s` has for how long of those that were enrolled under this leader. `quiet_after_s` is the silence that
    counts for the brake: longer than any poll is held, so short that hosts which fell silent together are
    all counted when the first of them is lost. `calm_s`: how long ago so many were quiet that nothing moved,
    None: never. `serving_s` is for how long each instance has served without a break, as far as this leader
    knows, by (host id, container name). `now` is the wall clock. `revisions` gives the
    modified revision of each store key that was read, so that a plan can be committed only if they stand. `loadline` is the
    mark, `incidents` gives the number of the incident that an open outage belongs to, by its id. `addresses` has each service's
    address by `APP/SERVICE`, all of them of `address_range`. `proxies` has, by host id, what was last known of hosts' proxies: of a host
    that is in `observed` it says nothing (`core/lastknown`).
    """

    cluster: ClusterRecord
    leader: LeaderRecord
    apps: Mapping[str, AppRecord] = field(default_factory=dict)
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    assignments: Mapping[str, HostAssignments] = field(default_factory=dict)
    observed: Mapping[str, HostState] = field(default_factory=dict)
    heard_s: Mapping[str, float] = field(default_factory=dict)
    waited_s: float = 0.0
    lost_after_s: float = 10.0
    quiet_after_s: float = 5.5
    calm_s: Optional[float] = None
    homes: Mapping[str, HomesRecord] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    serving_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    strategy: Strategy = Strategy.SPREAD
    now: float = 0.0
    revision: int = 0
    revisions: Mapping[str, int] = field(default_factory=dict)
    loadline: LoadLineRecord = NO_RECORD
    incidents: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    address_range: str = ""
    proxies: Mapping[str, ProxyRecord] = field(default_factory=dict)
    enrolled_s: Mapping[str, float] = field(default_factory=dict)
    spoke_s: Optional[Mapping[str, float]] = None
    """Since each host really called; None: as `heard_s`, no host got its time anew."""

    def told_s(self, host_id: str) -> Optional[float]:
        """How old what the host told is, in seconds; None: it told this leader nothing."""
        return (self.heard_s if self.spoke_s is None else self.spoke_s).get(host_id)

    def host_name(self, host_id: str) -> str:
        """The id itself of a host that is no more."""
        host = self.hosts.get(host_id)
        return host_id if host is None else host.name
