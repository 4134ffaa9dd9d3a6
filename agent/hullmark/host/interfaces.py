"""Network interfaces, by their names."""

from __future__ import annotations

_LOCAL = ("docker", "br-", "podman", "cni", "veth", "virbr", "hm")


def is_local(name: str) -> bool:
    """Loopback, or a bridge or pair of an engine's or a hypervisor's: other hosts can't reach its addresses."""
    return name == "lo" or name.startswith(_LOCAL)
