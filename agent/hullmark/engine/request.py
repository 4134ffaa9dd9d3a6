"""From a bundle to the body of the Docker API's container creation: pure, one function for each part.

Field names are those of the Docker Engine API, version 1.40 and later (docs.docker.com/reference/api/engine).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from hullmark.engine.protocol import CreateRequest
from hullmark.model import names
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    Healthcheck,
    Mount,
    MountKind,
)
from hullmark.model.reference import parse

NS_PER_S = 1_000_000_000
NET_RAW = "NET_RAW"
MADE = ("Privileged", "ReadonlyRootfs", "CapAdd", "Memory", "NanoCpus", "PidsLimit", "PidMode")
"""Of HostConfig: what is held against the container later, while it runs."""
DEFAULT_LOGS = {"max-size": "10m", "max-file": "3"}
"""Docker keeps logs without limit unless told otherwise; a host that runs full stops its other tools."""


def body(
    request: CreateRequest, engine_name: str, ulimits: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """The JSON body. `ulimits`: soft and hard defaults that this engine needs to be given."""
    spec = request.bundle.container
    made: dict[str, Any] = {
        "Image": image(spec),
        "Labels": {
            **spec.labels,
            **names.instance_labels(
                request.cluster_id,
                request.instance,
                request.spec_hash,
                request.epoch,
                spec.scope,
            ),
        },
        "Env": [f"{key}={value}" for key, value in spec.environment.items()],
        "Cmd": _list(spec.command),
        "Entrypoint": _entrypoint(spec.entrypoint),
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "Tty": spec.tty or None,
        "OpenStdin": spec.stdin_open or None,
        "StopSignal": spec.stop_signal,
        "MacAddress": spec.networks[0].mac_address if spec.networks else "",
        "ExposedPorts": _exposed(request),
        "Healthcheck": _healthcheck(spec.healthcheck, engine_name),
        "HostConfig": _host_config(request, engine_name, ulimits),
        "NetworkingConfig": _networking(request.bundle),
    }
    made["Labels"] = {**made["Labels"], names.LABEL_MADE: _made_as(made)}
    # No grace at all is said too: the engine's own would be 10 s.
    return {**_without_empty(made), "StopTimeout": math.ceil(spec.stop_grace_s)}


def _made_as(made: Mapping[str, Any]) -> str:
    """As JSON: what a container may be changed in, or be made anew with by hand, under the same labels."""
    host = made["HostConfig"]
    binds = [(text.split(":")[0], text.split(":")[1]) for text in host.get("Binds") or ()]
    mounts = [(one.get("Source", ""), one["Target"]) for one in host.get("Mounts") or ()]
    kept = {key: host[key] for key in MADE if key in host}
    said = {**kept, "Mounts": sorted(binds + mounts), "User": made["User"]}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def image(spec: ContainerSpec) -> str:
    """What the engine is asked for: fully qualified, by digest where the leader resolved one."""
    return parse(spec.image).pinned(spec.digest)


def endpoint(attachment: Attachment, bundle: Bundle) -> dict[str, Any]:
    """The container's place on one network; it answers to its service's name."""
    addresses = _without_empty(
        {"IPv4Address": attachment.ipv4_address, "IPv6Address": attachment.ipv6_address}
    )
    return _without_empty(
        {
            "Aliases": names.known_as(bundle.service, attachment.aliases),
            "IPAMConfig": addresses,
            "MacAddress": attachment.mac_address,
        }
    )


def network_name(bundle: Bundle, key: str) -> str:
    network = bundle.networks.get(key)
    return network.external if network and network.external else names.engine_name(bundle.app, key)


def _host_config(
    request: CreateRequest, engine_name: str, ulimits: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    spec = request.bundle.container
    limits = {name: (limit.soft, limit.hard) for name, limit in spec.ulimits.items()}
    return _without_empty(
        {
            "RestartPolicy": {"Name": "no"},
            "Mounts": _mounts(request),
            "Binds": _binds(request.bundle),
            "Tmpfs": _tmpfs(spec),
            "PortBindings": _port_bindings(request),
            "NetworkMode": _network_mode(request.bundle),
            "Privileged": spec.privileged or None,
            "ReadonlyRootfs": spec.read_only or None,
            "Init": spec.init,
            "CapAdd": list(spec.cap_add),
            "CapDrop": _cap_drop(spec),
            "SecurityOpt": list(spec.security_opt),
            "GroupAdd": list(spec.group_add),
            "ExtraHosts": list(spec.extra_hosts),
            "Dns": list(spec.dns),
            "DnsSearch": list(spec.dns_search),
            "DnsOptions": list(spec.dns_opt),
            "PidMode": spec.pid,
            "IpcMode": spec.ipc,
            "UTSMode": spec.uts,
            "UsernsMode": spec.userns_mode,
            "CgroupnsMode": spec.cgroup,
            "Devices": [_device(text) for text in spec.devices],
            "Sysctls": dict(spec.sysctls),
            "Ulimits": [
                {"Name": name, "Soft": soft, "Hard": hard}
                for name, (soft, hard) in sorted({**ulimits, **limits}.items())
            ],
            "ShmSize": spec.shm_size_bytes,
            "OomScoreAdj": spec.oom_score_adj,
            "NanoCpus": round(spec.limits.cpus * 1e9),
            "Memory": spec.limits.memory_bytes,
            "MemorySwap": spec.memory_swap_bytes,
            "PidsLimit": spec.limits.pids,
            "LogConfig": log_config(spec, engine_name),
            "Annotations": dict(spec.annotations),
        }
    )


def _cap_drop(spec: ContainerSpec) -> list[str]:
    """With NET_RAW, unless it is asked for: Docker gives it to every container, and who has it can pretend to be its neighbours."""
    asked, dropped = _capabilities(spec.cap_add), _capabilities(spec.cap_drop)
    if spec.privileged or asked & {"ALL", NET_RAW} or dropped & {"ALL", NET_RAW}:
        return list(spec.cap_drop)
    return [*spec.cap_drop, NET_RAW]


def _capabilities(written: Sequence[str]) -> set[str]:
    """Without `CAP_`, in capitals."""
    names_ = (name.upper() for name in written)
    return {name[4:] if name.startswith("CAP_") else name for name in names_}


def _mounts(request: CreateRequest) -> list[dict[str, Any]]:
    spec = request.bundle.container
    made = [
        _mount(request.bundle, mount)
        for mount in spec.mounts
        if mount.kind is not MountKind.TMPFS and not _by_text(mount)
    ]
    for reference in spec.configs:
        made.append(_file(request.files[reference.target], reference.target))
    for reference in spec.secrets:
        made.append(_file(request.bundle.secrets[reference.source].path, reference.target))
    if request.hosts:
        made.append(_file(request.hosts, names.HOSTS_FILE))
    return made


def _file(source: str, target: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}


def _mount(bundle: Bundle, mount: Mount) -> dict[str, Any]:
    made: dict[str, Any] = {"Type": mount.kind.value, "Target": mount.target}
    if mount.read_only:
        made["ReadOnly"] = True
    if mount.kind is MountKind.BIND:
        made["Source"] = mount.source
        if mount.propagation:
            made["BindOptions"] = {"Propagation": mount.propagation}
    elif mount.kind is MountKind.VOLUME and mount.source:
        made["Source"] = _volume_name(bundle, mount.source)
    return made


def _by_text(mount: Mount) -> bool:
    """What only the short form offers: SELinux labels, making the source folder, and, on Podman, a
    volume that is not filled from the image."""
    if mount.kind is MountKind.BIND:
        return bool(mount.selinux) or mount.create_host_path
    return mount.kind is MountKind.VOLUME and bool(mount.source) and mount.no_copy


def _binds(bundle: Bundle) -> list[str]:
    made = []
    for mount in bundle.container.mounts:
        if _by_text(mount):
            volume = mount.kind is MountKind.VOLUME
            source = _volume_name(bundle, mount.source) if volume else mount.source
            options = [
                "ro" if mount.read_only else "rw",
                "nocopy" if volume else "",
                mount.selinux,
                mount.propagation,
            ]
            made.append(f"{source}:{mount.target}:{','.join(o for o in options if o)}")
    return made


def _volume_name(bundle: Bundle, key: str) -> str:
    volume = bundle.volumes.get(key)
    return volume.external if volume and volume.external else names.engine_name(bundle.app, key)


def _tmpfs(spec: ContainerSpec) -> dict[str, str]:
    made = {}
    for mount in spec.mounts:
        if mount.kind is MountKind.TMPFS:
            options = [
                f"size={mount.tmpfs_size_bytes}" if mount.tmpfs_size_bytes else "",
                f"mode={mount.tmpfs_mode:o}" if mount.tmpfs_mode is not None else "",
                "ro" if mount.read_only else "",
            ]
            made[mount.target] = ",".join(option for option in options if option)
    return made


def _exposed(request: CreateRequest) -> dict[str, dict[str, str]]:
    ports = {f"{port.target}/{port.protocol}" for port in request.ports}
    ports |= {text if "/" in text else f"{text}/tcp" for text in request.bundle.container.expose}
    return {port: {} for port in sorted(ports)}


def _port_bindings(request: CreateRequest) -> dict[str, list[dict[str, str]]]:
    if request.bundle.container.network_mode == "host":
        return {}
    made: dict[str, list[dict[str, str]]] = {}
    for port in request.ports:
        binding = {"HostPort": str(port.published or "")}
        # Of a port that the engine chooses, each address would get another one.
        unnamed = request.addresses if port.published and not port.host_ip else ()
        for address in unnamed or (port.host_ip,):
            of_address = {**binding, "HostIp": address} if address else binding
            made.setdefault(f"{port.target}/{port.protocol}", []).append(of_address)
    return made


def _network_mode(bundle: Bundle) -> str:
    spec = bundle.container
    if spec.network_mode:
        return spec.network_mode
    return network_name(bundle, spec.networks[0].network) if spec.networks else "none"


def _networking(bundle: Bundle) -> dict[str, Any]:
    """The first network only: older engines take no more at creation, the others are connected after."""
    spec = bundle.container
    if spec.network_mode or not spec.networks:
        return {}
    first = spec.networks[0]
    return {"EndpointsConfig": {network_name(bundle, first.network): endpoint(first, bundle)}}


def _healthcheck(check: Optional[Healthcheck], engine_name: str) -> dict[str, Any]:
    if check is None:
        return {}
    if check.disabled:
        return {"Test": ["NONE"]}
    return _without_empty(
        {
            "Test": _test(check.test, engine_name),
            "Interval": round(check.interval_s * NS_PER_S),
            "Timeout": round(check.timeout_s * NS_PER_S),
            "StartPeriod": round(check.start_period_s * NS_PER_S),
            "Retries": check.retries,
        }
    )


def _test(words: Sequence[str], engine_name: str) -> list[str]:
    """Podman joins the words by spaces, and parts them anew at every space; a list in JSON it leaves whole
    (specgenutil, `makeHealthCheckFromCli`)."""
    spaced = any(not word or word.split() != [word] for word in words)
    if engine_name == "podman" and words and words[0] == "CMD" and spaced and len(words) > 2:
        return [json.dumps(list(words[1:]))]
    return list(words)


def log_config(spec: ContainerSpec, engine_name: str) -> dict[str, Any]:
    driver, options = spec.logging.driver, dict(spec.logging.options)
    if engine_name == "podman":
        # Podman's own file driver is k8s-file; it takes `json-file` as another name of it.
        driver = driver or "k8s-file"
        if driver in ("k8s-file", "json-file"):
            size = options.get("max-size", DEFAULT_LOGS["max-size"])
            return {"Type": "k8s-file", "Config": {"max-size": size}}
        return {"Type": driver, "Config": options}
    driver = driver or "json-file"
    if driver in ("json-file", "local"):
        options = {**DEFAULT_LOGS, **options}
    return {"Type": driver, "Config": options}


def _device(text: str) -> dict[str, str]:
    """`SOURCE[:TARGET[:PERMISSIONS]]`."""
    source, _, rest = text.partition(":")
    target, _, permissions = rest.partition(":")
    return {
        "PathOnHost": source,
        "PathInContainer": target or source,
        "CgroupPermissions": permissions or "rwm",
    }


def _list(words: Optional[Sequence[str]]) -> Optional[list[str]]:
    return None if words is None else list(words)


def _entrypoint(words: Optional[Sequence[str]]) -> Optional[list[str]]:
    """An empty entrypoint clears the image's; the API wants one empty word for that."""
    return [""] if words is not None and not words else _list(words)


def _without_empty(made: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing, so that the engine's defaults hold; False is said."""
    return {
        key: value
        for key, value in made.items()
        if value is False or (value is not None and value not in ("", [], {}) and value != 0)
    }
