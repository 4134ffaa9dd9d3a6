"""The Engine protocol: what the agent asks of a container engine, in Hullmark's own terms.

Implemented over the Docker API for Docker Engine and Podman (`docker_api`). All calls block and may be made
from any thread. Every call is idempotent: making what is there already (same name, same labels),
starting what runs, stopping what stopped and removing what is gone succeed.

Errors: EngineUnavailable where the engine does not answer; ImageUnavailable from `pull`;
NotFound and Conflict as named; Refused with the engine's own words for any other "no".
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol

from hullmark.model.app import Bundle, Healthcheck, Network, Volume
from hullmark.model.ejection import EngineRestart
from hullmark.model.epoch import Epoch
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId, PublishedPort

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all as far as known)."""


class ContainerState(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"


@dataclass(frozen=True)
class EngineInfo:
    """`name` is `docker` or `podman`. `runs_health_checks` False: the agent has to (Podman without systemd)."""

    name: str
    version: str
    socket: str
    runs_health_checks: bool = True


@dataclass(frozen=True)
class Container:
    """A container of ours as the engine has it. `instance` comes from its labels. `healthcheck` is the one in force,
    the app's or the image's, each of its times filled in; None: there is none. `health_output` is what the last
    failed check printed, in one line, and empty unless the container is unhealthy.

    Times are seconds since 1970, UTC; 0.0 means not yet. Addresses are by engine network name. `hosts_file` is the file of
    the host that is its /etc/hosts, empty where the engine has made one. `pid`: its first process, as the host counts; 0 where none runs.
    """

    container_id: str
    name: str
    instance: InstanceId
    cluster_id: str
    spec_hash: str
    epoch: Epoch
    state: ContainerState
    health: Health = Health.NONE
    health_output: str = ""
    exit_code: Optional[int] = None
    error: str = ""
    oom_killed: bool = False
    image: str = ""
    image_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    healthcheck: Optional[Healthcheck] = None
    hostname: str = ""
    domainname: str = ""
    extra_hosts: tuple[str, ...] = ()
    hosts_file: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Listed:
    """A container of ours as a cheap listing has it: enough to see whether it changed. `addresses` (Docker tells them) and `pid` (Podman
    does) are as the container's own; None and 0: this engine's listing doesn't say."""

    container_id: str
    name: str
    state: ContainerState
    health: Health
    addresses: Optional[Mapping[str, str]] = None
    pid: int = 0


@dataclass(frozen=True)
class Hand:
    """A path of the host that a container which is up may write to."""

    container_id: str
    name: str
    path: str


@dataclass(frozen=True)
class CreateRequest:
    """A container to be made. `files` gives the path of the agent's copy of each config, by its target in
    the container; `hosts` that of its hosts file, empty where the engine makes one. `addresses`: on which ones of the host a port is bound that
    names none; none: on whatever the host has at any time."""

    cluster_id: str
    instance: InstanceId
    spec_hash: str
    epoch: Epoch
    bundle: Bundle
    ports: tuple[PublishedPort, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    hosts: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """What an image reference means now. `digest` is empty where only a local image without one was
    found (then `local_id` is its id). `note` tells a person where the answer comes from. `exposed` are the ports that the image says it
    listens on (`80/tcp`); none also where nobody could say."""

    image: str
    digest: str = ""
    local_id: str = ""
    note: str = ""
    exposed: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineEvent:
    """Something happened to what `about` names: a `container`, `image`, `network` or `volume`. `action` as Docker names it
    (`die`, `start`, `health_status`, `oom`, `destroy`, `exec_create`, ...); what that one says beyond a word is
    `fields["detail"]`. `container_id` is the id of whatever it is. `ours`: a container with our labels."""

    action: str
    container_id: str
    name: str
    at: float
    fields: Mapping[str, str] = field(default_factory=dict)
    about: str = "container"
    ours: bool = True


@dataclass(frozen=True)
class LogLine:
    """One line without its newline. `stream` is `stdout` or `stderr`; `at` is RFC 3339 text."""

    stream: str
    at: str
    text: str


@dataclass(frozen=True)
class Command:
    """To be run in a container. `user` and `working_dir` empty: the container's own."""

    words: tuple[str, ...]
    user: str = ""
    working_dir: str = ""


class Execution(Protocol):
    """A command that was begun. May be used from any thread."""

    def pid(self) -> int:
        """Of its first process, as the host counts; 0 where it has ended, or that isn't known."""
        ...

    def cut(self) -> None:
        """Read no more of its output."""
        ...


class Attendant(Protocol):
    """Who has a command run. Called by the thread that runs it."""

    def begun(self, execution: Execution) -> None: ...

    def take(self, stream: str, data: bytes) -> None:
        """A part of what it wrote to `stdout` or `stderr`. What blocks here holds the command up."""
        ...

    @property
    def ended(self) -> str:
        """Why it was ended before its own time; empty where it was not."""
        ...


class DeedKind(enum.Enum):
    """What can be done to an engine. The value is the kind of its audit records."""

    CONTAINER_CREATE = "container.create"
    CONTAINER_START = "container.start"
    CONTAINER_STOP = "container.stop"
    CONTAINER_REMOVE = "container.remove"
    CONTAINER_UPDATE = "container.update"
    CONTAINER_EXEC = "container.exec"
    IMAGE_PULL = "image.pull"
    NETWORK_CREATE = "network.create"
    NETWORK_CONNECT = "network.connect"
    NETWORK_REMOVE = "network.remove"
    VOLUME_CREATE = "volume.create"
    VOLUME_REMOVE = "volume.remove"


@dataclass(frozen=True)
class Deed:
    """One change of the engine, about to be made. `name` is the container's, network's or volume's, or the image's
    reference. `body` is the request as the engine will get it; before a start, what `inspect` says of the container now.
    `request` is given where a container is created."""

    kind: DeedKind
    name: str
    body: Mapping[str, Any] = field(default_factory=dict)
    container_id: str = ""
    request: Optional[CreateRequest] = None


@dataclass
class Passage:
    """What becomes known while a deed is done."""

    container_id: str = ""
    image_digest: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Gate(Protocol):
    """Every change of an engine goes through one gate, at the last moment before the call."""

    def passing(self, deed: Deed) -> contextlib.AbstractContextManager[Passage]:
        """Entering raises PolicyRefused or AuditUnavailable, and then nothing is done. What the body raises is the
        deed's outcome, and goes on."""
        ...


class OpenGate:
    """Lets everything pass: for those who judge and record nothing, such as tests and looks at a host."""

    @contextlib.contextmanager
    def passing(self, deed: Deed) -> Iterator[Passage]:
        yield Passage(deed.container_id)


class Engine(Protocol):
    def info(self) -> EngineInfo: ...

    def ping(self, timeout_s: int) -> None:
        """Ask whether it answers at all. Raises EngineUnavailable."""

    def listed(self) -> Sequence[Listed]:
        """Every container that carries our labels, running or not, of any cluster."""
        ...

    def container(self, container_id: str) -> Container:
        """Raises NotFound."""
        ...

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        """All that the engine says of a container, ours or not. Raises NotFound."""
        ...

    def hands(self) -> Sequence[Hand]:
        """What containers that are up, ours or not, may write to on this host."""
        ...

    def told(self, path: str, **parameters: str) -> Any:
        """What the engine answers to a GET of its API, for checks: they read what nothing else needs. Raises NotFound."""
        ...

    def stat(self, container_id: str, path: str) -> Mapping[str, Any]:
        """`mode` (as Go has it), `size`, `linkTarget` of what is at a path of a container. Raises NotFound."""
        ...

    def inspected_image(self, image: str) -> Mapping[str, Any]:
        """By reference or id. Raises NotFound."""
        ...

    def inspected_network(self, name: str) -> Mapping[str, Any]:
        """By name or id. Raises NotFound."""
        ...

    def inspected_volume(self, name: str) -> Mapping[str, Any]:
        """Raises NotFound."""
        ...

    def has_image(self, bundle: Bundle) -> bool:
        """Whether the very image (by digest, where there is one) is on the host."""
        ...

    def pull(self, bundle: Bundle, progress: Optional[Progress] = None) -> None:
        """Raises ImageUnavailable naming the registry, the credential used and its age. `progress` is
        called as often as the engine tells how far it is."""
        ...

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        """What digest the reference has now. Raises ImageUnavailable."""
        ...

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        """One of ours with other settings is made anew. Raises Conflict where a container still uses it,
        and for a network of that name that is not the app's."""
        ...

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        """Whether it was made now, so that nothing is in it yet. Raises Conflict for a volume of that name that is not
        the app's, or has other settings."""
        ...

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        """(app, key) of every network that was made for this cluster."""
        ...

    def remove_network(self, app: str, key: str) -> None:
        """Removes one of ours that no container uses; leaves one that is in use."""
        ...

    def remove_volume(self, app: str, key: str) -> None: ...

    def create(self, request: CreateRequest) -> str:
        """The new container's id. One of the same name and spec hash is returned as it is; one of the
        same name with other labels raises Conflict."""
        ...

    def start(self, container_id: str) -> None: ...

    def stop(self, container_id: str) -> None:
        """With the signal and grace that it was made with, then SIGKILL. Returns when it has stopped."""
        ...

    def remove(self, container_id: str) -> None:
        """Removes a stopped container and its anonymous volumes. Raises Conflict for a running one."""
        ...

    def restart_policy(self, container_id: str) -> EngineRestart:
        """The engine's own. Raises NotFound."""
        ...

    def set_restart_policy(self, container_id: str, wanted: EngineRestart) -> EngineRestart:
        """What it is afterwards: some engines can't change that of a container that exists. Raises NotFound."""
        ...

    def check_health(self, container_id: str) -> Health:
        """Run the container's health check once, where the engine doesn't by itself."""
        ...

    def execute(self, container_id: str, command: Command, attendant: Attendant) -> int:
        """Run a command in a running container; its exit code. Blocks until it has ended. Raises Refused where the
        attendant ended it, Conflict where the container doesn't run."""
        ...

    def events(self) -> Iterator[EngineEvent]:
        """Blocks; ends when the engine goes away, raising EngineUnavailable, or after `close`."""
        ...

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        """`tail` is a number or `all`; `since` is seconds since 1970 as text, or empty."""
        ...

    def close(self) -> None: ...
