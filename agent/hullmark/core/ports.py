"""The ledger of host ports, from all that is known of the hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hullmark.core.berths import Hold
from hullmark.model.app import EVERY_ADDRESS
from hullmark.model.host import HostRecord
from hullmark.model.observed import NO_STATE, HostState
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.ports import Holder, PortView
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot


def ledger(snapshot: Snapshot, host: str = "") -> tuple[PortView, ...]:
    """Every port that is held, of one host or of all, in order. A port that the engine chose shows once its host
    has told it."""
    found = {
        view
        for record in snapshot.hosts.values()
        if host in ("", record.name)
        for view in _of_host(snapshot, record)
    }
    return tuple(sorted(found, key=_place))


def _place(view: PortView) -> tuple[object, ...]:
    return view.host, view.port, view.protocol, view.address, view.kind.value, view.holder


def _of_host(snapshot: Snapshot, host: HostRecord) -> Iterator[PortView]:
    state = snapshot.observed.get(host.host_id, NO_STATE)
    orders = snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS)

    def views(
        kind: Holder, holder: str, instance: InstanceId, ordered: Iterable[PublishedPort] = ()
    ) -> Iterator[PortView]:
        name = instance.container_name
        status = state.instances.get(name) or state.orphans.get(name)
        for port in (*ordered, *(() if status is None else status.ports)):
            if port.published:
                yield _view(host, kind, holder, port)

    for assignment in orders.assignments:
        instance = assignment.instance
        yield from views(Holder.INSTANCE, str(instance), instance, assignment.ports)
    for tombstone in orders.tombstones:
        instance = tombstone.instance
        yield from views(Holder.REMOVING, str(instance), instance, tombstone.ports)
    for name, orphan in state.orphans.items():
        yield from views(Holder.ORPHAN, name, orphan.instance)
    published = _published(state)
    for listener in state.facts.listeners:
        port = PublishedPort(0, listener.port, listener.protocol, listener.address)
        if any(Hold(other, None, "").clashes(port) for other in published):
            continue  # whoever listens, it is for that container
        address = _address(listener.address)
        process = listener.process
        yield PortView(
            host.name, listener.port, listener.protocol, address, Holder.PROCESS, process
        )


def _published(state: HostState) -> set[PublishedPort]:
    """What containers of ours really have, as their engine says."""
    statuses = (*state.instances.values(), *state.orphans.values())
    return {port for status in statuses for port in status.ports}


def _view(host: HostRecord, kind: Holder, holder: str, port: PublishedPort) -> PortView:
    address = _address(port.host_ip)
    return PortView(host.name, port.published, port.protocol, address, kind, holder, port.target)


def _address(text: str) -> str:
    return "" if text in EVERY_ADDRESS else text
