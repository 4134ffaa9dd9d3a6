"""An app as it was asked for: one Compose project, normalised.

Every short form of the Compose file is written out here, every variable is replaced, every duration is
in seconds and every size in bytes. `ContainerSpec` is what a container *is*; `DeploySpec` is how many
there are, where and how they change. Only the first decides whether a container must be made again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional, TypeVar

from hullmark.model.loadline import Required

_Item = TypeVar("_Item")


class MountKind(enum.Enum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


class PortMode(enum.Enum):
    INGRESS = "ingress"
    HOST = "host"


class RestartCondition(enum.Enum):
    ANY = "any"
    ON_FAILURE = "on-failure"
    NONE = "none"


class DependencyCondition(enum.Enum):
    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class PullPolicy(enum.Enum):
    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"


class DeployMode(enum.Enum):
    REPLICATED = "replicated"
    GLOBAL = "global"


class HostLoss(enum.Enum):
    """What happens to an instance whose host is lost (`x-hullmark.on_host_lost`)."""

    REPLACE = "replace"
    KEEP = "keep"
    STOP = "stop"


ENTRUSTED = (HostLoss.REPLACE, HostLoss.STOP)
"""A service that says one of these itself is started elsewhere although its data stays behind."""


class ClientAddress(enum.Enum):
    """How a service's containers learn who called a published port (`x-hullmark.client_address`)."""

    NONE = "none"  # the connection log alone has it
    PROXY = "proxy"  # the PROXY protocol, version 2, on every connection to its containers
    FORWARDED = "forwarded"  # X-Forwarded-For: the published port is read as HTTP


DRAIN_S = 5.0
"""How long an instance that stops may go on with the connections it has, where `x-hullmark.drain` doesn't say."""


class FailureAction(enum.Enum):
    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class UpdateOrder(enum.Enum):
    STOP_FIRST = "stop-first"
    START_FIRST = "start-first"


EVERY_ADDRESS = ("", "0.0.0.0", "::")
"""Of `host_ip`: a port that is published so leaves no address of the host free for another."""


@dataclass(frozen=True)
class PortSpec:
    """A declared port. `published_first` to `published_last` are host ports, 0 and 0 if any will do."""

    target: int
    published_first: int = 0
    published_last: int = 0
    protocol: str = "tcp"
    host_ip: str = ""
    mode: PortMode = PortMode.INGRESS


@dataclass(frozen=True)
class Mount:
    """A bind (source: absolute path on the host), a named volume (source: its key in the app; empty
    for an anonymous one) or a tmpfs (no source) at the absolute path `target`."""

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    propagation: str = ""
    selinux: str = ""
    create_host_path: bool = True
    no_copy: bool = False
    tmpfs_size_bytes: int = 0
    tmpfs_mode: Optional[int] = None


@dataclass(frozen=True)
class FileRef:
    """A config or secret of the app (`source` is its key) as a file in the container.

    `mode` is the permission bits. uid and gid are numbers as text, empty for 0.
    """

    source: str
    target: str
    uid: str = ""
    gid: str = ""
    mode: int = 0o444


@dataclass(frozen=True)
class Attachment:
    """The container's place on one of the app's networks."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str = ""
    ipv6_address: str = ""
    mac_address: str = ""


@dataclass(frozen=True)
class Healthcheck:
    """`test` begins with CMD or CMD-SHELL, as in the Docker API. `disabled` also switches off the
    image's own check. What is empty or zero is as the image says, or else as the engine does
    (30 s, 30 s, 3 in a row, no start period)."""

    test: tuple[str, ...] = ()
    interval_s: float = 0.0
    timeout_s: float = 0.0
    retries: int = 0
    start_period_s: float = 0.0
    disabled: bool = False


@dataclass(frozen=True)
class Restart:
    """When an instance that ended is started again. `max_attempts` 0 means without end; the count
    starts anew once an instance has run for `window_s`."""

    condition: RestartCondition = RestartCondition.ANY
    delay_s: float = 1.0
    max_attempts: int = 0
    window_s: float = 10.0


@dataclass(frozen=True)
class Ulimit:
    soft: int
    hard: int


@dataclass(frozen=True)
class Resources:
    """Zero means none set. CPUs are in units of one core."""

    cpus: float = 0.0
    memory_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True)
class Logging:
    """Empty means the host's default: the engine's file driver, rotated."""

    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerSpec:
    """What each container of a service is. None and empty mean: as the image says.

    `image` is the reference as written; `digest` is `sha256:...` once the leader has resolved it. `scope`: see `scope`.
    """

    image: str
    digest: str = ""
    command: Optional[tuple[str, ...]] = None
    entrypoint: Optional[tuple[str, ...]] = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    configs: tuple[FileRef, ...] = ()
    secrets: tuple[FileRef, ...] = ()
    user: str = ""
    group_add: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    domainname: str = ""
    read_only: bool = False
    init: Optional[bool] = None
    tty: bool = False
    stdin_open: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    network_mode: str = ""
    networks: tuple[Attachment, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    userns_mode: str = ""
    cgroup: str = ""
    devices: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ulimits: Mapping[str, Ulimit] = field(default_factory=dict)
    shm_size_bytes: int = 0
    oom_score_adj: int = 0
    stop_signal: str = ""
    stop_grace_s: float = 10.0
    restart: Restart = Restart()
    one_shot: bool = False
    healthcheck: Optional[Healthcheck] = None
    logging: Logging = Logging()
    pull_policy: PullPolicy = PullPolicy.MISSING
    platform: str = ""
    limits: Resources = Resources()
    memory_swap_bytes: int = 0
    scope: str = ""


@dataclass(frozen=True)
class UpdateConfig:
    """How instances are replaced. `parallelism` 0 means all at once."""

    parallelism: int = 1
    delay_s: float = 0.0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor_s: float = 5.0
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST


@dataclass(frozen=True)
class Placement:
    """Constraints and preferences as written, such as `node.labels.zone == a` and `node.labels.rack`. `require`: the controls
    that a host has to prove before it gets a new instance, beside those of the cluster's mark."""

    constraints: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    max_replicas_per_node: int = 0
    require: tuple[Required, ...] = ()


@dataclass(frozen=True)
class DeploySpec:
    """How many instances, where, and how they change. `on_host_lost` None: by local data."""

    mode: DeployMode = DeployMode.REPLICATED
    replicas: int = 1
    placement: Placement = Placement()
    reservations: Resources = Resources()
    labels: Mapping[str, str] = field(default_factory=dict)
    update: UpdateConfig = UpdateConfig()
    rollback: UpdateConfig = UpdateConfig()
    on_host_lost: Optional[HostLoss] = None


@dataclass(frozen=True)
class Dependency:
    service: str
    condition: DependencyCondition = DependencyCondition.STARTED
    required: bool = True


@dataclass(frozen=True)
class Service:
    """`uses`: services of other apps, or of its own on no common network, as `APP/SERVICE`: the declared data flow. `exposed`: ports that its
    image says it listens on (`80/tcp`), found out with its digest. `ingress`: constraints for the hosts whose proxy answers its published ports."""

    container: ContainerSpec
    deploy: DeploySpec = DeploySpec()
    ports: tuple[PortSpec, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    uses: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    ingress: tuple[str, ...] = ()
    client_address: ClientAddress = ClientAddress.NONE
    drain_s: float = DRAIN_S


@dataclass(frozen=True)
class Network:
    """One bridge per host that needs it. `subnet` empty: from the host's configured range.
    `external` is the name of an existing engine network, used and never made or removed."""

    internal: bool = False
    subnet: str = ""
    gateway: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    driver_options: Mapping[str, str] = field(default_factory=dict)
    enable_ipv6: bool = False
    external: str = ""


@dataclass(frozen=True)
class Volume:
    """`external` is the name of an existing engine volume, used and never made or removed."""

    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    external: str = ""


@dataclass(frozen=True)
class Config:
    """A file shipped with the spec. `content_b64` is base64; `sha256` is of the bytes."""

    content_b64: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Secret:
    """A file on each host, named by its absolute path. Its content never leaves the host."""

    path: str


@dataclass(frozen=True)
class App:
    """One Compose project. Mappings are keyed by the names in the Compose file."""

    name: str
    services: Mapping[str, Service]
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    configs: Mapping[str, Config] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """All that a host needs to run instances of one service. Its digest is the spec hash.

    Holds only the networks, volumes, configs and secrets that the container uses.
    """

    app: str
    service: str
    container: ContainerSpec
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    configs: Mapping[str, Config] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def bundle(app: App, service_name: str) -> Bundle:
    """Cut one service out of its app. Raises KeyError for a service that the app lacks."""
    container = app.services[service_name].container
    volumes = {mount.source for mount in container.mounts if mount.kind is MountKind.VOLUME}
    return Bundle(
        app=app.name,
        service=service_name,
        container=container,
        networks=_only(app.networks, {place.network for place in container.networks}),
        volumes=_only(app.volumes, volumes),
        configs=_only(app.configs, {ref.source for ref in container.configs}),
        secrets=_only(app.secrets, {ref.source for ref in container.secrets}),
    )


def _only(items: Mapping[str, _Item], names: set[str]) -> dict[str, _Item]:
    return {name: items[name] for name in sorted(names) if name in items}
