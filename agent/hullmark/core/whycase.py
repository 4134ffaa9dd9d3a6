"""What a walk to a service is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.core import absence
from hullmark.core.schedule import Unplaced
from hullmark.core.serviceview import Survey
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.proxy import Traffic
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Case:
    """`accepted`: the digest of the directory that each host named last. `traffic`: what hosts' proxies said just now; who did not answer in time is not in it.
    `store_trouble`: what the store said when it did not take a write."""

    survey: Survey
    unplaced: Sequence[Unplaced] = ()
    blind_s: Mapping[str, float] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    store_trouble: str = ""

    @property
    def snapshot(self) -> Snapshot:
        return self.survey.snapshot

    def needing(self, name: ServiceName) -> Mapping[str, ServiceEntry]:
        """The hosts whose proxy has to carry the service, with what their directory says of it."""
        line = self.survey.line(name)
        if line is None:
            return {}
        hosts = line.askers.keys() & self.snapshot.hosts.keys()
        return {host_id: line.entry_for(host_id) for host_id in hosts}

    def digest(self, host_id: str) -> str:
        """Of the directory that this leader has for the host."""
        return "" if self.survey.table is None else self.survey.table.digests.get(host_id, "")

    def host(self, host_id: str) -> str:
        return self.snapshot.host_name(host_id)

    def is_ready(self, host_id: str) -> bool:
        return absence.is_ready(self.snapshot, host_id)
