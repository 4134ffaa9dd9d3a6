"""What has to hold before a drill, and what is checked after it: judged from what the master says of hosts and instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hullmark.cli.words import age, count
from hullmark.model.api import AppSummary, ClusterStatus, HostView, InstanceView
from hullmark.model.drill import DEGRADED, FAILED, PASSED, DrillCheck

NAMED = 5
"""Of hosts or containers, in one line."""


@dataclass(frozen=True)
class Picture:
    """The cluster at one moment."""

    status: ClusterStatus
    hosts: tuple[HostView, ...]
    instances: tuple[InstanceView, ...]
    apps: tuple[AppSummary, ...]


def obstacles(picture: Picture) -> list[str]:
    """Why there can't be a drill now; empty: there can."""
    status = picture.status
    condition = status.store_condition
    if status.read_only or not status.known or not status.master:
        return ["no master takes changes now: see hullmark status"]
    if condition is None or not condition.members:
        kind = status.store if condition is None else condition.kind
        return [f"with the store {kind} there is one master, and nobody who could follow it"]
    found = []
    if not any(view.is_ready(status.master) for view in status.masters):
        found.append("no standby is ready to follow: see hullmark status")
    silent = [member.name for member in condition.members if not member.answers]
    if silent or not condition.quorum:
        found.append(f"the store is not whole: silent {_names(silent) or 'members'}")
    away = [host.name for host in picture.hosts if host.state != "ready" and not host.maintenance]
    if away:
        found.append(f"hosts are not heard: {_names(away)}")
    moving = [app.name for app in picture.apps if app.state in ("changing", "removing")]
    if moving:
        found.append(f"apps are changing, so that their containers change too: {_names(moving)}")
    return found


def remedy(picture: Picture) -> str:
    """Of what `obstacles` found."""
    if picture.status.store == "sqlite":
        return "a drill takes a pair of masters: docs/operations/high-availability.md"
    return "mend that first, then again"


def leader_check(before: Picture, after: ClusterStatus) -> DrillCheck:
    """Epochs are compared as numbers, `1.9` is before `1.10`."""
    former = before.status
    passed = after.master not in ("", former.master) and later(after.epoch, former.epoch)
    detail = f"{former.master} in epoch {former.epoch}, then {after.master or 'nobody'} in epoch {after.epoch or '-'}"
    return DrillCheck("another master leads, in a later epoch", passed, detail, grave=True)


def later(epoch: str, than: str) -> bool:
    return _numbers(epoch) > _numbers(than)


def hosts_check(before: Picture, hosts: Sequence[HostView]) -> DrillCheck:
    """Of those that were heard before."""
    was = {host.name for host in before.hosts if host.state == "ready"}
    now = {host.name for host in hosts if host.state == "ready"}
    missing = sorted(was - now)
    detail = f"not heard: {_names(missing)}" if missing else count(len(was), "host")
    return DrillCheck("every host is heard by the new leader", not missing, detail)


def containers_check(before: Picture, instances: Sequence[InstanceView]) -> DrillCheck:
    """Each container that was there before still is, and was not started anew."""
    was, now = _containers(before.instances), _containers(instances)
    changed = sorted(
        f"{name} on {host}" for (name, host), told in was.items() if now.get((name, host)) != told
    )
    detail = f"not the same: {_names(changed)}" if changed else count(len(was), "container")
    return DrillCheck("no container was restarted or replaced", not changed, detail, grave=True)


def all_told(before: Picture, instances: Sequence[InstanceView]) -> bool:
    """Whether the new leader has heard of all of them: their hosts report anew to it."""
    return set(_containers(before.instances)) <= set(_containers(instances))


def redundancy_check(before: Picture, after: ClusterStatus, waited_s: float) -> DrillCheck:
    former = before.status.master
    view = next((view for view in after.masters if view.name == former), None)
    passed = view is not None and view.is_ready(after.master)
    if passed:
        detail = f"{former} is a standby again"
    elif view is None or view.role == "absent":
        detail = f"{former} was not started again within {age(waited_s)}; on it: systemctl start hullmark-master"
    else:
        detail = f"{former} is not ready: {view.why}"
    return DrillCheck("redundancy is back", passed, detail)


def outcome(checks: Iterable[DrillCheck]) -> str:
    failed = [check for check in checks if not check.passed]
    if any(check.grave for check in failed):
        return FAILED
    return DEGRADED if failed else PASSED


def _containers(
    instances: Sequence[InstanceView],
) -> Mapping[tuple[str, str], tuple[str, float, int]]:
    """By name and host: its id, when it was started, how often anew. Those that have one, as they are seen now."""
    return {
        (item.name, item.host): (
            item.status.container_id,
            item.status.started_at,
            item.status.restarts,
        )
        for item in instances
        if item.status is not None and item.status.container_id and item.seen
    }


def _numbers(epoch: str) -> tuple[int, ...]:
    return tuple(int(part) for part in epoch.split(".") if part.isdecimal())


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
