"""How far a host has come that is being drained: what still has to go, and what stays because nobody but a person
can let it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.berths import Filter
from hullmark.core.draft import Unplaced
from hullmark.core.homes import NO_HOMES, has_local_data, key_of, loss_policy
from hullmark.model.app import DeployMode, HostLoss, Service
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import LOCAL_DATA, RUNS_ON_EACH
from hullmark.model.observed import NO_STATE, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot


@dataclass(frozen=True)
class Drain:
    """`left`: instances that go by themselves. `stays`: why by instance, such as `local data`. Jobs that are over are
    in neither: nothing of them runs, and that they have run is remembered with them."""

    left: tuple[InstanceId, ...] = ()
    stays: Mapping[InstanceId, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """`2 left, 1 stays: local data`; what is done reads `nothing left`."""
        words = [f"{len(self.left)} left" if self.left else "nothing left"]
        if self.stays:
            verb = "stays" if len(self.stays) == 1 else "stay"
            words.append(f"{len(self.stays)} {verb}: {', '.join(sorted(set(self.stays.values())))}")
        return ", ".join(words)


def drain(snapshot: Snapshot, host_id: str) -> Drain:
    """Of a host's instances, as if it were being drained."""
    orders = snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
    state = snapshot.observed.get(host_id, NO_STATE)
    left = [item.instance for item in orders.tombstones]
    stays: dict[InstanceId, str] = {}
    on_each: list[InstanceId] = []
    for item in orders.assignments:
        instance = item.instance
        status = state.instances.get(instance.container_name)
        service = _service(snapshot, instance)
        if service is None or _leaves(snapshot, instance, host_id):
            left.append(instance)
        elif service.deploy.mode is DeployMode.GLOBAL:
            on_each.append(instance)
        elif (
            service.container.one_shot
            and status is not None
            and status.phase in (Phase.COMPLETED, Phase.FAILED)
        ):
            continue
        elif loss_policy(service) is HostLoss.KEEP:
            stays[instance] = LOCAL_DATA if has_local_data(service) else "on_host_lost: keep"
        else:
            left.append(instance)
    # What runs on every host goes last, once nothing stays.
    if stays:
        stays.update(dict.fromkeys(on_each, RUNS_ON_EACH))
    else:
        left += on_each
    return Drain(tuple(sorted(left)), stays)


def stuck(
    snapshot: Snapshot, host: HostRecord, unplaced: Sequence[Unplaced]
) -> Mapping[InstanceId, str]:
    """Of what is left on a host: what stays for now, and why, because no other host fits it, and what waits for
    that. `unplaced` is of the newest plan."""
    orders = snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS)
    going = {item.instance for item in orders.tombstones}
    held = {
        (item.app, item.service, item.slot): "; ".join(item.reasons)
        for item in unplaced
        if item.kept_on == host.name and not _passes(item)
    }
    found: dict[InstanceId, str] = {}
    on_each: list[InstanceId] = []
    for instance in (item.instance for item in orders.assignments if item.instance not in going):
        service = _service(snapshot, instance)
        key = instance.app, instance.service, instance.slot
        if service is not None and service.deploy.mode is DeployMode.GLOBAL:
            on_each.append(instance)
        elif key in held:
            found[instance] = held[key]
    return {**found, **dict.fromkeys(on_each, RUNS_ON_EACH)} if found else {}


def _passes(item: Unplaced) -> bool:
    """A host fits as soon as the former instance there has ended."""
    return any(refusal.filter == Filter.FORMER.value for refusal in item.refusals)


def _service(snapshot: Snapshot, instance: InstanceId) -> Optional[Service]:
    record = snapshot.apps.get(instance.app)
    if record is None or record.removing:
        return None
    return record.app.services.get(instance.service)


def _leaves(snapshot: Snapshot, instance: InstanceId, host_id: str) -> bool:
    """Whether an operator moves it."""
    record = snapshot.homes.get(instance.app)
    slots = NO_HOMES if record is None else record.slots
    home = slots.get(key_of(instance.service, instance.slot))
    return home is not None and home.leave == host_id
