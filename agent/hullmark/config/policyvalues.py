"""Readers of the values of a policy's rules. Each raises ValueError with what is allowed."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from hullmark.model.policy import ANY, ASKERS, LIMITS, NAMESPACES, Form

ITEMS_MAX = 1000
TEXT_MAX = 512
CAPABILITIES = frozenset(
    [
        "ALL",
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ]
)
"""Of capabilities(7), Linux 6.x; and ALL."""
PROPAGATIONS = ("private", "slave", "shared")
_IMAGES_FROM = re.compile(
    r"[a-zA-Z0-9.*?\[\]-]+(:[0-9]{1,5})?(/[a-z0-9._*?-]+)*(@sha256:[0-9a-f]{64})?"
)
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?\s*(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class NotMeant(ValueError):
    """`form` is what is allowed; `item` the one of a list that is none of it."""

    def __init__(self, form: str, item: str = "") -> None:
        super().__init__(form)
        self.item = item


def yes(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(Form.YES.value)


def texts(value: Any, form: str = "a list of texts") -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        raise ValueError(form)
    for item in value:
        good = isinstance(item, str) and 0 < len(item) <= TEXT_MAX
        if not good or not item.isprintable() or item.strip() != item:
            raise ValueError(form)
    return tuple(value)


def some_of(*allowed: str) -> Callable[[Any], tuple[str, ...]]:
    form = f"a list of some of: {', '.join(allowed)}"

    def read(value: Any) -> tuple[str, ...]:
        found = texts(value, form)
        for item in found:
            if item not in allowed:
                raise NotMeant(form, item)
        return found

    return read


def capabilities(value: Any) -> tuple[str, ...]:
    """In capitals, without CAP_."""
    names = [item.upper() for item in texts(value)]
    found = tuple(name[4:] if name.startswith("CAP_") else name for name in names)
    wrong = sorted(set(found) - CAPABILITIES)
    if wrong:
        raise NotMeant("a list of capabilities such as NET_BIND_SERVICE", wrong[0])
    return found


def paths(value: Any) -> tuple[str, ...]:
    form = "a list of absolute paths without `.` and `..`"
    found = texts(value, form)
    for item in found:
        plain = item == "/" or item.rstrip("/") == "/" + posixpath.normpath(item).lstrip("/")
        if not item.startswith("/") or not plain:
            raise NotMeant(form, item)
    return tuple(item.rstrip("/") or "/" for item in found)


def places(value: Any) -> tuple[str, ...]:
    form = "a list of REGISTRY[/REPOSITORY][@sha256:64 digits], such as docker.io/library"
    found = texts(value, form)
    for item in found:
        if not _IMAGES_FROM.fullmatch(item):
            raise NotMeant(form, item)
    return found


def ports(value: Any) -> tuple[str, ...]:
    form = "a list of ports and ranges such as 443, 8000-8999, 53/udp"
    if not isinstance(value, list):
        raise ValueError(form)
    found = texts([str(each) if type(each) is int else each for each in value], form)
    for item in found:
        parts = _PORTS.fullmatch(item)
        last = int(parts[2] or parts[1]) if parts else 0
        if not parts or not 0 < int(parts[1]) <= last <= 65535:
            raise NotMeant(form, item)
    return found


def addresses(value: Any) -> tuple[str, ...]:
    form = "a list of addresses and networks such as 127.0.0.1, 10.0.0.0/8"
    found = texts(value, form)
    for item in found:
        try:
            ipaddress.ip_network(item)
        except ValueError:
            raise NotMeant(form, item) from None
    return found


def size(value: Any) -> int:
    """Bytes."""
    found = _SIZE.fullmatch(str(value)) if type(value) in (int, str) else None
    if found is None:
        raise ValueError("a size such as 512MiB or 2GiB")
    whole, part, unit = found[1], found[2] or "0", (found[3] or "").lower()
    scale: int = 10 ** len(part)
    return (int(whole) * scale + int(part)) * _UNITS[unit] // scale


def number(value: Any) -> float:
    if type(value) in (int, float) and abs(value) < 1e15:
        return float(value)
    raise ValueError("a number")


def table(value: Any) -> Mapping[str, int]:
    good = isinstance(value, dict) and len(value) <= ITEMS_MAX
    if not good or not all(type(each) is int and 0 <= each < 1 << 63 for each in value.values()):
        raise ValueError("a mapping such as nofile: 65536")
    return {name.lower(): amount for name, amount in value.items()}


Read = Callable[[Any], object]
_BY_FORM: Mapping[Form, Read] = {
    Form.YES: yes,
    Form.NAMES: texts,
    Form.PATHS: paths,
    Form.PORTS: ports,
    Form.ADDRESSES: addresses,
    Form.SIZE: size,
    Form.NUMBER: number,
    Form.TABLE: table,
}
_BY_KEY: Mapping[str, Read] = {
    "host_namespaces": some_of(*NAMESPACES),
    "capabilities.add": capabilities,
    "capabilities.drop": capabilities,
    "mounts.propagation": some_of(*PROPAGATIONS, *("r" + each for each in PROPAGATIONS)),
    "images.from": places,
    "limits.require": some_of(*LIMITS),
    "services.from": some_of(*ASKERS),
}
_NEVER_ANY = frozenset({"capabilities.drop", "limits.require"})
"""Lists of what has to be."""


def read(key: str, form: Form, value: Any) -> object:
    """A rule's value. Raises ValueError, of an item of a list NotMeant."""
    if value == "any" and form is not Form.YES:
        if key in _NEVER_ANY:
            raise ValueError("a list; [] for none")
        return ANY
    try:
        return _BY_KEY.get(key, _BY_FORM[form])(value)
    except ValueError as error:
        more = "" if form is Form.YES or key in _NEVER_ANY else ", or any"
        raise NotMeant(f"{error}{more}", getattr(error, "item", "")) from None
