"""A host's policy: what its owner lets containers have, whatever a master orders; and what had to be looked up to judge that.

A policy is a table of rules, each a dotted key with a value, and exemptions: rules that hold for some services in place of
the host's. `RULES` has every key. A rule that no file gives holds as its default says.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Optional

ANY = None
"""Of a list, a number or a table: everything is allowed."""
CDE = "cde"
OUT = "out"
SCOPES = (CDE, OUT)
REPORT = "report"
STOP = "stop"


class Form(enum.Enum):
    """What a rule's value is."""

    YES = "true or false"
    NAMES = "a list of texts, or any"
    PATHS = "a list of absolute paths, or any"
    PORTS = "a list of ports and ranges such as 443, 8000-8999 or 53/udp, or any"
    ADDRESSES = "a list of addresses and networks such as 127.0.0.1 or 10.0.0.0/8, or any"
    SIZE = "a size such as 512MiB, or any"
    NUMBER = "a number, or any"
    TABLE = "a mapping of names to whole numbers, or any"


@dataclass(frozen=True)
class Key:
    """One rule that a file may give. `default` holds where none does."""

    form: Form
    default: object
    meaning: str


NAMESPACES = ("network", "pid", "ipc", "uts", "user", "cgroup")
LIMITS = ("memory", "cpus", "pids")
PUBLISHED = "published"
ASKERS = (CDE, OUT, PUBLISHED)
"""Of `services.from`: services of this scope, a service without one being out; a port of another host's, which anybody may be behind."""

RULES: Mapping[str, Key] = MappingProxyType(
    {
        "privileged": Key(Form.YES, True, "privileged containers, and privileged exec"),
        "host_namespaces": Key(Form.NAMES, ANY, f"of the host's: {', '.join(NAMESPACES)}"),
        "join_namespaces": Key(Form.YES, True, "namespaces of another container, or of a path"),
        "capabilities.add": Key(
            Form.NAMES,
            ANY,
            "that may be added to the engine's own; NET_RAW only where a file says so",
        ),
        "capabilities.drop": Key(Form.NAMES, (), "that have to be dropped; ALL: every one"),
        "devices": Key(Form.NAMES, ANY, "of the host's, by path or pattern"),
        "mounts.read": Key(Form.PATHS, ANY, "of the host's that may be mounted, with all below"),
        "mounts.write": Key(Form.PATHS, ANY, "the same for writing, which includes reading"),
        "mounts.propagation": Key(
            Form.NAMES, ANY, "private, slave, shared, or one with r before it"
        ),
        "mounts.guarded": Key(
            Form.PATHS, (), "Hullmark's and the engine's own that may be mounted too"
        ),
        "engine_socket": Key(Form.YES, False, "an engine's socket, or a folder that it is in"),
        "volumes.drivers": Key(Form.NAMES, ANY, "of volumes"),
        "volumes.types": Key(Form.NAMES, ANY, "file systems of the local driver's option `type`"),
        "volumes.external": Key(Form.NAMES, ANY, "volumes that are not the app's own, by pattern"),
        "networks.drivers": Key(Form.NAMES, ANY, "of networks"),
        "networks.options": Key(Form.NAMES, ANY, "driver options of networks, by pattern"),
        "networks.subnets": Key(Form.ADDRESSES, ANY, "that networks may take their addresses from"),
        "networks.external": Key(
            Form.NAMES, ANY, "networks that are not the app's own, by pattern"
        ),
        "images.from": Key(
            Form.NAMES, ANY, "registries and repositories, such as registry.example.com/shop"
        ),
        "images.digest": Key(Form.YES, False, "whether an image has to be named by its digest"),
        "user.root": Key(Form.YES, True, "whether a container may run as user 0"),
        "user.names": Key(Form.YES, True, "users by name, which the image itself gives a number"),
        "user.root_group": Key(Form.YES, True, "group 0, also where no group is said"),
        "read_only_root": Key(
            Form.YES, False, "whether the container's own files have to be read-only"
        ),
        "no_new_privileges": Key(
            Form.YES, False, "whether set-uid programs have to have no effect"
        ),
        "seccomp": Key(Form.NAMES, ANY, "profiles: default, unconfined, or as in security_opt"),
        "apparmor": Key(Form.NAMES, ANY, "profiles: default, unconfined, or a name"),
        "selinux": Key(Form.NAMES, ANY, "labels: default, disable, or type:NAME and so on"),
        "system_paths": Key(Form.YES, True, "taking away the cover over the kernel's files"),
        "limits.require": Key(Form.NAMES, (), f"limits that have to be set: {', '.join(LIMITS)}"),
        "limits.memory": Key(Form.SIZE, ANY, "the most memory of one container"),
        "limits.memory_swap": Key(Form.SIZE, ANY, "the most memory and swap together"),
        "limits.shm": Key(Form.SIZE, ANY, "the largest /dev/shm"),
        "limits.cpus": Key(Form.NUMBER, ANY, "the most CPUs of one container"),
        "limits.pids": Key(Form.NUMBER, ANY, "the most processes of one container"),
        "limits.ulimits": Key(
            Form.TABLE, ANY, "the highest value of each ulimit; others are refused"
        ),
        "limits.oom_score_adj": Key(Form.NUMBER, ANY, "the lowest oom_score_adj"),
        "ports.published": Key(Form.PORTS, ANY, "host ports"),
        "ports.addresses": Key(
            Form.ADDRESSES, ANY, "host addresses of ports; 0.0.0.0 and :: are all of them"
        ),
        "ports.approved": Key(
            Form.PORTS, ANY, "ports that the host's own programs may listen on; nothing is stopped"
        ),
        "services.from": Key(
            Form.NAMES,
            ANY,
            f"who on other hosts may use services here: {', '.join(ASKERS)}; of a cde host cde",
        ),
        "sysctls": Key(Form.NAMES, ANY, "kernel settings, by pattern"),
        "annotations": Key(
            Form.NAMES, ANY, "by pattern; those that steer runtimes only where named"
        ),
        "logging.drivers": Key(Form.NAMES, ANY, "log drivers"),
        "logging.addresses": Key(Form.NAMES, ANY, "where log drivers may send to, by pattern"),
        "exec.allowed": Key(Form.YES, False, "running commands in containers"),
        "exec.interactive": Key(Form.YES, False, "running them with a terminal or input"),
    }
)


@dataclass(frozen=True)
class Rule:
    """`value` has the form that RULES says, lists as tuples. `file` is empty where no file gives the rule."""

    key: str
    value: object
    file: str = ""
    line: int = 0

    @property
    def yes(self) -> bool:
        return self.value is True

    @property
    def items(self) -> Optional[tuple[str, ...]]:
        """Of a list; None: any."""
        return self.value if isinstance(self.value, tuple) else None

    @property
    def most(self) -> Optional[float]:
        """Of a size or a number; None: any."""
        number = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        return float(self.value) if number else None  # type: ignore[arg-type]

    @property
    def table(self) -> Optional[Mapping[str, int]]:
        return self.value if isinstance(self.value, Mapping) else None


@dataclass(frozen=True)
class Rules:
    """What holds for one service: its exemptions before the host's rules before the defaults."""

    given: Mapping[str, Rule] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Rule:
        """Raises KeyError for a key that is none."""
        return self.given.get(key) or Rule(key, RULES[key].default)


@dataclass(frozen=True)
class Exemption:
    """Rules for the services whose APP/SERVICE fits `pattern` (`*` and `?` as in file names, APP alone: all of its services)."""

    pattern: str
    given: Mapping[str, Rule] = field(default_factory=dict)

    def fits(self, app: str, service: str) -> bool:
        pattern = self.pattern if "/" in self.pattern else f"{self.pattern}/*"
        return fnmatchcase(f"{app}/{service}", pattern)


@dataclass(frozen=True)
class Policy:
    """All files of a host's policy, merged. `scope` is empty, `cde` or `out`. `digest` is of the files' names and bytes:
    another one is another policy."""

    scope: str = ""
    on_violation: str = REPORT
    given: Mapping[str, Rule] = field(default_factory=dict)
    exemptions: tuple[Exemption, ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""
    scope_file: str = ""
    scope_line: int = 0

    def rules_for(self, app: str, service: str) -> Rules:
        """Later exemptions win, rule by rule."""
        given = dict(self.given)
        for exemption in self.exemptions:
            if exemption.fits(app, service):
                given.update(exemption.given)
        return Rules(given)


@dataclass(frozen=True)
class Violation:
    """`rule` is a key of RULES, `scope`, or `request` for what no policy can allow."""

    rule: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """`privileged: not allowed here (50-pci.yaml:12)`: the file without its folder, as all are in one."""
        place = f"{self.file.rpartition('/')[2]}:{self.line}" if self.file else "built in"
        return f"{self.rule}: {self.message} ({place})"


@dataclass(frozen=True)
class Guarded:
    """A file or folder of Hullmark's or the engine's that no container gets unless `mounts.guarded` names it.
    `readable`: it may be mounted read-only."""

    path: str
    what: str
    readable: bool = False


@dataclass(frozen=True)
class PathSight:
    """A path of the host as the engine will find it. `resolved` is absolute, without links, `.` and `..`; what isn't there yet is
    the rest of it. `loose` names each folder or link on the way that others than root could change or put another in the place of
    (`/srv/app (user 1000)`). `engine_socket`: it is an engine's socket by its inode, whatever its name. `also`: where the same
    files are by other mounts of the host. `below`: what is mounted in it that can be written, also where it is mounted read-only."""

    resolved: str
    loose: tuple[str, ...] = ()
    engine_socket: bool = False
    also: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class VolumeSight:
    """A volume as the engine has it. `app`: of its label `io.hullmark.app`, empty for one that is nobody's."""

    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    mountpoint: str = ""
    app: str = ""


@dataclass(frozen=True)
class NetworkSight:
    """A network as the engine has it. `app` as of a volume."""

    name: str
    driver: str = "bridge"
    options: Mapping[str, str] = field(default_factory=dict)
    app: str = ""


@dataclass(frozen=True)
class ImageSight:
    """An image as the engine has it. `user` is what containers of it run as unless they say another; `names` are its
    references, by tag and by digest."""

    user: str = ""
    image_id: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """What has to be looked up before a request can be judged: paths of the host as written, names (or ids) of volumes and
    networks, an image's reference (empty: none), and names or ids of containers whose namespaces are joined."""

    paths: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    image: str = ""
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sights:
    """What was looked up. A needed path, or image, that is missing here is a violation. A volume or network that is missing doesn't exist.

    `app` and `service` come from the instance, `scope` is the service's (`cde` or empty). `own_files`: the agent's copies of
    configs, which may be mounted read-only. `joined`: which of the host's namespaces a container has, also by joining another one's.
    `engine_sockets`: resolved paths. `troubles`: why paths that are missing could not be
    followed."""

    engine: str = "docker"
    app: str = ""
    service: str = ""
    scope: str = ""
    paths: Mapping[str, PathSight] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, VolumeSight] = field(default_factory=dict)
    networks: Mapping[str, NetworkSight] = field(default_factory=dict)
    image: Optional[ImageSight] = None
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_files: tuple[str, ...] = ()
    engine_sockets: tuple[str, ...] = ()
    guarded: tuple[Guarded, ...] = ()
