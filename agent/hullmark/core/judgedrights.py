"""What policy says of a container's rights on the host: privileges, namespaces, capabilities, confinement, devices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hullmark.core.judgement import UNSEEN, Case, cited, fits

ALL = "ALL"
NET_RAW = "NET_RAW"
ENGINES_OWN = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"}
    | {"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", NET_RAW}
)
"""Capabilities of a container that says nothing: moby, oci/caps/defaults.go. Podman has the same ones or fewer, by its
configuration; what it says of a container that exists is exact."""

_MODES = {
    "PidMode": ("pid", r"private"),
    "IpcMode": ("ipc", r"private|shareable|none"),
    "UTSMode": ("uts", r"private"),
    "UsernsMode": ("user", r"private|nomap|auto(:size=[0-9]+)?|keep-id"),
    "CgroupnsMode": ("cgroup", r"private"),
}
"""By field: which namespace, and the forms that leave the container in one of its own. Docker says `host` of the control groups
of every container where the machine has their version 1, so that of what exists this one is not judged."""
JOINING = {"NetworkMode": "network", "PidMode": "pid", "IpcMode": "ipc"}
"""Those of which a container can have another one's."""
_JOINS = re.compile(r"container:.+")
_JOINED = re.compile(r"(container|ns|pod|service):.+")
"""The forms that nobody may ask for, and that a container which exists can have."""


def judge(case: Case, host: Mapping[str, Any]) -> None:
    for field, (name, own) in _MODES.items():
        _judge_mode(case, name, str(host.get(field) or ""), own)
    privileged = bool(host.get("Privileged"))
    if privileged and not case.yes("privileged"):
        case.no("privileged", "not allowed here")
    _judge_options(case, host)
    if not privileged:
        added, dropped = caps(host.get("CapAdd")), caps(host.get("CapDrop"))
        _judge_added(case, added, dropped)
        _judge_dropped(case, added, dropped)
    for device in host.get("Devices") or ():
        _judge_device(case, device)


def judge_host_namespace(case: Case, name: str) -> None:
    """That a container shares with the host."""
    allowed = case.rules["host_namespaces"].items
    if allowed is not None and name not in allowed:
        case.no("host_namespaces", f"the host's {name} namespace is not allowed here")


def judge_joining(case: Case, name: str, mode: str) -> bool:
    """Whether it is a mode that joins a namespace of somebody else's, which can be the host's."""
    if not (_JOINED if case.started else _JOINS).fullmatch(mode):
        return False
    if not case.yes("join_namespaces"):
        case.no("join_namespaces", f"{cited(mode)} is somebody else's namespace")
    elif case.rules["host_namespaces"].items is not None:
        kind, _, other = mode.partition(":")
        has = case.sights.joined.get(other) if kind == "container" else (name,)
        if has is None:
            case.never(f"{cited(mode)}: there is no such container on this host")
        elif name in has:
            judge_host_namespace(case, name)
    return True


def joined_by(host: Mapping[str, Any]) -> Iterator[str]:
    """Containers whose namespaces it joins."""
    for field in JOINING:
        kind, _, other = str(host.get(field) or "").partition(":")
        if kind == "container" and other:
            yield other


def _judge_mode(case: Case, name: str, mode: str, own: str) -> None:
    if not mode or judge_joining(case, name, mode) or re.fullmatch(own, mode):
        return
    if mode == "host":
        if not (case.started and name == "cgroup"):
            judge_host_namespace(case, name)
    elif not case.started:
        case.never(f"the {name} namespace {cited(mode)} is of a form that is not known here")


# -- capabilities


def caps(names: object) -> tuple[str, ...]:
    """As policy has them: in capitals, without CAP_."""
    found = []
    for name in names if isinstance(names, (list, tuple)) else ():
        bare = str(name).strip().upper()
        found.append(bare[4:] if bare.startswith("CAP_") else bare)
    return tuple(found)


def _judge_added(case: Case, added: Sequence[str], dropped: Sequence[str]) -> None:
    rule = case.rules["capabilities.add"]
    required = case.rules["capabilities.drop"].items or ()
    allowed = None if rule.items is None else caps(rule.items)
    free = frozenset() if ALL in required else ENGINES_OWN - frozenset(caps(required))
    beyond = (
        []
        if allowed is None
        else [each for each in added if each not in {NET_RAW, *allowed, *free}]
    )
    if beyond:
        told = f"{cited(', '.join(beyond))} {'is' if len(beyond) == 1 else 'are'} not allowed here"
        case.no("capabilities.add", told)
    if _has_raw(case, added, dropped) and not _raw_allowed(case, allowed):
        asked = "" if NET_RAW in added else ", and has to be dropped"
        case.no("capabilities.add", f"{NET_RAW} is not allowed here{asked}")


def _raw_allowed(case: Case, allowed: object) -> bool:
    """Where no file says anything, containers from before there were policies go on having it."""
    if not case.rules["capabilities.add"].file:
        return case.started
    return allowed is None or (isinstance(allowed, tuple) and bool({NET_RAW, ALL} & set(allowed)))


def _has_raw(case: Case, added: Sequence[str], dropped: Sequence[str]) -> bool:
    """Docker gives all for ALL even where all are dropped too; what is added by name comes after what is dropped."""
    if NET_RAW in added:
        return True
    if NET_RAW in dropped:
        return False
    return ALL in added or ALL not in dropped


def _judge_dropped(case: Case, added: Sequence[str], dropped: Sequence[str]) -> None:
    for name in caps(case.rules["capabilities.drop"].items or ()):
        gone = name in dropped or (ALL in dropped and ALL not in added)
        if not gone or name in added:
            case.no("capabilities.drop", f"{name} has to be dropped")


# -- confinement


_OPTIONS = frozenset(
    {"no-new-privileges", "seccomp", "apparmor", "label", "systempaths", "unmask", "mask"}
)
_PROFILES = (("seccomp", "seccomp"), ("apparmor", "apparmor"), ("label", "selinux"))
"""Each with its rule."""


def _judge_options(case: Case, host: Mapping[str, Any]) -> None:
    seen: dict[str, list[str]] = {}
    for option in host.get("SecurityOpt") or ():
        key, value = _parted(option)
        seen.setdefault(key, []).append(value)
    if not case.started:
        _check_options(case, seen)
    _judge_privileges(case, seen.get("no-new-privileges", []))
    if host.get("Privileged"):
        return  # that rule says it all
    for key, rule in _PROFILES:
        for value in seen.get(key) or ["default"]:
            _judge_profile(case, rule, value, host)
    uncovered = [key for key in ("systempaths", "unmask") if key in seen]
    if uncovered and not case.yes("system_paths"):
        told = f"security_opt {uncovered[0]} takes the cover off the kernel's files"
        case.no("system_paths", told)


def _check_options(case: Case, seen: Mapping[str, Sequence[str]]) -> None:
    for key, values in seen.items():
        if key not in _OPTIONS:
            case.never(f"security_opt {cited(key)} is not known here")
        elif key != "label" and len(values) > 1:
            case.never(f"security_opt {key} stands there twice")


def _parted(option: str) -> tuple[str, str]:
    """As both engines part it: at the first `=`, and only where there is none at the first `:`."""
    key, _, value = option.partition("=" if "=" in option else ":")
    return key, value


def _judge_privileges(case: Case, values: Sequence[str]) -> None:
    for value in values:
        if value not in ("", "true", "false"):
            case.never(f"security_opt no-new-privileges {cited(value)} is neither true nor false")
    set_ = bool(values) and set(values) <= {"", "true"}
    if case.yes("no_new_privileges") and not set_:
        case.no("no_new_privileges", "security_opt no-new-privileges has to be set")


def _judge_profile(case: Case, rule: str, value: str, host: Mapping[str, Any]) -> None:
    shares = "host" in (host.get("PidMode"), host.get("IpcMode"))
    if case.started and value == "disable" and shares:
        return  # Docker itself takes SELinux away from who shares these with the host
    known = "default" if value in ("builtin", "runtime/default") else value
    if not case.lists(rule, known):
        case.no(rule, f"the profile {cited(value)} is not allowed here")


# -- devices


_VENDORS = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9_-]+=[a-zA-Z0-9_.:-]+")
"""CDI: VENDOR/CLASS=NAME. Engines look for anything else from their own folder on, `/`."""


def _judge_device(case: Case, device: Mapping[str, Any]) -> None:
    path = str(device.get("PathOnHost") or "")
    permissions = str(device.get("CgroupPermissions") or "")
    inside = str(device.get("PathInContainer") or "")
    if not set(permissions) <= set("rwm") or ":" in path + inside:
        case.never(
            f"the device {cited(path)} at {cited(inside)} with the permissions {cited(permissions)}"
        )
    if not path.startswith("/") and not _VENDORS.fullmatch(path):
        case.never(f"the device {cited(path)} is neither an absolute path nor a vendor's name")
        return
    allowed = case.rules["devices"].items
    if allowed is None:
        return
    sight = case.sights.paths.get(path)
    if path.startswith("/") and sight is None:
        case.never(f"device {cited(path)} {case.sights.troubles.get(path, UNSEEN)}")
        return
    resolved = sight.resolved if sight else path
    if not fits(allowed, resolved):
        case.no("devices", f"{cited(path)} is not allowed here")
    elif sight is not None and sight.loose:
        case.no(
            "devices",
            f"{cited(path)} is reached through {sight.loose[0]}, which others than root can change",
        )


def paths_of(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the host's devices."""
    found = (str(device.get("PathOnHost") or "") for device in host.get("Devices") or ())
    return tuple(path for path in found if path.startswith("/"))
