"""Orphans: containers of ours that no order names, each with what a person may type to take it in, or to be rid of it."""

from __future__ import annotations

from collections.abc import Iterator

from hullmark.core.draft import slot_of
from hullmark.model.api import OrphanView
from hullmark.model.observed import InstanceStatus
from hullmark.model.orders import InstanceId
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot


def orphan_views(snapshot: Snapshot) -> tuple[OrphanView, ...]:
    found = []
    for host_id, state in snapshot.observed.items():
        name = snapshot.host_name(host_id)
        engine = "podman" if state.facts.engine.lower().startswith("podman") else "docker"
        for container, status in state.orphans.items():
            take_in, why = _way_in(snapshot, name, status)
            remove = f"{engine} rm -f {container}"
            found.append(OrphanView(name, container, status, why, take_in, remove))
    return tuple(sorted(found, key=lambda view: (view.host, view.name)))


def _way_in(snapshot: Snapshot, host: str, status: InstanceStatus) -> tuple[str, str]:
    """(command, why it is an orphan). No command: there is no way in."""
    instance = status.instance
    record = snapshot.apps.get(instance.app)
    service = None if record is None else record.app.services.get(instance.service)
    if record is None or record.removing:
        return "hullmark apply FILE", f"there is no app {instance.app}; FILE: its Compose file"
    if service is None:
        return (
            "hullmark apply FILE",
            f"app {instance.app} has no such service; FILE: one that has it",
        )
    current = record.generations[instance.service]
    if instance.generation > current:
        return (
            "hullmark apply FILE",
            f"newer than generation {current} of {instance.app}/{instance.service}; FILE: the one that made it",
        )
    if instance.generation < current or record.spec_hashes[instance.service] != status.spec_hash:
        return "", f"older than generation {current} of {instance.app}/{instance.service}"
    if instance.slot > service.deploy.replicas:
        name = f"{instance.app}/{instance.service}"
        return f"hullmark scale {name}={instance.slot}", f"{name} has {service.deploy.replicas}"
    return _moved_in(snapshot, record, host, instance)


def _moved_in(
    snapshot: Snapshot, record: AppRecord, host: str, instance: InstanceId
) -> tuple[str, str]:
    """Of an instance that is wanted just so: its slot may have another, or nothing yet."""
    posts = sorted(_posts(snapshot, instance))
    if not posts:
        return "", "it does not fit this host, by the constraints or ports of its service"
    elsewhere = snapshot.host_name(posts[0][1])
    if any(has_container for has_container, _ in posts):
        return "", f"its slot has another on {snapshot.host_name(posts[-1][1])}"
    return f"hullmark move {instance} --to {host}", f"its slot is assigned to {elsewhere}"


def _posts(snapshot: Snapshot, instance: InstanceId) -> Iterator[tuple[bool, str]]:
    """(whether there is a container, host id) of each assignment of the slot."""
    for host_id, orders in snapshot.assignments.items():
        state = snapshot.observed.get(host_id)
        for item in orders.assignments:
            if slot_of(item.instance) == slot_of(instance):
                status = (
                    None if state is None else state.instances.get(item.instance.container_name)
                )
                yield status is not None and bool(status.container_id), host_id
