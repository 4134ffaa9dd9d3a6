"""Moves: an operator's word that slots are to go to another host, whatever becomes of their data.

Only the word is noted here, in the slots' homes; the schedule carries it out, once there is a host that fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import absence
from hullmark.core.homes import NO_HOMES, keeps_home, key_of, volumes_of
from hullmark.errors import Conflict, NotFound
from hullmark.model.app import DeployMode, MountKind, Service
from hullmark.model.change import Change
from hullmark.model.host import Availability, HostRecord
from hullmark.model.move import MovedSlot, MoveRequest
from hullmark.model.observed import NO_STATE, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.records import AppRecord, Home, HomesRecord
from hullmark.model.snapshot import Snapshot

LOSSES_TOLD = 5
NAMED = 5
"""Slots that one message names."""


@dataclass(frozen=True)
class Move:
    """`homes` is the app's record as it should be then."""

    slots: tuple[MovedSlot, ...]
    homes: HomesRecord


def move(snapshot: Snapshot, record: AppRecord, request: MoveRequest, change: Change) -> Move:
    """Raises NotFound for what there isn't, Conflict for what can't be moved so, where no other host is enrolled, and
    where data would be left behind that the request doesn't give up."""
    service = _service(record, request)
    target = _target(snapshot, request.to) if request.to else None
    known = snapshot.homes.get(record.app.name)
    homes = dict(NO_HOMES if known is None else known.slots)
    posts = _posts(snapshot, record.app.name, request.service)
    found: list[MovedSlot] = []
    over: list[str] = []
    for slot in _slots(record, service, request):
        key = key_of(request.service, slot)
        host_id = _where(snapshot, homes.get(key), posts.get(slot, ()))
        if host_id is None:
            continue
        name = f"{record.app.name}/{key}"
        if _has_completed(snapshot, record, request.service, slot, host_id):
            over.append(name)
            continue
        moved = _moved(snapshot, name, service, homes.get(key), host_id, target)
        if moved is None:
            continue
        found.append(moved)
        home = _noted(
            service, homes.pop(key, None), host_id, target, change, request.accept_data_loss
        )
        if home is not None:
            homes[key] = home
    if not found and over:
        raise Conflict(
            f"{', '.join(over[:NAMED])} has completed: a one-shot does not run again for a move",
            remedy="nothing has to be done; it runs again when its app changes",
        )
    if not found:
        raise _nothing_to_move(record, request, posts)
    _find_another(snapshot, found)
    if not request.accept_data_loss:
        _keep_data(request, found)
    return Move(tuple(found), HomesRecord(homes))


def _service(record: AppRecord, request: MoveRequest) -> Service:
    app, name = record.app.name, request.service
    service = record.app.services.get(name)
    if service is None:
        raise NotFound(
            f"app {app} has no service {name[:80]}",
            remedy=f"it has {', '.join(sorted(record.app.services))}",
        )
    if service.deploy.mode is DeployMode.GLOBAL:
        raise Conflict(
            f"{app}/{name} runs on every host that fits (mode: global), so there is no other",
            remedy="leave hosts out with deploy.placement.constraints, or drain one: hullmark host drain HOST",
        )
    return service


def _slots(record: AppRecord, service: Service, request: MoveRequest) -> range:
    replicas = service.deploy.replicas
    if not 0 <= request.slot <= replicas:
        raise NotFound(
            f"{record.app.name}/{request.service} has no slot {request.slot}",
            remedy=f"its slots are 1 to {replicas}: hullmark ps {record.app.name}",
        )
    return range(request.slot, request.slot + 1) if request.slot else range(1, replicas + 1)


def _target(snapshot: Snapshot, name: str) -> HostRecord:
    """The host to go to, which has to be able to take something now."""
    host = next((host for host in snapshot.hosts.values() if host.name == name), None)
    if host is None:
        raise NotFound(f"host {name[:80]} is not enrolled", remedy="hullmark hosts lists them")
    if host.availability is not Availability.ACTIVE:
        raise Conflict(
            f"host {name} is {host.availability.value}: it takes nothing new",
            remedy=f"hullmark host uncordon {name}, or another host",
        )
    if absence.in_maintenance(snapshot, host.host_id):
        raise Conflict(
            f"host {name} is in maintenance: it takes nothing new",
            remedy=f"hullmark maintenance end {name}, or another host",
        )
    if not absence.is_ready(snapshot, host.host_id):
        raise Conflict(f"host {name} is not heard", remedy="hullmark hosts; or another host")
    return host


def _posts(snapshot: Snapshot, app: str, service: str) -> Mapping[int, list[str]]:
    """The hosts that each slot is assigned to."""
    found: dict[int, list[str]] = {}
    for host_id, orders in sorted(snapshot.assignments.items()):
        for item in orders.assignments:
            if (item.instance.app, item.instance.service) == (app, service):
                found.setdefault(item.instance.slot, []).append(host_id)
    return found


def _where(snapshot: Snapshot, home: Optional[Home], posts: Sequence[str]) -> Optional[str]:
    """The host that the slot is to leave: where it stands already that it leaves, else its data's, else the one
    that is heard. None: it is nowhere and has left nothing anywhere."""
    there = sorted(posts, key=lambda host_id: not absence.is_ready(snapshot, host_id))
    if home is not None:
        at = home.leave or home.host_id
        if at in there or not there:
            return at
    return there[0] if there else None


def _has_completed(
    snapshot: Snapshot, record: AppRecord, name: str, slot: int, host_id: str
) -> bool:
    instance = InstanceId(record.app.name, name, slot, record.generations[name])
    status = snapshot.observed.get(host_id, NO_STATE).instances.get(instance.container_name)
    one_shot = record.app.services[name].container.one_shot
    return one_shot and status is not None and status.phase is Phase.COMPLETED


def _moved(
    snapshot: Snapshot,
    name: str,
    service: Service,
    home: Optional[Home],
    host_id: str,
    target: Optional[HostRecord],
) -> Optional[MovedSlot]:
    """None: it is where it should go."""
    host = snapshot.hosts.get(host_id)
    here = host_id if host is None else host.name
    if target is None or target.host_id != host_id:
        to = "" if target is None else target.name
        return MovedSlot(name, here, to, tuple(_data(service, home)))
    pending = home is not None and home.leave == host_id
    return MovedSlot(name, here, here, withdrawn=True) if pending else None


def _noted(
    service: Service,
    home: Optional[Home],
    host_id: str,
    target: Optional[HostRecord],
    change: Change,
    accepts_loss: bool,
) -> Optional[Home]:
    """The slot's home with the word in it; None: it has none, as before the word that is taken back."""
    volumes = () if home is None else home.volumes
    if target is not None and target.host_id == host_id:
        return Home(host_id, volumes, "", change) if keeps_home(service) else None
    to = "" if target is None else target.host_id
    return Home(to, volumes, host_id, change, accepts_loss)


def _data(service: Service, home: Optional[Home]) -> Iterator[str]:
    """What the slot has on its host, in words."""
    kept = () if home is None else home.volumes
    for volume in sorted({*kept, *volumes_of(service)}):
        yield f"volume {volume}"
    for mount in service.container.mounts:
        if mount.kind is MountKind.BIND:
            yield mount.source


def _nothing_to_move(
    record: AppRecord, request: MoveRequest, posts: Mapping[int, list[str]]
) -> Conflict:
    what = f"{record.app.name}/{request.service}" + (f".{request.slot}" if request.slot else "")
    if request.to and posts:
        return Conflict(f"{what} is on host {request.to} already", remedy="nothing has to be done")
    return Conflict(
        f"{what} is placed nowhere, and has no data anywhere",
        remedy=f"hullmark explain {record.app.name}/{request.service} says what it lacks",
    )


def _find_another(snapshot: Snapshot, slots: Sequence[MovedSlot]) -> None:
    """One that is full or silent now may take them later; where none is enrolled, the word would only keep the app degraded."""
    for moved in slots:
        if not (moved.withdrawn or absence.has_others(snapshot, moved.leaves)):
            raise Conflict(
                f"{moved.name} can't leave host {moved.leaves}: there is no other host",
                remedy="add one first: hullmark invite HOST",
            )


def _keep_data(request: MoveRequest, slots: list[MovedSlot]) -> None:
    losing = [moved for moved in slots if moved.data]
    if not losing:
        return
    told = [f"{moved.name} on {moved.leaves}: {', '.join(moved.data)}" for moved in losing]
    if len(told) > LOSSES_TOLD:
        told[LOSSES_TOLD:] = [f"and {len(told) - LOSSES_TOLD} more"]
    raise Conflict(
        "nothing is copied, so this would be left behind:\n" + "\n".join(told),
        remedy="save it, then say --accept-data-loss; what is left stays on its host",
    )
