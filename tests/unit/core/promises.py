"""The scheduler's promises, each written anew from what is said of it, so that none shares a mistake with it.

A promise is called with a plan's snapshot, the plan, and the snapshot once it is carried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Optional

from hullmark.core import constraints
from hullmark.core.schedule import Plan, plan
from hullmark.model.app import DeployMode, HostLoss, MountKind, Service, UpdateOrder
from hullmark.model.host import Availability
from hullmark.model.observed import Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import NO_ASSIGNMENTS, Home, RolloutState
from hullmark.model.snapshot import Snapshot

Slot = tuple[str, str, int]
ANYWHERE = ("", "0.0.0.0", "::")


def slot_of(instance: InstanceId) -> Slot:
    return instance.app, instance.service, instance.slot


def assigned(state: Snapshot) -> dict[tuple[str, InstanceId], Assignment]:
    return {
        (host_id, item.instance): item
        for host_id, orders in state.assignments.items()
        for item in orders.assignments
    }


def service_of(state: Snapshot, instance: InstanceId) -> Optional[Service]:
    record = state.apps.get(instance.app)
    if record is None or record.removing:
        return None
    return record.app.services.get(instance.service)


def new(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, InstanceId, Service]]:
    known = assigned(before)
    for host_id, instance in assigned(after):
        service = service_of(after, instance)
        if (host_id, instance) not in known and service is not None:
            yield host_id, instance, service


def silence_s(state: Snapshot, host_id: str) -> float:
    return state.heard_s.get(host_id, state.waited_s)


def works_on(state: Snapshot, host_id: str) -> bool:
    work = state.hosts[host_id].maintenance
    return work is not None and state.now < work.until


def braked(state: Snapshot) -> bool:
    counted = [host_id for host_id in state.hosts if not works_on(state, host_id)]
    silent = [host_id for host_id in counted if silence_s(state, host_id) > state.quiet_after_s]
    return len(silent) > max(1, len(counted) / 3)


def has_data(service: Service) -> bool:
    kinds = [(mount.kind, mount.source) for mount in service.container.mounts]
    return any(
        kind is MountKind.BIND or (kind is MountKind.VOLUME and source) for kind, source in kinds
    )


def on_loss(service: Service) -> HostLoss:
    said = service.deploy.on_host_lost
    return said or (HostLoss.KEEP if has_data(service) else HostLoss.REPLACE)


def home(state: Snapshot, instance: InstanceId) -> Optional[Home]:
    record = state.homes.get(instance.app)
    return None if record is None else record.slots.get(f"{instance.service}.{instance.slot}")


def clash(one: PublishedPort, other: PublishedPort) -> bool:
    if one.published == 0 or one.published != other.published or one.protocol != other.protocol:
        return False
    same = one.host_ip == other.host_ip
    return same or one.host_ip in ANYWHERE or other.host_ip in ANYWHERE


def capacity(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """No new instance on a host that has too little left for it."""
    for host_id, _, service in new(before, after):
        reserved = service.deploy.reservations
        facts = after.observed[host_id].facts if host_id in after.observed else None
        if facts is None:
            continue  # what was there is made again before its host was heard
        there = [
            found.deploy.reservations
            for item in after.assignments[host_id].assignments
            for found in [service_of(after, item.instance)]
            if found is not None
        ]
        if reserved.cpus:
            assert sum(item.cpus for item in there) <= facts.cpus + 1e-6
        if reserved.memory_bytes:
            assert sum(item.memory_bytes for item in there) <= facts.memory_bytes


def ports(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """No new instance on a port that another has, that one still has to let go, or that a process listens on."""
    fresh = {(host_id, instance) for host_id, instance, _ in new(before, after)}
    for host_id, instance in fresh:
        orders = after.assignments[host_id]
        mine = assigned(after)[host_id, instance].ports
        for item in orders.assignments:
            if item.instance != instance:
                assert not any(clash(a, b) for a in mine for b in item.ports), (instance, item)
        for grave in orders.tombstones:
            if slot_of(grave.instance) != slot_of(instance):
                assert not any(clash(a, b) for a in mine for b in grave.ports), (instance, grave)
        state = after.observed.get(host_id)
        # What one of ours publishes is ours.
        known = before.assignments.get(host_id, NO_ASSIGNMENTS)
        ours = [item.ports for item in known.assignments]
        ours += [item.ports for item in known.tombstones]
        held = {(port.published, port.protocol) for found in ours for port in found}
        for listener in state.facts.listeners if state is not None else ():
            other = PublishedPort(0, listener.port, listener.protocol, listener.address)
            if (listener.port, listener.protocol) not in held:
                assert not any(clash(port, other) for port in mine), (instance, listener)


def placement(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """Constraints and the most on one host hold for what is placed; only hosts that may get something new do,
    save for what is made again where it was."""
    for host_id, instance, service in new(before, after):
        host, state = after.hosts[host_id], after.observed.get(host_id)
        facts = None if state is None else state.facts
        wanted = service.deploy.placement
        assert constraints.failing(wanted.constraints, host, facts) is None
        if wanted.max_replicas_per_node and service.deploy.mode is DeployMode.REPLICATED:
            there = [
                item
                for item in after.assignments[host_id].assignments
                if slot_of(item.instance)[:2] == slot_of(instance)[:2]
            ]
            assert len(there) <= wanted.max_replicas_per_node
        orders = before.assignments.get(host_id, NO_ASSIGNMENTS)
        former = [item.instance for item in orders.assignments]
        former += [item.instance for item in orders.tombstones]
        if slot_of(instance) not in [slot_of(item) for item in former]:
            assert silence_s(after, host_id) <= after.lost_after_s
            assert host.availability is Availability.ACTIVE
            assert not works_on(after, host_id)


def brake(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """While too many are silent nothing goes off any host, save what nobody wants any more."""
    if not braked(before):
        return
    for (host_id, instance), item in assigned(before).items():
        service = service_of(before, instance)
        if service is None or host_id not in before.hosts:
            continue
        current = before.apps[instance.app].generations[instance.service]
        too_many = (
            service.deploy.mode is DeployMode.REPLICATED and instance.slot > service.deploy.replicas
        )
        if instance.generation == current and not too_many:
            others = [key for key in assigned(before) if slot_of(key[1]) == slot_of(instance)]
            if len(others) == 1:
                assert (host_id, instance) in assigned(after), item


def no_needless_move(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """An instance that is wanted as it is goes off its host for one of the reasons that are known, and off a lost one
    only once there is another."""
    kept = assigned(after)
    for host_id, instance in assigned(before):
        service = service_of(before, instance)
        if (host_id, instance) in kept or service is None or host_id not in before.hosts:
            continue
        record = before.apps[instance.app]
        if instance.generation != record.generations[instance.service]:
            continue
        if service.deploy.mode is DeployMode.REPLICATED:
            if instance.slot > service.deploy.replicas:
                continue
            others = [key for key in kept if slot_of(key[1]) == slot_of(instance)]
            if others:
                assert _may_leave(before, host_id, instance, service) or _was_double(
                    before, instance
                )
                continue
        assert _must_leave(before, host_id, instance, service), (host_id, instance)


def _was_double(state: Snapshot, instance: InstanceId) -> bool:
    return sum(slot_of(found) == slot_of(instance) for _, found in assigned(state)) > 1


def _may_leave(state: Snapshot, host_id: str, instance: InstanceId, service: Service) -> bool:
    """There is another: the host is lost, and the service may run twice or was stopped by its agent."""
    lost_s = silence_s(state, host_id) - state.lost_after_s
    if on_loss(service) is HostLoss.STOP:
        lost_s -= service.container.stop_grace_s + 5.0
    told = home(state, instance)
    leaves = told is not None and told.leave == host_id
    free = not braked(state) and not works_on(state, host_id)
    if leaves:
        return free and silence_s(state, host_id) > state.lost_after_s
    return free and lost_s > 0 and on_loss(service) is not HostLoss.KEEP


def _must_leave(state: Snapshot, host_id: str, instance: InstanceId, service: Service) -> bool:
    """There is no other yet: its host no longer fits, or an operator said so."""
    host, seen = state.hosts[host_id], state.observed.get(host_id)
    wanted = service.deploy.placement
    told = home(state, instance)
    if told is not None and told.leave == host_id:
        return True
    facts = None if seen is None else seen.facts
    if constraints.failing(wanted.constraints, host, facts) is not None:
        return silence_s(state, host_id) <= state.lost_after_s
    there = Counter(slot_of(found)[:2] for at, found in assigned(state) if at == host_id)
    most = wanted.max_replicas_per_node
    if most and there[slot_of(instance)[:2]] > most:
        return True
    drains = host.availability is Availability.DRAINING
    stop_first = service.deploy.update.order is UpdateOrder.STOP_FIRST
    if drains and stop_first and on_loss(service) is HostLoss.STOP:
        return True  # it must not run twice, not even for a moment
    if service.deploy.mode is DeployMode.GLOBAL:
        return there[slot_of(instance)[:2]] > 1 or drains
    return False


def all_explained(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """Every slot has an instance or a reason, and nobody is told of a slot that is not wanted."""
    told = {(item.app, item.service, item.slot) for item in made.unplaced}
    assert all(item.reasons and all(item.reasons) for item in made.unplaced)
    placed = {slot_of(instance) for _, instance in assigned(after)}
    for app, record in after.apps.items():
        for name, service in record.app.services.items() if not record.removing else ():
            if service.deploy.mode is DeployMode.REPLICATED:
                slots = {(app, name, slot) for slot in range(1, service.deploy.replicas + 1)}
                assert slots <= placed | told, slots - placed - told
    for item in made.unplaced:
        slot = item.app, item.service, item.slot
        assert slot not in placed or item.kept_on, item


def unseen_are_explained(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """An instance on a lost host either has a reason for staying there or is about to be seen elsewhere."""
    if made.hosts:
        return  # the next plan tells
    told = {(item.app, item.service, item.slot) for item in made.unplaced}
    hosts: dict[Slot, set[str]] = {}
    for host_id, instance in assigned(after):
        hosts.setdefault(slot_of(instance), set()).add(host_id)
    for slot, where in hosts.items():
        record = after.apps.get(slot[0])
        service = None if record is None else record.app.services.get(slot[1])
        if record is None or record.removing or service is None:
            continue
        lost = [
            host_id
            for host_id in where
            if host_id not in after.hosts or silence_s(after, host_id) > after.lost_after_s
        ]
        replicated = service.deploy.mode is DeployMode.REPLICATED
        if replicated and len(lost) == len(where) and not service.container.one_shot:
            assert slot in told, slot


def at_rest(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """What was planned once and nobody has acted on yet is not planned anew. A change that rolls may see only a plan
    later that it can go on: `World.lead` says how often."""
    if made.finished:
        return  # with the record of an app go orders that are done
    again = plan(after)
    assert again.homes == {}
    if all(rollout.state is RolloutState.DONE for rollout in after.rollouts.values()):
        assert again.hosts == {}


def jobs_run_once(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """A one-shot that completed is not placed again for the same generation."""
    known = assigned(before)
    for host_id, instance, service in new(before, after):
        if not service.container.one_shot:
            continue
        for (other, found), _ in known.items():
            if found == instance and other != host_id and other in before.observed:
                status = before.observed[other].instances.get(found.container_name)
                assert status is None or status.phase is not Phase.COMPLETED, instance


class DataStays:
    """An instance with local data comes up where that slot's data is, unless an operator or its service said otherwise.
    The whereabouts are remembered here, not read from the plan's own notes."""

    def __init__(self) -> None:
        self._at: dict[Slot, str] = {}

    def __call__(self, before: Snapshot, made: Plan, after: Snapshot) -> None:
        for host_id, instance, service in new(before, after):
            if not stateful(service):
                continue
            known = self._at.get(slot_of(instance), host_id)
            told = home(before, instance)
            assert host_id == known or (told is not None and told.leave), (instance, known, host_id)
        posts: dict[Slot, list[str]] = {}
        for host_id, instance in assigned(after):
            found = service_of(after, instance)
            if found is not None and found.deploy.mode is DeployMode.REPLICATED and has_data(found):
                posts.setdefault(slot_of(instance), []).append(host_id)
        self._at.update({slot: where[0] for slot, where in posts.items() if len(where) == 1})


def stateful(service: Service) -> bool:
    entrusted = service.deploy.on_host_lost in (HostLoss.REPLACE, HostLoss.STOP)
    return has_data(service) and not entrusted and service.deploy.mode is DeployMode.REPLICATED


ALL = (
    capacity,
    ports,
    placement,
    brake,
    no_needless_move,
    all_explained,
    unseen_are_explained,
    at_rest,
    jobs_run_once,
)
