"""What policy says of how much of the host a container takes: limits, kernel settings, ports, logs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional, Union

from hullmark.core.judgement import Case, cited, fits
from hullmark.model.sizes import in_words

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
LOG_OPTIONS_REFUSED = ("path",)
"""Podman's k8s-file writes to any file of the host that this names."""
_SENDS_TO = ("address", "url", "uri", "endpoint", "host", "server")
NANO = 1_000_000_000
SHM_UNSET = 64 << 20
"""Of both engines."""
_SYSCTL = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", re.IGNORECASE)
"""No slash: a runtime makes a path below /proc/sys of it."""
_ULIMIT = re.compile(r"[a-z_]+", re.IGNORECASE)
_TARGET = re.compile(r"[0-9]{1,5}(/(tcp|udp|sctp))?")
_EVERYWHERE = frozenset({"0.0.0.0", "::", "0.0.0.0/0", "::/0"})
_FILE_LOGS = frozenset({"json-file", "k8s-file"})
"""Podman takes the one for the other, and tells the other for the one."""


def judge(case: Case, host: Mapping[str, Any]) -> None:
    _judge_amounts(case, host)
    for name, value in (host.get("Sysctls") or {}).items():
        if not _SYSCTL.fullmatch(name):
            case.never(f"the sysctl {cited(name)} is of a form that is not known here")
        elif not case.lists("sysctls", name):
            case.no("sysctls", f"{cited(name)}={cited(value)} is not allowed here")
    _judge_ulimits(case, host)
    lowest, adjusted = case.rules["limits.oom_score_adj"].most, host.get("OomScoreAdj") or 0
    if lowest is not None and adjusted < lowest:
        case.no("limits.oom_score_adj", f"{adjusted} is below {lowest:g}")
    judge_ports(case, host.get("PortBindings") or {})
    judge_logs(case, host.get("LogConfig") or {})


def _judge_amounts(case: Case, host: Mapping[str, Any]) -> None:
    amounts = {
        "memory": host.get("Memory") or 0,
        "cpus": cpus(host),
        "pids": max(host.get("PidsLimit") or 0, 0),
    }
    for name in case.rules["limits.require"].items or ():
        if amounts.get(name, 0) <= 0:
            case.no("limits.require", f"no limit of {name} is set")
    amounts["shm"] = host.get("ShmSize") or SHM_UNSET
    for name, amount in amounts.items():
        _judge_most(case, name, amount)
    swap = host.get("MemorySwap") or 0
    _judge_most(case, "memory_swap", max(swap, 0) or (2 * amounts["memory"] if swap == 0 else 0))


def _judge_most(case: Case, name: str, amount: float) -> None:
    most = case.rules[f"limits.{name}"].most
    if most is None:
        return
    if amount <= 0:
        told = f"no limit is set; at most {_shown(name, most)} is allowed here"
        case.no(f"limits.{name}", told)
    elif amount > most:
        told = f"{_shown(name, amount)} is more than {_shown(name, most)}"
        case.no(f"limits.{name}", told)


def _shown(name: str, amount: float) -> str:
    return f"{amount:g}" if name in ("cpus", "pids") else in_words(int(amount))


def cpus(host: Mapping[str, Any]) -> float:
    """0 for no limit. Podman tells a quota and its period."""
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 100_000
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / NANO
    return float(quota) / float(period) if quota > 0 else 0.0


def _judge_ulimits(case: Case, host: Mapping[str, Any]) -> None:
    allowed = case.rules["limits.ulimits"].table
    for limit in host.get("Ulimits") or ():
        name = str(limit.get("Name") or "").lower()
        if not _ULIMIT.fullmatch(name):
            case.never(f"the ulimit {cited(name)} is of a form that is not known here")
        if allowed is None:
            continue
        name = name[len("rlimit_") :] if name.startswith("rlimit_") else name
        most = allowed.get(name)
        for value in (limit.get("Soft", 0), limit.get("Hard", 0)):
            if most is None or value < 0 or value > most:
                told = "is not allowed here" if most is None else f"is more than {most}"
                case.no("limits.ulimits", f"{cited(name)} {value} {told}")


# -- ports


def judge_ports(case: Case, bindings: Mapping[str, Any]) -> None:
    for target, bound in bindings.items():
        protocol = target.partition("/")[2] or "tcp"
        if not _TARGET.fullmatch(target):
            case.never(f"the port {cited(target)} is of a form that is not known here")
        for binding in bound or ():
            _judge_port(case, str(binding.get("HostPort") or ""), protocol)
            judge_address(case, str(binding.get("HostIp") or ""), "ports.addresses")


def _judge_port(case: Case, text: str, protocol: str) -> None:
    allowed = case.rules["ports.published"].items
    ports = port_range(text)
    if text and ports is None:
        case.never(f"the host port {cited(text)} is of a form that is not known here")
    elif allowed is not None and text in ("", "0"):
        case.no("ports.published", "no host port is named, so that it could be any")
    elif allowed is not None and ports is not None:
        for port in range(ports[0], ports[1] + 1):
            if not any(has_port(item, port, protocol) for item in allowed):
                case.no("ports.published", f"{port}/{protocol} is not allowed here")
                return


def port_range(text: str) -> Optional[tuple[int, int]]:
    """`80` or `8000-8010`; None for anything else."""
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in (first, last)):
        return None
    return (int(first), int(last)) if int(first) <= int(last) <= 65535 else None


def has_port(item: str, port: int, protocol: str) -> bool:
    text, slash, wanted = item.partition("/")
    ports = port_range(text)
    fitting = not slash or wanted == protocol
    return fitting and ports is not None and ports[0] <= port <= ports[1]


def judge_address(case: Case, address: str, key: str) -> None:
    """A host address; empty is every one."""
    allowed = case.rules[key].items
    if allowed is None:
        return
    wanted = address.strip("[]")
    everywhere = wanted in ("", "0.0.0.0", "::")
    if everywhere and _EVERYWHERE & set(allowed):
        return
    try:
        found = ipaddress.ip_address(wanted or "0.0.0.0")
    except ValueError:
        case.never(f"the host address {cited(address)} is none")
        return
    if everywhere or not any(_contains(each, found) for each in networks(allowed)):
        case.no(key, f"{cited(address) or 'every address'} is not allowed here")


def networks(texts: tuple[str, ...]) -> Iterator[Network]:
    for text in texts:
        yield ipaddress.ip_network(text, strict=False)


def _contains(
    network: Network, address: Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
) -> bool:
    return network.version == address.version and address in network


# -- logs


def judge_logs(case: Case, config: Mapping[str, Any]) -> None:
    driver = str(config.get("Type") or "")
    names = _FILE_LOGS if driver in _FILE_LOGS else {driver}
    if driver and not any(case.lists("logging.drivers", name) for name in names):
        case.no("logging.drivers", f"{cited(driver)} is not allowed here")
    if case.started:
        return
    addresses = case.rules["logging.addresses"].items
    for option, value in (config.get("Config") or {}).items():
        name = option.lower()
        if name in LOG_OPTIONS_REFUSED or "=" in name:
            case.never(f"the log option {cited(option)} could write a file of the host")
        elif name.endswith(_SENDS_TO) and not fits(addresses, value):
            case.no("logging.addresses", f"{cited(option)}={cited(value)} is not allowed here")
