"""The form of single values of an app: what the reader accepts, and what a master checks again."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hullmark.errors import InvalidInput
from hullmark.model import names, reference, scope
from hullmark.model.control import LEVELS
from hullmark.model.loadline import CONTROL_NAME

MAX_TEXT_BYTES = 128 << 10
"""Linux takes no longer argument or variable (MAX_ARG_STRLEN, execve(2))."""

DAY_S = 86_400.0
MIN_MEMORY_BYTES = 6 << 20
"""Engines start no container with less."""

_MAX_BYTES = 1 << 50
_NOT = r"\s\x00-\x1f\x7f\ud800-\udfff"
"""In a class of characters: white space, and what no engine can be told."""


@dataclass(frozen=True)
class Form:
    """`holds` takes a value of the right type; `allowed` says to people what holds."""

    holds: Callable[[Any], bool]
    allowed: str


def pattern(regex: str, allowed: str, longest: int = 256) -> Form:
    compiled = re.compile(regex)
    return Form(lambda text: len(text) <= longest and bool(compiled.fullmatch(text)), allowed)


def choice(*words: str) -> Form:
    return Form(lambda text: text in words, ", ".join(words))


def between(least: float, most: float, allowed: str = "") -> Form:
    return Form(lambda number: least <= number <= most, allowed or f"{least:g} to {most:g}")


def optional(form: Form) -> Form:
    """Also empty, which means: not set."""
    return Form(lambda text: text == "" or form.holds(text), form.allowed)


def or_number(form: Form, *numbers: int) -> Form:
    """Also these numbers, which have a meaning of their own."""
    return Form(lambda number: number in numbers or form.holds(number), form.allowed)


def _is_text(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        return len(text.encode()) <= MAX_TEXT_BYTES
    except UnicodeEncodeError:
        return False


def _is_path(text: str) -> bool:
    return (
        text.startswith("/")
        and len(text) <= 4096
        and text.isprintable()
        and ".." not in text.split("/")
    )


def _is_image(text: str) -> bool:
    if re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        return False
    try:
        reference.parse(text)
    except InvalidInput:
        return False
    return True


def _address(version: int) -> Callable[[str], bool]:
    def holds(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return version in (0, address.version) and "%" not in text

    return holds


def _is_subnet(text: str) -> bool:
    try:
        return "/" in text and ipaddress.IPv4Network(text).prefixlen <= 30
    except ValueError:
        return False


def _is_extra_host(text: str) -> bool:
    host, _, address = text.partition(":")
    return HOST.holds(host) and (address == "host-gateway" or ADDRESS.holds(address))


# Text
TEXT = Form(_is_text, f"text of at most {MAX_TEXT_BYTES >> 10} KiB without NUL characters")
LINE = Form(lambda t: len(t) <= 4096 and t.isprintable(), "one line of printable characters")
WORD = pattern(rf"[^{_NOT}]+", "a word without white space")
KEY = pattern(r"[A-Za-z0-9._-]+", "1 to 63 letters, digits and . _ -", 63)
APP_NAME = Form(
    lambda text: bool(names.APP_NAME.fullmatch(text)),
    "1 to 63 lower-case letters, digits, _ and -, the first a letter or digit",
)
SERVICE_NAME = Form(
    lambda text: bool(names.SERVICE_NAME.fullmatch(text)),
    "1 to 63 letters, digits and . _ -, the first a letter or digit",
)
VARIABLE = pattern(rf"[^={_NOT}]+", "a variable's name, without = and white space")
LABEL = Form(
    lambda t: 0 < len(t) <= 512 and t.isprintable() and not t.startswith(names.LABEL_PREFIX),
    f"a label's name that does not begin with {names.LABEL_PREFIX}",
)
ENGINE_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a name that engines take", 255)

# The image and its process
IMAGE = Form(_is_image, "[REGISTRY/]NAME[:TAG][@sha256:...]; an image ID means nothing elsewhere")
DIGEST = pattern(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits")
PLATFORM = pattern(
    r"linux|(linux/)?(amd64|arm64|arm|386|ppc64le|s390x|riscv64|loong64|mips64le|x86_64|x86-64|"
    r"aarch64|armhf|armv6l|armv7l|i386|i686)(/v[0-9])?",
    "linux/ARCHITECTURE[/VARIANT], such as linux/amd64",
)
USER = pattern(rf"[^:{_NOT}]+(:[^:{_NOT}]+)?", "USER[:GROUP], names or numbers")
GROUP = pattern(rf"[^:{_NOT}]+", "a group's name or number")
OWNER = Form(
    lambda t: t.isdecimal() and t.isascii() and int(t[:11]) < 1 << 32, "a user or group number"
)
PATH = Form(_is_path, "an absolute path without ..")
BIND_SOURCE = Form(lambda t: _is_path(t) and ":" not in t, "an absolute path without .. and colons")
MOUNT_PATH = Form(
    lambda t: BIND_SOURCE.holds(t) and t.strip("/.") != "",
    "an absolute path without .. and colons, not / itself",
)
SIGNAL = pattern(
    r"(SIG)?[A-Z][A-Z0-9]{1,9}([+-][0-9]{1,2})?|[1-9]|[1-5][0-9]|6[0-4]", "SIGTERM, TERM or 15"
)
# capabilities(7), as of Linux 5.9
CAPABILITY = pattern(
    "ALL|"
    "AUDIT_CONTROL|AUDIT_READ|AUDIT_WRITE|BLOCK_SUSPEND|BPF|CHECKPOINT_RESTORE|CHOWN|"
    "DAC_OVERRIDE|DAC_READ_SEARCH|FOWNER|FSETID|IPC_LOCK|IPC_OWNER|KILL|LEASE|"
    "LINUX_IMMUTABLE|MAC_ADMIN|MAC_OVERRIDE|MKNOD|NET_ADMIN|NET_BIND_SERVICE|NET_BROADCAST|"
    "NET_RAW|PERFMON|SETFCAP|SETGID|SETPCAP|SETUID|SYS_ADMIN|SYS_BOOT|SYS_CHROOT|SYS_MODULE|"
    "SYS_NICE|SYS_PACCT|SYS_PTRACE|SYS_RAWIO|SYS_RESOURCE|SYS_TIME|SYS_TTY_CONFIG|SYSLOG|"
    "WAKE_ALARM",
    "ALL, or a capability of Linux such as NET_ADMIN",
)
SECURITY_OPT = pattern(
    r"no-new-privileges([:=](true|false))?|label[:=](disable|(user|role|type|level):[A-Za-z0-9_:.,-]+)|"
    r"apparmor[:=][A-Za-z0-9_./-]+|seccomp[:=]unconfined|systempaths[:=]unconfined",
    "no-new-privileges[:true|false], label:disable, label:user|role|type|level:VALUE, "
    "apparmor:PROFILE, seccomp:unconfined, systempaths:unconfined",
)
DRIVER = pattern(r"[a-z0-9][a-z0-9._/:-]*", "a driver's name")
ULIMIT = pattern(
    "as|core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack",
    "a limit of getrlimit(2) such as nofile",
)
SYSCTL = pattern(
    r"[a-z0-9_]+([./][A-Za-z0-9_*-]+)+", "a kernel parameter such as net.core.somaxconn"
)
DEVICE = Form(
    lambda t: (
        bool(re.fullmatch(rf"/[^:{_NOT}]+(:/[^:{_NOT}]+(:[rwm]{{1,3}})?)?", t))
        and all(_is_path(part) for part in t.split(":")[:2])
    ),
    "SOURCE[:TARGET[:PERMISSIONS]], paths and some of rwm",
)
PROPAGATION = choice("shared", "slave", "private", "rshared", "rslave", "rprivate")
SELINUX = choice("z", "Z")
CGROUP = choice("host", "private")
IPC = choice("host", "private", "shareable", "none")
HOSTS_OWN = choice("host")
SCOPE = choice(scope.CDE, scope.OUT)
CONTROL = Form(
    lambda text: bool(CONTROL_NAME.fullmatch(text)), "a control or a function, such as audit-trail"
)
LEVEL = Form(
    lambda level: level in LEVELS,
    ", ".join(f"{level} ({text})" for level, text in LEVELS.items()),
)

# Services
USED = Form(
    lambda text: (
        text.count("/") == 1
        and bool(names.APP_NAME.fullmatch(text.partition("/")[0]))
        and bool(names.SERVICE_NAME.fullmatch(text.partition("/")[2]))
    ),
    "APP/SERVICE, or SERVICE of the same app",
)
DRAIN = between(0, 300, "a duration from 0s to 5m, such as 30s")

# Networks
HOST = pattern(
    r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?", "a host name of at most 63 characters"
)
DOMAIN = pattern(r"\.|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?", "a domain name")
ADDRESS = Form(_address(0), "an IP address")
IPV4 = Form(_address(4), "an IPv4 address")
IPV6 = Form(_address(6), "an IPv6 address")
MAC = pattern(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", "a MAC address such as 02:42:ac:11:00:02")
SUBNET = Form(_is_subnet, "an IPv4 network such as 172.28.0.0/16, no smaller than /30")
EXTRA_HOST = Form(_is_extra_host, "HOST:ADDRESS or HOST:host-gateway")
# What engines take for a mode rather than for a network's name.
_MODES = {"bridge", "default", "host", "none", "ns", "pasta", "private", "slirp4netns"}
NETWORK_NAME = Form(
    lambda t: ENGINE_NAME.holds(t) and t not in _MODES,
    "the name of a network that somebody made; for host and none use network_mode",
)
NETWORK_MODE = choice("bridge", "host", "none")
PROTOCOL = choice("tcp", "udp", "sctp")
PORT = between(1, 65535, "a port from 1 to 65535")
EXPOSED = Form(
    lambda t: (
        bool(re.fullmatch(r"[1-9][0-9]{0,4}(/(tcp|udp|sctp))?", t))
        and PORT.holds(int(t.partition("/")[0]))
    ),
    "PORT[/PROTOCOL]",
)

# Placement
_SUBJECT = (
    r"node\.(id|hostname|platform\.os|platform\.arch|facts\.os|facts\.kernel|facts\.engine|"
    r"labels\.[A-Za-z0-9._/-]+)"
)
_SUBJECTS = (
    "node.labels.NAME, node.hostname, node.id, node.platform.os, node.platform.arch, "
    "node.facts.os, node.facts.kernel or node.facts.engine"
)
SPREAD = pattern(_SUBJECT, _SUBJECTS)
CONSTRAINT = pattern(
    rf" *{_SUBJECT} *(==|!=) *([^{_NOT}]( *[^{_NOT}])*)? *",
    f"KEY == VALUE or KEY != VALUE, KEY being {_SUBJECTS}",
)

# Numbers
REPLICAS = between(0, 5000)
BYTES = between(0, _MAX_BYTES, "a size from 0 to 1 PiB, such as 64m")
MEMORY = or_number(between(MIN_MEMORY_BYTES, _MAX_BYTES, "a size of at least 6m, such as 64m"), 0)
MEMORY_SWAP = or_number(between(0, _MAX_BYTES, "a size such as 1g, or -1 for no limit"), -1)
CPUS = between(0, 4096, "a number of cores from 0 to 4096, such as 0.5")
PIDS = or_number(between(0, 1 << 22, "a whole number from 0 to 4194304, or -1 for no limit"), -1)
RLIMIT = between(-1, (1 << 63) - 1, "a whole number from -1, which means no limit")
OOM_SCORE = between(-1000, 1000)
FILE_MODE = between(0, 0o777, "permission bits from 0000 to 0777")
TMPFS_MODE = between(0, 0o1777, "permission bits from 0000 to 1777")
DURATION = between(0, DAY_S, "a duration from 0s to 24h, such as 10s or 1m30s")
CHECK_DURATION = between(0.001, DAY_S, "a duration from 1ms to 24h, such as 10s or 1m30s")
RETRIES = between(1, 10_000)
ATTEMPTS = between(0, 1_000_000)
PARALLELISM = between(0, 5000)
PRIORITY = between(-(10**9), 10**9)
RATIO = between(0, 1, "a number from 0 to 1")

# The fields of a container that are text, and those that are lists of it; empty text means: not set.
TEXTS: Mapping[str, Form] = {
    "user": USER,
    "working_dir": PATH,
    "hostname": HOST,
    "domainname": DOMAIN,
    "platform": PLATFORM,
    "network_mode": NETWORK_MODE,
    "pid": HOSTS_OWN,
    "ipc": IPC,
    "uts": HOSTS_OWN,
    "userns_mode": HOSTS_OWN,
    "cgroup": CGROUP,
    "stop_signal": SIGNAL,
}
LISTS: Mapping[str, Form] = {
    "group_add": GROUP,
    "security_opt": SECURITY_OPT,
    "dns": ADDRESS,
    "dns_search": DOMAIN,
    "dns_opt": WORD,
}
# Lists that the reader writes out in full first.
WRITTEN_OUT: Mapping[str, Form] = {
    "cap_add": CAPABILITY,
    "cap_drop": CAPABILITY,
    "devices": DEVICE,
    "expose": EXPOSED,
    "extra_hosts": EXTRA_HOST,
}
# Mappings of text, by the form of their names.
PAIRS: Mapping[str, Form] = {
    "environment": VARIABLE,
    "labels": LABEL,
    "annotations": LABEL,
    "sysctls": SYSCTL,
}
NUMBERS: Mapping[str, Form] = {
    "shm_size_bytes": BYTES,
    "oom_score_adj": OOM_SCORE,
    "stop_grace_s": DURATION,
    "memory_swap_bytes": MEMORY_SWAP,
}
