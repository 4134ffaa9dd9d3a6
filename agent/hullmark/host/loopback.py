"""Service addresses on the loopback device."""

from __future__ import annotations

from collections.abc import Iterable


class LoopbackAddresses:
    """Addresses of `cluster_range` (as `10.214.0.0/16`) on `lo`: each is a /32 with scope host. Others are never touched."""

    def __init__(self, cluster_range: str) -> None:
        self.range = cluster_range

    def have(self, addresses: Iterable[str]) -> bool:
        """Add what is missing, remove what is in the range and not wanted. Whether anything changed. Raises Refused where the kernel takes it not."""
        raise NotImplementedError
