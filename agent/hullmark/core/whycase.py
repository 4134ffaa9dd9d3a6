"""What a walk to a service is made from."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.core import absence, nameless, shutin
from hullmark.core.askers import callers, present
from hullmark.core.explain import explanation
from hullmark.core.flows import flows
from hullmark.core.grades import Grader
from hullmark.core.schedule import Unplaced
from hullmark.core.serviceview import Survey
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.explanation import ServiceExplanation
from hullmark.model.flows import Flow
from hullmark.model.proxy import PortTraffic, Traffic
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Case:
    """`accepted`: the digest of the directory that each host named last. `traffic`: what hosts' proxies said just now; who did not answer in time is not in it.
    `store_trouble`: what the store said when it did not take a write.

    What is the same for all services is found once, when it is first asked, and goes with the case."""

    survey: Survey
    unplaced: Sequence[Unplaced] = ()
    blind_s: Mapping[str, float] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    store_trouble: str = ""
    _explained: dict[str, Mapping[str, ServiceExplanation]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _shut_in: dict[str, Sequence[shutin.ShutIn]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

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

    def explained(self, record: AppRecord, service: str) -> ServiceExplanation:
        app = record.app.name
        if app not in self._explained:
            told = explanation(self.snapshot, self.unplaced, record, blind_s=self.blind_s)
            self._explained[app] = {each.service: each for each in told.services}
        return self._explained[app][service]

    def shut_in(self, record: AppRecord) -> Sequence[shutin.ShutIn]:
        app = record.app.name
        if app not in self._shut_in:
            found = shutin.shut_in(self.snapshot, self.survey.roster, record.app)
            self._shut_in[app] = tuple(found)
        return self._shut_in[app]

    @functools.cached_property
    def nameless_callers(self) -> Sequence[nameless.Unable]:
        return tuple(nameless.unable(self.snapshot, self.survey.roster))

    @functools.cached_property
    def grader(self) -> Grader:
        return Grader(self.snapshot, self.survey.roster, self.blind_s)

    def apart(self, name: ServiceName) -> frozenset[str]:
        """Ids of the hosts of who uses it and shares no network with it."""
        users = self._users_apart.get(name, ())
        return frozenset(host_id for user in users for host_id in self._present.get(user, ()))

    def flows_between(self, caller: ServiceName, service: ServiceName) -> Sequence[Flow]:
        return self._flows.get((str(caller), str(service)), ())

    def carried(self, host_id: str, name: ServiceName) -> Mapping[int, PortTraffic]:
        """By port, what the host's proxy said of the service."""
        return self._carried.get((host_id, name), {})

    @functools.cached_property
    def _present(self) -> Mapping[ServiceName, frozenset[str]]:
        return present(self.snapshot)

    @functools.cached_property
    def _users_apart(self) -> Mapping[ServiceName, Sequence[ServiceName]]:
        return callers(self.snapshot.apps, self._present).users

    @functools.cached_property
    def _flows(self) -> Mapping[tuple[str, str], Sequence[Flow]]:
        found: dict[tuple[str, str], list[Flow]] = defaultdict(list)
        for flow in flows(self.snapshot):
            found[flow.caller, flow.service].append(flow)
        return dict(found)

    @functools.cached_property
    def _carried(self) -> Mapping[tuple[str, ServiceName], Mapping[int, PortTraffic]]:
        found: dict[tuple[str, ServiceName], dict[int, PortTraffic]] = defaultdict(dict)
        for host_id, told in self.traffic.items():
            for one in told.ports:
                found[host_id, one.name][one.port] = one
        return dict(found)
