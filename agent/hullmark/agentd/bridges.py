"""The bridges of our networks, as they are on this host now.

What a network's subnet is, the engine is asked once; on which interface that is, the kernel is asked each time: an engine makes a bridge anew when it
starts, and Podman's is there only while a container is on it.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError, NotFound
from hullmark.host.interfaces import Interface, interfaces
from hullmark.model import names
from hullmark.model.proxy import Bridge

AGAIN_S = 1.0
"""How soon the engine is asked again for a network of which no interface was found."""

Key = tuple[str, str]
"""(app, the app's key of its network)."""


@dataclass(frozen=True)
class _Network:
    subnets: tuple[ipaddress.IPv4Network, ...]
    internal: bool
    asked_at: float


class Bridges:
    """One thread's."""

    def __init__(
        self,
        engine: Engine,
        look: Callable[[], Sequence[Interface]] = interfaces,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._look = look
        self._clock = clock
        self._known: dict[Key, _Network] = {}
        self.unknown = False
        """Whether the engine did not answer, the last time, for a network that it was never asked for."""

    def of(self, wanted: Iterable[Key]) -> tuple[Bridge, ...]:
        """Those that are there. While the engine doesn't answer, what it said before counts."""
        keys = sorted(set(wanted))
        self._known = {key: one for key, one in self._known.items() if key in set(keys)}
        here = self._look()
        self.unknown = False
        return tuple(bridge for key in keys for bridge in self._find(key, here))

    def _find(self, key: Key, here: Sequence[Interface]) -> tuple[Bridge, ...]:
        found = _bridges(key, self._known.get(key), here)
        known = self._known.get(key)
        if found or (known is not None and self._clock() - known.asked_at < AGAIN_S):
            return found
        try:
            said = self._engine.inspected_network(names.engine_name(*key))
        except NotFound:
            self._known.pop(key, None)
            return ()
        except HullmarkError:
            self.unknown = self.unknown or known is None
            return ()
        subnets = tuple(_subnets(said))
        self._known[key] = _Network(subnets, bool(said.get("Internal")), self._clock())
        return _bridges(key, self._known[key], here)


def _bridges(
    key: Key, network: Optional[_Network], here: Sequence[Interface]
) -> tuple[Bridge, ...]:
    subnets = network.subnets if network is not None else ()
    return tuple(
        Bridge(
            app=key[0],
            network=key[1],
            interface=one.name,
            index=one.index,
            subnet=str(subnet),
            gateway=one.address,
            internal=network is not None and network.internal,
        )
        for subnet in subnets
        for one in here
        if one.network == subnet
    )


def _subnets(said: Mapping[str, Any]) -> Iterable[ipaddress.IPv4Network]:
    for pool in (said.get("IPAM") or {}).get("Config") or ():
        try:
            yield ipaddress.IPv4Network(str(pool.get("Subnet") or ""), strict=False)
        except ValueError:
            continue  # IPv6: service addresses are none
