"""One container's spec as a service of a Compose file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Optional, TypeVar

from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    FileRef,
    Healthcheck,
    Mount,
    MountKind,
    PullPolicy,
)
from hullmark.model.reference import parse

T = TypeVar("T")

_AS_THEY_ARE = (
    *("user", "working_dir", "hostname", "domainname", "platform", "network_mode"),
    *("pid", "ipc", "uts", "userns_mode", "cgroup", "stop_signal"),
)
_FLAGS = ("read_only", "tty", "stdin_open", "privileged")
_LISTS = (
    *("group_add", "security_opt", "dns", "dns_search", "dns_opt"),
    *("cap_add", "cap_drop", "devices", "expose", "extra_hosts"),
)
_PAIRS = ("environment", "labels", "annotations", "sysctls")


class Names(Generic[T]):
    """Things by the keys that they have, or nearly: two that differ never get one."""

    def __init__(self) -> None:
        self.values: dict[str, T] = {}

    def of(self, key: str, value: T) -> str:
        # A path of dots would lead out of its folder.
        name = wanted = key if key.strip(".") else f"_{key}"
        number = 2
        while self.values.get(name, value) != value:
            name = f"{wanted}-{number}"
            number += 1
        self.values[name] = value
        return name


def service(
    bundle: Bundle,
    called: str,
    networks: Mapping[str, str],
    volumes: Mapping[str, str],
    secrets: Mapping[str, str],
    configs: Mapping[str, str],
) -> dict[str, Any]:
    """All that the spec says of it, empty where it says nothing. The mappings give the names that the project has for the
    keys of networks, volumes and secrets; `configs` the files for targets in the container."""
    spec = bundle.container
    made: dict[str, Any] = {"image": parse(spec.image).pinned(spec.digest)}
    made.update({name: getattr(spec, name) for name in _AS_THEY_ARE})
    made.update({name: getattr(spec, name) or None for name in _FLAGS})
    made.update({name: list(getattr(spec, name)) for name in _LISTS})
    made.update({name: dict(getattr(spec, name)) for name in _PAIRS})
    if not spec.network_mode and not spec.networks:
        made["network_mode"] = "none"
    if spec.scope:
        # A comment to Docker Compose, and to whoever applies the file to a cluster again.
        made["x-hullmark"] = {"scope": spec.scope}
    made.update(
        pull_policy="never" if spec.pull_policy is PullPolicy.NEVER or _is_local(spec) else "",
        command=_words(spec.command),
        entrypoint=_words(spec.entrypoint),
        init=spec.init,
        networks=_places(bundle, called, networks),
        mac_address=spec.networks[0].mac_address if spec.networks else "",
        volumes=[*_mounts(spec, volumes), *(_config(ref, configs) for ref in spec.configs)],
        tmpfs=[_tmpfs(mount) for mount in spec.mounts if mount.kind is MountKind.TMPFS],
        secrets=[{"source": secrets[r.source], "target": r.target} for r in spec.secrets],
        ulimits={
            name: {"soft": limit.soft, "hard": limit.hard} for name, limit in spec.ulimits.items()
        },
        shm_size=spec.shm_size_bytes or None,
        oom_score_adj=spec.oom_score_adj or None,
        stop_grace_period=duration(spec.stop_grace_s),
        healthcheck=_healthcheck(spec.healthcheck),
        cpus=spec.limits.cpus or None,
        mem_limit=spec.limits.memory_bytes or None,
        pids_limit=spec.limits.pids or None,
        memswap_limit=spec.memory_swap_bytes or None,
    )
    return made


def without_empty(made: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing. An empty command or entrypoint says something: it is kept as `Words`."""
    return {
        key: value
        for key, value in made.items()
        if isinstance(value, Words) or value not in (None, "", [], {}, ())
    }


class Words(list[str]):
    """A command that is said, if only to be empty."""


def duration(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def _words(words: Optional[tuple[str, ...]]) -> Optional[Words]:
    return None if words is None else Words(words)


def _is_local(spec: ContainerSpec) -> bool:
    return not spec.digest and parse(spec.image).local


def _places(bundle: Bundle, called: str, networks: Mapping[str, str]) -> dict[str, Any]:
    """Joined in their order. The container answers to its service's name, whatever the project calls it."""
    places = bundle.container.networks
    own = () if called == bundle.service else (bundle.service,)
    return {
        networks[place.network]: _place(
            place, own, first=index == 0, priority=len(places) - index if len(places) > 1 else 0
        )
        for index, place in enumerate(places)
    }


def _place(place: Attachment, own: tuple[str, ...], *, first: bool, priority: int) -> Any:
    made = {
        "aliases": list(dict.fromkeys((*place.aliases, *own))),
        "ipv4_address": place.ipv4_address,
        "ipv6_address": place.ipv6_address,
        "mac_address": "" if first else place.mac_address,
        "priority": priority or None,
    }
    return without_empty(made) or None


def _mounts(spec: ContainerSpec, volumes: Mapping[str, str]) -> list[Any]:
    return [_mount(mount, volumes) for mount in spec.mounts if mount.kind is not MountKind.TMPFS]


def _mount(mount: Mount, volumes: Mapping[str, str]) -> Any:
    options = [
        "ro" if mount.read_only else "",
        "nocopy" if mount.no_copy else "",
        mount.selinux,
        mount.propagation,
    ]
    said = ",".join(option for option in options if option)
    source = volumes[mount.source] if mount.kind is MountKind.VOLUME and mount.source else ""
    if mount.kind is MountKind.BIND:
        if not mount.create_host_path:
            return _strict_bind(mount)
        source = mount.source
    # A short form without a source has no place for options.
    if not source and said:
        return {"type": "volume", "target": mount.target, "read_only": mount.read_only}
    return ":".join(part for part in (source, mount.target, said) if part)


def _strict_bind(mount: Mount) -> dict[str, Any]:
    """Only the long form says that the source isn't to be made."""
    bind = {
        "create_host_path": False,
        **without_empty({"propagation": mount.propagation, "selinux": mount.selinux}),
    }
    made = {
        "type": "bind",
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only or None,
    }
    return {**without_empty(made), "bind": bind}


def _config(ref: FileRef, configs: Mapping[str, str]) -> str:
    return f"./configs/{configs[ref.target]}:{ref.target}:ro"


def _tmpfs(mount: Mount) -> str:
    options = [
        f"size={mount.tmpfs_size_bytes}" if mount.tmpfs_size_bytes else "",
        f"mode={mount.tmpfs_mode:o}" if mount.tmpfs_mode is not None else "",
        "ro" if mount.read_only else "",
    ]
    said = ",".join(option for option in options if option)
    return f"{mount.target}:{said}" if said else mount.target


def _healthcheck(check: Optional[Healthcheck]) -> dict[str, Any]:
    if check is None:
        return {}
    if check.disabled:
        return {"disable": True}
    made = {
        "test": list(check.test),
        "retries": check.retries or None,
        "interval": duration(check.interval_s) if check.interval_s else "",
        "timeout": duration(check.timeout_s) if check.timeout_s else "",
        "start_period": duration(check.start_period_s) if check.start_period_s else "",
    }
    return without_empty(made)
