"""The host's facts, gathered anew now and then: hardly anything in them changes while the agent runs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Callable, Optional

from hullmark.agentd.ledger import Ledger
from hullmark.agentd.observer import Observer
from hullmark.engine.protocol import EngineInfo
from hullmark.host import facts
from hullmark.host.listeners import Lasting, Ours, listeners
from hullmark.model.host import HostFacts
from hullmark.model.orders import PublishedPort

REFRESH_S = 60.0


@dataclass(frozen=True)
class ProxySeen:
    """The number of the proxy's main process, 0 where there is none, or it was not looked at yet, and its version, empty there; its folder, the service
    addresses that it answers, and what is published on a loopback address alone."""

    pid: int = 0
    version: str = ""
    folder: str = ""
    addresses: tuple[str, ...] = ()
    local: tuple[tuple[str, int], ...] = ()


NO_PROXY = ProxySeen()


def of_this_host(
    host: str,
    observer: Observer,
    ledger: Ledger,
    lasting: Lasting,
    proxy: ProxySeen = NO_PROXY,
) -> HostFacts:
    """Everything but the engine and the policy, with the ports that are open on the host. `lasting` is the same at each look."""
    orders = ledger.standing.orders
    told = [one.ports for one in orders.assignments] + [one.ports for one in orders.tombstones]
    seen = observer.seen()
    ours = Ours(
        published=_keys(one.ports for one in seen),
        expected=_keys(told),
        containers={one.container_id: one.instance.container_name for one in seen},
        proxy=proxy.pid,
        proxy_folder=proxy.folder,
        service_addresses=frozenset(proxy.addresses),
        local=frozenset(proxy.local),
    )
    return replace(facts.gather(host_name=host), listeners=lasting.of(listeners(ours=ours)))


def _keys(ports: Iterable[Iterable[PublishedPort]]) -> set[tuple[str, int]]:
    return {(port.protocol, port.published) for some in ports for port in some if port.published}


class Inventory:
    """One thread's, but for `outdated`. `gather` gives everything but the engine."""

    def __init__(
        self, gather: Callable[[], HostFacts], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gather = gather
        self._clock = clock
        self._gathered_at = float("-inf")
        self._changes = self._gathered_after = 0
        self._facts = HostFacts()

    def outdated(self) -> None:
        """To be gathered at once when they are asked for, also where they are being gathered now. From any thread."""
        self._changes += 1

    def current(self, engine: Optional[EngineInfo]) -> HostFacts:
        """With the engine's name, version and socket; as last known where it doesn't answer."""
        now = self._clock()
        changes = self._changes
        if changes != self._gathered_after or now - self._gathered_at >= REFRESH_S:
            known = self._facts
            self._facts = replace(
                self._gather(),
                engine=known.engine,
                engine_version=known.engine_version,
                engine_socket=known.engine_socket,
            )
            self._gathered_at, self._gathered_after = now, changes
        if engine is not None and (engine.name, engine.version, engine.socket) != (
            self._facts.engine,
            self._facts.engine_version,
            self._facts.engine_socket,
        ):
            self._facts = replace(
                self._facts,
                engine=engine.name,
                engine_version=engine.version,
                engine_socket=engine.socket,
            )
        return self._facts
