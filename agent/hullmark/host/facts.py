"""Inventory of the host, for `hullmark hosts` and for placement."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from hullmark import __version__
from hullmark.host.interfaces import is_local
from hullmark.model.host import HostFacts


def gather(root: Path = Path("/"), host_name: str = "") -> HostFacts:
    """Everything but the engine. `root` is where /etc and /proc are read."""
    return HostFacts(
        hostname=host_name or socket.gethostname(),
        os=operating_system(root),
        kernel=platform.release(),
        architecture=platform.machine(),
        cpus=psutil.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        agent_version=__version__,
        addresses=addresses(),
        boot_id=boot_id(root),
    )


def operating_system(root: Path = Path("/")) -> str:
    """`debian 12`, `rhel 9.4`: ID and VERSION_ID of os-release(5); empty where there is none."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        values = _assignments(text)
        return f"{values.get('ID', 'linux')} {values.get('VERSION_ID', '')}".strip()
    return ""


def boot_id(root: Path = Path("/")) -> str:
    """Differs after every boot (random(4)); empty where the kernel doesn't tell."""
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def addresses() -> tuple[str, ...]:
    """The host's IPv4 and IPv6 addresses that others could dial: no loopback, link-local or bridge."""
    found = []
    for name, given in sorted(psutil.net_if_addrs().items()):
        if is_local(name):
            continue
        for address in given:
            text = address.address.partition("%")[0]
            if address.family in (socket.AF_INET, socket.AF_INET6) and not text.startswith("fe80:"):
                found.append(text)
    return tuple(found)


def _assignments(text: str) -> Mapping[str, str]:
    found = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[key.strip()] = value.strip().strip("\"'")
    return found
