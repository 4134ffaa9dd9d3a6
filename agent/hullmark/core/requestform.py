"""The fields that a request to an engine may have: a list of what is allowed, by name and form.

A field that the engine room learns to send is refused until it stands here, which is when somebody decides what policy says of
it. Names are compared by case, although engines don't: two spellings of one field can't both be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from hullmark.core.judgement import Case, cited

INT_MAX = 2**63 - 1


@dataclass(frozen=True)
class ListOf:
    item: FieldForm


@dataclass(frozen=True)
class MapOf:
    """Any names."""

    value: FieldForm


@dataclass(frozen=True)
class Record:
    """These names and no other."""

    fields: Mapping[str, FieldForm]


FieldForm = Union[type, ListOf, MapOf, Record]
"""A type is str, bool or int."""
TEXTS = ListOf(str)
TEXT_MAP = MapOf(str)

ENDPOINT = Record(
    {
        "Aliases": TEXTS,
        "IPAMConfig": Record({"IPv4Address": str, "IPv6Address": str}),
        "MacAddress": str,
    }
)
MOUNT = Record(
    {
        "Type": str,
        "Source": str,
        "Target": str,
        "ReadOnly": bool,
        "BindOptions": Record({"Propagation": str}),
    }
)
HEALTHCHECK = Record(
    {"Test": TEXTS, "Interval": int, "Timeout": int, "StartPeriod": int, "Retries": int}
)
HOST_CONFIG = Record(
    {
        "RestartPolicy": Record({"Name": str}),
        "Mounts": ListOf(MOUNT),
        "Binds": TEXTS,
        "Tmpfs": TEXT_MAP,
        "PortBindings": MapOf(ListOf(Record({"HostIp": str, "HostPort": str}))),
        "NetworkMode": str,
        "Privileged": bool,
        "ReadonlyRootfs": bool,
        "Init": bool,
        "CapAdd": TEXTS,
        "CapDrop": TEXTS,
        "SecurityOpt": TEXTS,
        "GroupAdd": TEXTS,
        "ExtraHosts": TEXTS,
        "Dns": TEXTS,
        "DnsSearch": TEXTS,
        "DnsOptions": TEXTS,
        "PidMode": str,
        "IpcMode": str,
        "UTSMode": str,
        "UsernsMode": str,
        "CgroupnsMode": str,
        "Devices": ListOf(
            Record({"PathOnHost": str, "PathInContainer": str, "CgroupPermissions": str})
        ),
        "Sysctls": TEXT_MAP,
        "Ulimits": ListOf(Record({"Name": str, "Soft": int, "Hard": int})),
        "ShmSize": int,
        "OomScoreAdj": int,
        "NanoCpus": int,
        "Memory": int,
        "MemorySwap": int,
        "PidsLimit": int,
        "LogConfig": Record({"Type": str, "Config": TEXT_MAP}),
        "Annotations": TEXT_MAP,
    }
)
CREATION = Record(
    {
        "Image": str,
        "Labels": TEXT_MAP,
        "Env": TEXTS,
        "Cmd": TEXTS,
        "Entrypoint": TEXTS,
        "User": str,
        "WorkingDir": str,
        "Hostname": str,
        "Domainname": str,
        "Tty": bool,
        "OpenStdin": bool,
        "StopSignal": str,
        "StopTimeout": int,
        "MacAddress": str,
        "ExposedPorts": MapOf(Record({})),
        "Healthcheck": HEALTHCHECK,
        "HostConfig": HOST_CONFIG,
        "NetworkingConfig": Record({"EndpointsConfig": MapOf(ENDPOINT)}),
    }
)
VOLUME = Record({"Name": str, "Driver": str, "DriverOpts": TEXT_MAP, "Labels": TEXT_MAP})
NETWORK = Record(
    {
        "Name": str,
        "Driver": str,
        "CheckDuplicate": bool,
        "Internal": bool,
        "EnableIPv6": bool,
        "Options": TEXT_MAP,
        "Labels": TEXT_MAP,
        "IPAM": Record({"Driver": str, "Config": ListOf(Record({"Subnet": str, "Gateway": str}))}),
    }
)
CONNECT = Record({"Container": str, "EndpointConfig": ENDPOINT})
EXEC = Record(
    {
        "Cmd": TEXTS,
        "User": str,
        "WorkingDir": str,
        "Env": TEXTS,
        "Tty": bool,
        "Privileged": bool,
        "AttachStdin": bool,
        "AttachStdout": bool,
        "AttachStderr": bool,
        "DetachKeys": str,
    }
)
UPDATE = Record({"RestartPolicy": Record({"Name": str, "MaximumRetryCount": int})})
PULL = Record({"fromImage": str, "tag": str, "platform": str})


def known(case: Case, value: object, form: FieldForm, where: str = "") -> bool:
    """Whether a request has no field but those of its form. Each other one is a violation that names it."""
    if isinstance(form, Record):
        return _record(case, value, form, where)
    if isinstance(form, MapOf) and isinstance(value, Mapping):
        held = [_text(case, key, where) for key in value]
        held += [
            known(case, each, form.value, f"{where}[{cited(key)}]") for key, each in value.items()
        ]
        return all(held)
    if isinstance(form, ListOf) and isinstance(value, (list, tuple)):
        held = [known(case, each, form.item, f"{where}[{n}]") for n, each in enumerate(value)]
        return all(held)
    if form is int and type(value) is int and abs(value) <= INT_MAX:
        return True
    if form is bool and type(value) is bool:
        return True
    if form is str:
        return _text(case, value, where)
    case.never(f"{where} has a form that is not known here")
    return False


def _record(case: Case, value: object, form: Record, where: str) -> bool:
    if not isinstance(value, Mapping):
        case.never(f"{where or 'the request'} has a form that is not known here")
        return False
    held = True
    for key, item in value.items():
        named = f"{where}.{cited(key)}" if where else cited(key)
        inside = form.fields.get(key) if isinstance(key, str) else None
        if inside is None:
            case.never(f"{named} is a field that no rule knows, so it is refused")
            held = False
        elif not known(case, item, inside, named):
            held = False
    return held


def _text(case: Case, value: object, where: str) -> bool:
    if isinstance(value, str) and "\0" not in value:
        return True
    case.never(f"{where} has a form that is not known here")
    return False
