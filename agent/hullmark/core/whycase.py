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
    """`survey` has the directories as this leader has them, by host id: none while it doesn't know how all hosts stand. `accepted`: the digest of the
    directory that each host named last. `traffic`: what hosts' proxies said just now; who did not answer in time is not in it.
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
        return {
            host_id: entry
            for host_id, directory in self.survey.directories.items()
            if host_id in self.snapshot.hosts
            for entry in directory.services
            if entry.name == name
        }

    def host(self, host_id: str) -> str:
        return self.snapshot.host_name(host_id)

    def is_ready(self, host_id: str) -> bool:
        return absence.is_ready(self.snapshot, host_id)
