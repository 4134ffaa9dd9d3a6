"""Which containers of this host its proxy gets no answer from, though somebody may come to ask them.

Only ports that the app names: an image may expose more than its program listens on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Callable

from hullmark.core.askers import PUBLISHED
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import ContainerLook, ContainerPort, Member, ProxySight
from hullmark.model.proxyplan import TELLING, Backend, ProxyPlan, key_of


def due(
    sight: ProxySight, exposed: Callable[[InstanceId], Collection[int]]
) -> Mapping[ContainerPort, ServiceName]:
    """Where a container should answer: it serves, its app names the port, and somebody may call it. `exposed`: of an instance, by its app's `expose`."""
    asked = _Asked(sight)
    found: dict[ContainerPort, ServiceName] = {}
    for member in sight.members:
        entry = asked.entries.get(member.name)
        if entry is not None and member.serving and not member.leaving:
            for port in asked.ports(entry, member, exposed(member.instance)):
                found[ContainerPort(member.instance.container_name, port)] = entry.name
    return found


def backends(
    plan: ProxyPlan, wanted: Mapping[ContainerPort, ServiceName]
) -> Mapping[ContainerPort, Backend]:
    """Where the proxy says whether they answer."""
    known = {one.name: one for one in plan.backends}
    found = {}
    for place, name in wanted.items():
        keys = (key_of(kind, name, place.port) for kind in TELLING)
        backend = next((known[key] for key in keys if key in known), None)
        if backend is not None:
            found[place] = backend
    return found


def counted(
    former: Mapping[ContainerPort, int],
    looks: Iterable[ContainerLook],
    wanted: Collection[ContainerPort],
) -> Mapping[ContainerPort, int]:
    """How many looks in a row found no answer. One that came to nothing yet, as after a reload, is not counted, and ends nothing."""
    found: dict[ContainerPort, int] = {}
    for look in looks:
        if look.place in wanted:
            before = former.get(look.place, 0)
            if look.answers is False:
                found[look.place] = before + 1
            elif look.answers is None and before:
                found[look.place] = before
    return found


class _Asked:
    """Who may come to ask for what, of one sight."""

    def __init__(self, sight: ProxySight) -> None:
        directory = sight.directory
        self.entries = {one.name: one for one in directory.services}
        self._members = sight.members
        self._published: dict[ServiceName, set[int]] = defaultdict(set)
        for one in directory.published:
            self._published[one.name].add(one.target)
        self._scopes: dict[ServiceName, set[str]] = defaultdict(set)
        for admission in directory.admissions:
            self._scopes[admission.name].update(admission.scopes)

    def ports(self, entry: ServiceEntry, member: Member, exposed: Collection[int]) -> set[int]:
        bound = {one.target for one in member.bound if one.protocol == "tcp"}
        found = self._published[entry.name] | bound
        scopes = self._scopes[entry.name]
        if PUBLISHED in scopes:
            # Other hosts publish it: none of its ports is only its image's.
            found.update(entry.ports)
        elif scopes or entry.users or self._has_neighbours(entry, member):
            found.update(exposed)
        return found.intersection({*entry.ports, *self._published[entry.name]})

    def _has_neighbours(self, entry: ServiceEntry, member: Member) -> bool:
        """Whether another container here is on a network of the service's."""
        return any(
            one.instance.app == entry.name.app
            and one.container_id != member.container_id
            and not entry.networks.keys().isdisjoint(one.addresses)
            for one in self._members
        )
