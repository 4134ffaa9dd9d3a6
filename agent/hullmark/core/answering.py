"""Which hosts' proxies answer which published ports.

Two services can't have one port of a host. That is refused when an app is applied; where a label that was changed later leads to it, the
first of them by name has the port.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Optional

from hullmark.core.constraints import failing
from hullmark.core.directoryline import Specs
from hullmark.core.serviceports import by_proxy
from hullmark.model.app import EVERY_ADDRESS, Service
from hullmark.model.directory import ServiceName
from hullmark.model.host import HostFacts
from hullmark.model.snapshot import Snapshot

Proxies = Mapping[str, tuple[str, int]]
"""Where the TLS port of each host's proxy is, by the host's id."""
Spec = tuple[int, str, int]


def unless_told(snapshot: Snapshot, proxies: Proxies) -> Collection[str]:
    """Ids of the hosts that are to answer a service which says nothing of hosts: all that have a proxy. Where none has one, all that were heard, so
    that they tell what they lack."""
    return proxies.keys() or snapshot.observed.keys()


class Answering:
    def __init__(self, snapshot: Snapshot, proxies: Proxies) -> None:
        self._snapshot = snapshot
        self._unless_told = unless_told(snapshot, proxies)
        self._answering: dict[tuple[str, ...], frozenset[str]] = {}

    def by_service(self) -> Mapping[ServiceName, Mapping[str, Specs]]:
        """What each host answers, of the services that publish something."""
        wanted = {
            name: (specs, self.hosts(service.ingress))
            for name, service in self._services()
            for specs in (_specs(service),)
            if specs
        }
        lost = _lost(wanted)
        found = {}
        for name, (specs, hosts) in wanted.items():
            answers = dict.fromkeys(hosts, specs)
            for host_id in lost.get(name, {}):
                answers[host_id] = tuple(one for one in specs if one not in lost[name][host_id])
            found[name] = {host_id: kept for host_id, kept in answers.items() if kept}
        return found

    def hosts(self, ingress: tuple[str, ...]) -> frozenset[str]:
        """Those that answer a service with these constraints."""
        if ingress not in self._answering:
            self._answering[ingress] = frozenset(
                host_id
                for host_id, host in self._snapshot.hosts.items()
                if (ingress or host_id in self._unless_told)
                and failing(ingress, host, self._facts(host_id)) is None
            )
        return self._answering[ingress]

    def _facts(self, host_id: str) -> Optional[HostFacts]:
        state = self._snapshot.observed.get(host_id)
        return None if state is None else state.facts

    def _services(self) -> Iterator[tuple[ServiceName, Service]]:
        for app, record in self._snapshot.apps.items():
            if not record.removing:
                for key, service in record.app.services.items():
                    yield ServiceName(app, key), service


def _specs(service: Service) -> Specs:
    """Without those that an earlier one of the service itself leaves no room for. Of a range, which is a choice, it is the first port."""
    kept: list[Spec] = []
    for port in by_proxy(service.ports):
        address = "" if port.host_ip in EVERY_ADDRESS else port.host_ip
        spec = port.published_first, address, port.target
        if not any(_clash(spec, other) for other in kept):
            kept.append(spec)
    return tuple(sorted(kept))


def _clash(one: Spec, other: Spec) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or "" in (one[1], other[1]))


def _lost(
    wanted: Mapping[ServiceName, tuple[Specs, frozenset[str]]],
) -> Mapping[ServiceName, Mapping[str, set[Spec]]]:
    """Ports that a service does not get on a host, because another has them there."""
    claims: dict[int, list[tuple[ServiceName, Spec]]] = defaultdict(list)
    for name in sorted(wanted):
        for spec in wanted[name][0]:
            claims[spec[0]].append((name, spec))
    lost: dict[ServiceName, dict[str, set[Spec]]] = defaultdict(lambda: defaultdict(set))
    for claimed in claims.values():
        for number, (name, spec) in enumerate(claimed):
            for other, first in claimed[:number]:
                if name != other and _clash(spec, first):
                    for host_id in wanted[name][1] & wanted[other][1]:
                        if first not in lost[other].get(host_id, ()):
                            lost[name][host_id].add(spec)
    return lost
