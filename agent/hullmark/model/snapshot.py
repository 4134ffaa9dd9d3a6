"""All that a leader knows at one moment: what decisions are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hullmark.model.host import HostRecord
from hullmark.model.observed import HostState
from hullmark.model.records import AppRecord, ClusterRecord, HostAssignments, LeaderRecord


@dataclass(frozen=True)
class Snapshot:
    """Apps are keyed by name; hosts, assignments, observed and heard by host id.

    `observed` has a host only once it has sent a full report to this leader. `heard_s` is the time in
    seconds since each host's last sync, absent if this leader never heard it. `revisions` gives the
    modified revision of each store key that was read, so that a plan can be committed only if they stand.
    """

    cluster: ClusterRecord
    leader: LeaderRecord
    apps: Mapping[str, AppRecord] = field(default_factory=dict)
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    assignments: Mapping[str, HostAssignments] = field(default_factory=dict)
    observed: Mapping[str, HostState] = field(default_factory=dict)
    heard_s: Mapping[str, float] = field(default_factory=dict)
    lost_after_s: float = 10.0
    revision: int = 0
    revisions: Mapping[str, int] = field(default_factory=dict)
