"""What a container of a service is: most keys of a service."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Optional

from hullmark.compose import forms, values
from hullmark.compose.deploy import read_limits, read_restart, read_swap
from hullmark.compose.findings import OWN, Node
from hullmark.compose.forms import Form
from hullmark.compose.health import read_healthcheck
from hullmark.compose.judging import judge
from hullmark.compose.variables import read_pairs
from hullmark.document import ListValue, MapValue
from hullmark.model import scope
from hullmark.model.app import ContainerSpec, Logging, PullPolicy, Ulimit

FLAGS = ("read_only", "tty", "stdin_open", "privileged")
_PULL = {
    "always": PullPolicy.ALWAYS,
    "missing": PullPolicy.MISSING,
    "if_not_present": PullPolicy.MISSING,
    "never": PullPolicy.NEVER,
}


def read_container(service: Node, image: str, awaited: bool) -> ContainerSpec:
    """All but the variables, networks and mounts. `awaited`: another service waits for its completion."""
    restart, one_shot = read_restart(service, awaited)
    limits = read_limits(service)
    parts: dict[str, Any] = {name: _text(service, name, form) for name, form in forms.TEXTS.items()}
    for name, form in forms.LISTS.items():
        read = service.text_or_list if name in ("dns", "dns_search") else service.list_of
        parts[name] = read(name, values.text(form))
    for name in FLAGS:
        parts[name] = service.field_of(name, values.boolean, False)
    for name in ("cap_add", "cap_drop"):
        parts[name] = service.list_of(name, values.capability(forms.CAPABILITY))
    return ContainerSpec(
        image,
        command=_optional(service, "command", values.words),
        entrypoint=_optional(service, "entrypoint", values.words),
        init=_optional(service, "init", values.boolean),
        labels=read_pairs(service.get("labels"), forms.LABEL),
        annotations=read_pairs(service.get("annotations"), forms.LABEL),
        extra_hosts=_extra_hosts(service.get("extra_hosts")),
        devices=_devices(service.get("devices")),
        sysctls=read_pairs(service.get("sysctls"), forms.SYSCTL),
        ulimits=_ulimits(service.get("ulimits")),
        shm_size_bytes=service.field_of("shm_size", values.size(forms.BYTES), 0),
        oom_score_adj=service.field_of("oom_score_adj", values.whole(forms.OOM_SCORE), 0),
        stop_grace_s=service.field_of("stop_grace_period", values.duration(forms.DURATION), 10.0),
        restart=restart,
        one_shot=one_shot,
        healthcheck=read_healthcheck(service.get("healthcheck")),
        logging=_logging(service.get("logging")),
        pull_policy=_PULL[service.field_of("pull_policy", values.choice(*_PULL), "missing")],
        limits=limits,
        scope=_scope(service.get(OWN)),
        memory_swap_bytes=read_swap(service, limits),
        **parts,
    )


def _scope(own: Optional[Node]) -> str:
    """`out` is the same as nothing said, so that saying it makes no container anew."""
    if own is None:
        return ""
    said = own.field_of("scope", values.choice(scope.CDE, scope.OUT), "")
    return "" if said == scope.OUT else said


def refuse_shared_targets(service: Node, spec: ContainerSpec) -> None:
    """Every mount, config and secret needs a path of its own."""
    for target in shared_targets(spec):
        node = service.get("volumes") or service.get("configs") or service
        node.wrong(f"{target} in the container is the target of two mounts, configs or secrets")


def shared_targets(spec: ContainerSpec) -> list[str]:
    targets = [each.target for each in spec.mounts]
    targets += [each.target for each in (*spec.configs, *spec.secrets)]
    counted = Counter(target.rstrip("/") for target in targets)
    return sorted(target for target, number in counted.items() if number > 1)


def _text(service: Node, name: str, form: Form) -> str:
    node = service.get(name)
    if node is None:
        return ""
    if isinstance(node.value, str) and node.value.startswith(("service:", "container:")):
        node.wrong("shares with another container, which may be replaced at any time", form.allowed)
        return ""
    return node.read(values.text(form), "")


def _optional(service: Node, name: str, reader: Callable[[Any], Any]) -> Any:
    node = service.get(name)
    return None if node is None else node.read(reader, None)


def _extra_hosts(node: Optional[Node]) -> tuple[str, ...]:
    if node is None:
        return ()
    found: list[str] = []
    if isinstance(node.value, MapValue):
        for name, item in node.entries().items():
            addresses = item.items() if isinstance(item.value, ListValue) else [item]
            for each in addresses:
                host = f"{name}:{values.scalar(each.value)}" if _is_scalar(each) else ""
                found.append(_host(each, host))
    else:
        for item in node.items("a mapping, or a list of HOST:ADDRESS"):
            text = item.read(values.scalar, "")
            name, address, _ = values.pairs(text, ("=",) if "=" in text else (":",))
            found.append(_host(item, f"{name}:{address}"))
    return tuple(dict.fromkeys(filter(None, found)))


def _host(item: Node, text: str) -> str:
    host, _, address = text.partition(":")
    text = f"{host.strip()}:{address.strip().strip('[]')}"
    if forms.EXTRA_HOST.holds(text):
        return text
    item.unfit(forms.EXTRA_HOST.allowed)
    return ""


def _is_scalar(node: Node) -> bool:
    return isinstance(node.value, (str, int))


def _devices(node: Optional[Node]) -> tuple[str, ...]:
    found: list[str] = []
    for item in node.items() if node is not None else ():
        if not isinstance(item.value, MapValue):
            found.append(item.read(_device, ""))
        elif judge(item, "services.*.devices[]"):
            parts = [
                item.field_of(each, values.scalar, "")
                for each in ("source", "target", "permissions")
            ]
            text = f"{parts[0]}:{parts[1] or parts[0]}:{parts[2] or 'rwm'}"
            if forms.DEVICE.holds(text):
                found.append(text)
            else:
                item.wrong("not a device", forms.DEVICE.allowed)
    return tuple(dict.fromkeys(filter(None, found)))


def _device(value: Any) -> str:
    """Written out as SOURCE:TARGET:PERMISSIONS."""
    source, *rest = value.split(":") if isinstance(value, str) else [""]
    permissions = rest.pop() if rest and re.fullmatch("[rwm]{1,3}", rest[-1]) else "rwm"
    text = ":".join([source, *(rest or [source]), permissions])
    if forms.DEVICE.holds(text):
        return text
    raise ValueError("SOURCE[:TARGET][:PERMISSIONS], paths and some of rwm")


def _ulimits(node: Optional[Node]) -> dict[str, Ulimit]:
    found = {}
    for name, item in (node.entries() if node is not None else {}).items():
        limit = values.whole(forms.RLIMIT)
        if not forms.ULIMIT.holds(name):
            item.wrong(f"unknown limit {name[:40]}", forms.ULIMIT.allowed)
        elif not isinstance(item.value, MapValue):
            number = item.read(limit, -1)
            found[name] = Ulimit(number, number)
        elif judge(item, "services.*.ulimits.*"):
            if not item.has("soft") or not item.has("hard"):
                item.wrong("needs soft and hard")
                continue
            made = Ulimit(item.field_of("soft", limit, -1), item.field_of("hard", limit, -1))
            if not ulimit_fits(made):
                item.wrong("the soft limit is above the hard one")
            found[name] = made
    return found


def ulimit_fits(limit: Ulimit) -> bool:
    return limit.hard == -1 or -1 < limit.soft <= limit.hard


def _logging(node: Optional[Node]) -> Logging:
    if node is None or not judge(node, "services.*.logging"):
        return Logging()
    driver = node.field_of("driver", values.text(forms.DRIVER), "")
    return Logging(driver, read_pairs(node.get("options"), forms.WORD))
