"""`deploy`, and the older keys that say the same: how many, where, with what, and when again."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Optional, TypeVar

from hullmark.compose import forms, values
from hullmark.compose.findings import OWN, Node
from hullmark.compose.judging import judge
from hullmark.compose.variables import read_pairs
from hullmark.document import MapValue
from hullmark.model.app import (
    DeployMode,
    DeploySpec,
    FailureAction,
    HostLoss,
    Placement,
    Resources,
    Restart,
    RestartCondition,
    UpdateConfig,
    UpdateOrder,
)
from hullmark.model.loadline import Required

N = TypeVar("N", int, float)

_MODES = {
    "replicated": DeployMode.REPLICATED,
    "global": DeployMode.GLOBAL,
    "replicated-job": DeployMode.REPLICATED,
    "global-job": DeployMode.GLOBAL,
}
_RESTART = re.compile(r"on-failure(?::([0-9]{1,6}))?")
RESTART = "no, always, unless-stopped or on-failure[:ATTEMPTS]"


def read_deploy(service: Node, everywhere: tuple[Required, ...] = ()) -> DeploySpec:
    """`everywhere` is what all services of the app require."""
    deploy = _mapping(service, "deploy", "services.*.deploy")
    own = _mapping(service, OWN, f"services.*.{OWN}")
    lost = own and own.field_of("on_host_lost", values.choice("replace", "keep", "stop"), "")
    require = _together(tuple(read_required(own)), everywhere)
    if deploy is None:
        return DeploySpec(
            replicas=_replicas(service, None, DeployMode.REPLICATED),
            placement=Placement(require=require),
            reservations=Resources(memory_bytes=_reserved(service, None)),
            on_host_lost=HostLoss(lost) if lost else None,
        )
    mode = _MODES[deploy.field_of("mode", values.choice(*_MODES), "replicated")]
    resources = _mapping(deploy, "resources", "services.*.deploy.resources")
    path = "services.*.deploy.resources.reservations"
    reserved = resources and _mapping(resources, "reservations", path)
    cpus = reserved.field_of("cpus", values.number(forms.CPUS), 0.0) if reserved else 0.0
    return DeploySpec(
        mode,
        _replicas(service, deploy, mode),
        dataclasses.replace(_placement(deploy), require=require),
        Resources(cpus, _reserved(service, reserved)),
        read_pairs(deploy.get("labels"), forms.LABEL),
        _update(deploy, "update_config", ("pause", "continue", "rollback")),
        _update(deploy, "rollback_config", ("pause", "continue")),
        HostLoss(lost) if lost else None,
    )


def read_limits(service: Node) -> Resources:
    """`deploy.resources.limits` and the older keys; where both are given they have to agree."""
    deploy = service.get("deploy")
    resources = deploy.get("resources") if deploy is not None else None
    path = "services.*.deploy.resources.limits"
    limits = _mapping(resources, "limits", path) if resources is not None else None
    return Resources(
        _either(service, "cpus", limits, "cpus", values.number(forms.CPUS), 0.0),
        _either(service, "mem_limit", limits, "memory", values.size(forms.MEMORY), 0),
        _either(service, "pids_limit", limits, "pids", values.whole(forms.PIDS), 0),
    )


def read_swap(service: Node, limits: Resources) -> int:
    swap = service.get("memswap_limit")
    if swap is None:
        return 0
    found = swap.read(values.size(forms.MEMORY_SWAP), 0)
    problem = swap_problem(found, limits)
    if problem:
        swap.wrong(problem)
    return found


def swap_problem(swap_bytes: int, limits: Resources) -> str:
    if swap_bytes in (0, -1) or 0 < limits.memory_bytes <= swap_bytes:
        return ""
    return "is memory and swap together: it needs a memory limit, and may not be below it"


def read_restart(service: Node, awaited: bool) -> tuple[Restart, bool]:
    """The policy, and whether the service is a one-shot. `awaited`: another one waits for its completion.

    Without a policy a service is started again whatever happens, unless somebody waits for its end.
    """
    deploy, own = service.get("deploy"), service.get(OWN)
    job = _is_job(deploy)
    policy = _policy(service, deploy)
    if policy is None:
        condition = RestartCondition.ANY
        if job:
            condition = RestartCondition.ON_FAILURE
        elif awaited:
            condition = RestartCondition.NONE
        policy = Restart(condition)
    ends = policy.condition is not RestartCondition.ANY
    one_shot = job or (awaited and ends)
    if own is not None:
        one_shot = own.field_of("one_shot", values.boolean, one_shot)
    if job and (not ends or not one_shot):
        service.child("deploy").wrong(
            "a job ends: its restart policy can't be any, and it is a one-shot",
            "on-failure or none",
        )
    elif awaited and not ends and not one_shot:
        service.warn(
            "another service waits for its completion, but it is started again when it ends"
        )
    return policy, one_shot


def _is_job(deploy: Optional[Node]) -> bool:
    return deploy is not None and deploy.has("mode") and str(deploy.value["mode"]).endswith("-job")


def _policy(service: Node, deploy: Optional[Node]) -> Optional[Restart]:
    """`deploy.restart_policy`, else `restart`; None where neither is given."""
    short = service.get("restart")
    simple = None if short is None else short.read(_restart, Restart())
    path = "services.*.deploy.restart_policy"
    policy = _mapping(deploy, "restart_policy", path) if deploy is not None else None
    if policy is None:
        return simple
    conditions = values.choice(*(each.value for each in RestartCondition))
    default = Restart()
    return Restart(
        RestartCondition(policy.field_of("condition", conditions, "any")),
        policy.field_of("delay", values.duration(forms.DURATION), default.delay_s),
        policy.field_of("max_attempts", values.whole(forms.ATTEMPTS), default.max_attempts),
        policy.field_of("window", values.duration(forms.DURATION), default.window_s),
    )


def _restart(value: Any) -> Restart:
    if value is False or value in ("no", "false"):
        return Restart(RestartCondition.NONE)
    if value in ("always", "unless-stopped"):
        return Restart(RestartCondition.ANY)
    failure = _RESTART.fullmatch(value) if isinstance(value, str) else None
    if failure is None:
        raise ValueError(RESTART)
    return Restart(RestartCondition.ON_FAILURE, max_attempts=int(failure[1] or 0))


def _replicas(service: Node, deploy: Optional[Node], mode: DeployMode) -> int:
    found = _either(service, "scale", deploy, "replicas", values.whole(forms.REPLICAS), 1)
    if mode is DeployMode.GLOBAL and found != 1:
        service.child("deploy").wrong("runs once on each host (mode: global), so it has no number")
        return 1
    return found


def _reserved(service: Node, reserved: Optional[Node]) -> int:
    return _either(service, "mem_reservation", reserved, "memory", values.size(forms.MEMORY), 0)


def _either(
    service: Node, old: str, section: Optional[Node], new: str, reader: Any, default: N
) -> N:
    """A value that may stand in two places: under an older key of the service, or under `deploy`."""
    first = service.field_of(old, reader, default)
    if section is None or not section.has(new):
        return first
    second = section.field_of(new, reader, default)
    if service.has(old) and first != second:
        section.child(new).wrong(f"says something else than {old}", "one of them, or the same")
    return second


def _placement(deploy: Node) -> Placement:
    node = _mapping(deploy, "placement", "services.*.deploy.placement")
    if node is None:
        return Placement()
    spread = []
    listed = node.get("preferences")
    for item in listed.items() if listed is not None else ():
        if judge(item, "services.*.deploy.placement.preferences[]"):
            spread.append(item.field_of("spread", values.text(forms.SPREAD), ""))
    return Placement(
        node.list_of("constraints", values.text(forms.CONSTRAINT)),
        tuple(filter(None, spread)),
        node.field_of("max_replicas_per_node", values.whole(forms.REPLICAS), 0),
    )


def read_required(own: Optional[Node]) -> Iterator[Required]:
    """`audit-trail`, or `{control: audit-trail, level: 3}`; one twice is wrong."""
    listed = own.get("require") if own is not None else None
    seen: set[str] = set()
    for item in listed.items("a list of controls") if listed is not None else ():
        level = 0
        if isinstance(item.value, MapValue):
            if not judge(item, f"services.*.{OWN}.require[]"):
                continue
            if not item.has("control"):
                item.wrong("names no control", "control: NAME")
            control = item.field_of("control", values.text(forms.CONTROL), "")
            level = item.field_of("level", values.whole(forms.LEVEL), 0)
        else:
            control = item.read(values.text(forms.CONTROL), "")
        if control in seen:
            item.wrong(f"{control} stands there twice")
        elif control:
            seen.add(control)
            yield Required(control, level)


def _together(own: tuple[Required, ...], more: tuple[Required, ...]) -> tuple[Required, ...]:
    """Each control once, with the higher level."""
    levels: dict[str, int] = {}
    for each in (*own, *more):
        levels[each.control] = max(each.level, levels.get(each.control, 0))
    return tuple(Required(control, level) for control, level in levels.items())


def _update(deploy: Node, name: str, actions: tuple[str, ...]) -> UpdateConfig:
    node = _mapping(deploy, name, "services.*.deploy.update_config")
    if node is None:
        return UpdateConfig()
    default = UpdateConfig()
    orders = values.choice(*(each.value for each in UpdateOrder))
    return UpdateConfig(
        node.field_of("parallelism", values.whole(forms.PARALLELISM), default.parallelism),
        node.field_of("delay", values.duration(forms.DURATION), default.delay_s),
        FailureAction(node.field_of("failure_action", values.choice(*actions), "pause")),
        node.field_of("monitor", values.duration(forms.DURATION), default.monitor_s),
        node.field_of("max_failure_ratio", values.number(forms.RATIO), 0.0),
        UpdateOrder(node.field_of("order", orders, default.order.value)),
    )


def _mapping(node: Node, name: str, path: str) -> Optional[Node]:
    """A key's mapping with its keys judged; None where it is absent or wrong."""
    found = node.get(name)
    return found if found is not None and judge(found, path) else None
