"""What the mark promises, written anew from what is said of it, and postures to try it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.core import constraints
from hullmark.core.schedule import Plan
from hullmark.model.app import DeployMode, Service, UpdateOrder
from hullmark.model.control import ControlState, Mode, Posture, Status
from hullmark.model.host import Availability
from hullmark.model.orders import InstanceId
from hullmark.model.snapshot import Snapshot
from tests.unit.core import promises
from tests.unit.core.promises import assigned, new, silence_s, slot_of, works_on


def control(
    name: str, status: Status, level: int = 2, since: float = 1.0, outage: str = ""
) -> ControlState:
    """`audit-trail-auditd` is of the function `audit-trail`, and likewise."""
    level = level if status is Status.PASS else -1
    reason = "" if status is Status.PASS else f"{name} is broken"
    function = name.rpartition("-")[0] or name
    return ControlState(name, function, name, status, level, reason, since=since, outage=outage)


def posture(*controls: ControlState) -> Posture:
    return Posture("h", Mode.RUN, {each.control_id: each for each in controls}, 0.0)


def required(state: Snapshot, app: str, service: Service) -> Mapping[str, int]:
    levels: dict[str, int] = {}
    for each in (*state.loadline.line.require, *service.deploy.placement.require):
        levels[each.control] = max(each.level, levels.get(each.control, 0))
    if service.container.scope == "cde":
        levels["container-routing"] = max(2, levels.get("container-routing", 0))
    for word in state.loadline.overrides:
        if state.now < word.until and word.app in ("", app):
            for name in [name for name in levels if word.control in ("*", name)]:
                del levels[name]
    return levels


def proves(state: Snapshot, host_id: str, name: str, level: int) -> bool:
    seen = state.observed.get(host_id)
    if seen is None or seen.posture is None or silence_s(state, host_id) > state.quiet_after_s:
        return False
    return any(
        each.status is Status.PASS and each.level >= level
        for each in seen.posture.controls.values()
        if name in (each.control_id, each.function)
    )


def lacks(state: Snapshot, host_id: str, app: str, service: Service) -> list[str]:
    wanted = required(state, app, service).items()
    return [name for name, level in wanted if not proves(state, host_id, name, level)]


def eligible(state: Snapshot, service: Service) -> Iterator[str]:
    for host_id, host in state.hosts.items():
        seen = state.observed.get(host_id)
        heard = seen is not None and silence_s(state, host_id) <= state.quiet_after_s
        if not heard or host.availability is not Availability.ACTIVE or works_on(state, host_id):
            continue
        wanted = service.deploy.placement.constraints
        if constraints.failing(wanted, host, seen.facts if seen else None) is None:
            yield host_id


def braked(state: Snapshot, app: str, service: Service) -> bool:
    hosts = list(eligible(state, service))
    asked = (*state.loadline.line.require, *service.deploy.placement.require)
    for name, level in required(state, app, service).items():
        if name not in {each.control for each in asked}:
            continue  # a scope's own needs are no brake's
        failing = sum(not proves(state, host_id, name, level) for host_id in hosts)
        if failing > max(1, state.loadline.line.brake * len(hosts)):
            return True
    return False


def in_its_place(state: Snapshot, host_id: str, instance: InstanceId, service: Service) -> bool:
    """Whether the instance is no new work there, whatever the host proves."""
    slot = slot_of(instance)
    orders = state.assignments.get(host_id)
    if orders is None:
        return False
    stays = any(slot_of(item.instance) == slot for item in orders.assignments)
    goes = any(slot_of(item.instance) == slot for item in orders.tombstones)
    told = promises.home(state, instance)
    at_home = told is not None and told.host_id == host_id and not told.leave
    gets_data = told is None and stays  # its home is where it is by then
    if (promises.stateful(service) and (at_home or gets_data)) or _each_with_data(service):
        return at_home or stays or goes
    if state.apps[instance.app].rolled_back_to:
        return stays or goes
    return goes and not service.container.one_shot


def _each_with_data(service: Service) -> bool:
    return service.deploy.mode is DeployMode.GLOBAL and promises.has_data(service)


def only_new_work(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """No new instance on a host that lacks a required control, nor anywhere while too many lack it."""
    for host_id, instance, service in new(before, after):
        if in_its_place(before, host_id, instance, service):
            continue
        assert not lacks(before, host_id, instance.app, service), (host_id, instance)
        assert not braked(before, instance.app, service), (host_id, instance)


def nothing_stops(before: Snapshot, made: Plan, after: Snapshot) -> None:
    """What runs on a host that lacks something is not stopped for a newer generation that could not come there."""
    kept = assigned(after)
    for host_id, instance in assigned(before):
        service = promises.service_of(after, instance)
        if (host_id, instance) in kept or service is None or host_id not in before.hosts:
            continue
        if before.loadline.line.drain or service.container.one_shot:
            continue
        record = after.apps[instance.app]
        if service.deploy.mode is DeployMode.REPLICATED and instance.slot > service.deploy.replicas:
            continue
        if instance.generation == record.generations[instance.service] or record.rolled_back_to:
            continue
        if service.deploy.update.order is UpdateOrder.START_FIRST or not lacks(
            before, host_id, instance.app, service
        ):
            continue
        slot = slot_of(instance)
        others = [at for at, item in kept if slot_of(item) == slot and at != host_id]
        each = (
            service.deploy.mode is DeployMode.GLOBAL
        )  # of which a host has one, whatever it had before
        stays = each and any(at == host_id and slot_of(item)[:2] == slot[:2] for at, item in kept)
        host, seen = before.hosts[host_id], before.observed.get(host_id)
        wanted = service.deploy.placement.constraints
        misfit = constraints.failing(wanted, host, None if seen is None else seen.facts) or (
            seen is not None and (service.container.scope == "cde") != (seen.facts.scope == "cde")
        )
        has_data = promises.stateful(service) or _each_with_data(service)
        drains = host.availability is Availability.DRAINING
        lost = silence_s(before, host_id) > before.lost_after_s
        assert others or stays or misfit or has_data or drains or lost, (host_id, instance)


ALL = (only_new_work, nothing_stops)
