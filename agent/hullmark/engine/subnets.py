"""Which subnet the next network gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from hullmark.errors import Refused


def first_free(
    pool: ipaddress.IPv4Network, prefix: int, taken: Iterable[ipaddress.IPv4Network]
) -> ipaddress.IPv4Network:
    """The lowest subnet of the pool that overlaps nothing taken. Raises Refused when all are used."""
    blocks = sorted(network for network in taken if network.overlaps(pool))
    candidates = pool.subnets(new_prefix=max(prefix, pool.prefixlen))
    for candidate in candidates:
        if not any(candidate.overlaps(block) for block in blocks):
            return candidate
    raise Refused(
        f"no free /{prefix} left in {pool} for another network",
        remedy="set engine.subnets in agent.yaml to a larger range that the shop doesn't use",
    )
