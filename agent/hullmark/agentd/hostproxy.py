"""All that an agent has to do with its host's proxy, put together: for a `duty`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit

from hullmark.agentd import declaredports
from hullmark.agentd.bridgekeeping import BridgeKeeping
from hullmark.agentd.bridges import Bridges
from hullmark.agentd.directorykeeper import DirectoryKeeper
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import FOLDER, HostsFiles, Naming
from hullmark.agentd.identity import Identity
from hullmark.agentd.inventory import ProxySeen
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.link import Link
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxycertificate import ProxyCertificate
from hullmark.agentd.proxyendings import Endings
from hullmark.agentd.proxying import Here, Proxying, ProxyParts
from hullmark.agentd.proxywatch import ProxyWatch
from hullmark.agentd.reach import ByProxy
from hullmark.agentd.renewal import in_a_process, recorded
from hullmark.agentd.supervisor import Loop
from hullmark.config import AgentConfig
from hullmark.core.members import drain_s
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.protocol import Engine
from hullmark.errors import BrokenState
from hullmark.host import facts
from hullmark.host.interfaces import source_towards
from hullmark.host.loopback import LoopbackAddresses
from hullmark.model.audit import Entry
from hullmark.model.host import HostFacts
from hullmark.model.orders import InstanceId, Orders

_NUMBERS = re.compile(r"[0-9.]+")
ADDRESS_S = 10.0
"""How often it is looked which address others call."""
ELSEWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737): the way there is the default route."""


@dataclass(frozen=True)
class Beside:
    """The other parts of the same duty. `outdated` is called when the host's facts are others because of the proxy."""

    engine: Engine
    observer: Observer
    ledger: Ledger
    link: Link
    policy: PolicyFolder
    problems: Problems
    outbox: Outbox
    note: Callable[[Entry], None]
    outdated: Callable[[], None]


class HostProxy:
    """`host` is the host's name."""

    def __init__(self, config: AgentConfig, host_id: str, host: str, beside: Beside) -> None:
        engine, observer, ledger = beside.engine, beside.observer, beside.ledger
        problems, note = beside.problems, beside.note
        folder, proxy_folder = Path(config.state_dir), Path(config.proxy_folder)
        run_dir, identity = Path(config.proxy_run_dir), Identity(folder)
        self._config = config
        self._link = beside.link
        self._address, self._address_at = "", float("-inf")
        self._observer = observer
        self._ledger = ledger
        self.keeper = keeper = DirectoryKeeper(folder, ledger, problems)
        renew = recorded(in_a_process(config, proxy=True), note, f"host {host}")
        self._certificate = ProxyCertificate(folder, proxy_folder, identity, problems, renew)
        naming = Naming(
            HostsFiles(folder / FOLDER), lambda: keeper.current, lambda: engine.info().name
        )
        haproxy = Haproxy(proxy_folder, run_dir)
        self.watch = watch = ProxyWatch(haproxy, note, beside.outbox)
        self.draining = draining = Draining(
            self.wake,
            lambda name: drain_s(keeper.current, name),
            Haproxy(proxy_folder, run_dir).open_of,
            self._started_at,
        )
        self._proxying = Proxying(
            ProxyParts(
                Here(host_id, self.address, config.proxy_port, facts.addresses),
                haproxy,
                watch,
                LoopbackAddresses,
                lambda: keeper.current,
                lambda: self._certificate.digest,
                observer,
                Bridges(engine),
                BridgeKeeping(engine),
                naming,
                draining,
                Endings(haproxy, note, beside.outbox),
                beside.policy,
                problems,
                beside.outdated,
                self._kept,
                lambda one: declaredports.exposed(ledger.standing.orders, one),
            )
        )
        self.reach = ByProxy(
            engine, observer, naming, draining, lambda: self._proxying.is_installed
        )
        keeper.when_changed(self.wake)
        observer.when_changed(self.wake)
        self._certificate.when_changed(self.wake)

    def load(self) -> None:
        """What was so before this agent began. Once, before the loops: other hosts must not be told meanwhile that this one has no proxy."""
        self.keeper.load()
        self._certificate.load()
        self._proxying.load()

    def loops(self) -> Mapping[str, Loop]:
        return {"proxy": self._proxying.run, "proxy-certificate": self._certificate.run}

    def wake(self) -> None:
        self._proxying.wake()

    def seen(self) -> ProxySeen:
        directory, version = self.keeper.current, self._proxying.version
        local = [
            (one.host_ip, one.port) for one in directory.published if one.host_ip.startswith("127.")
        ]
        return ProxySeen(
            self._proxying.pid if version else 0,
            version,
            self._config.proxy_folder,
            directory.addresses,
            tuple(local),
        )

    def known_by(self, found: HostFacts, seen: ProxySeen) -> HostFacts:
        """What of it is told among the host's facts. `seen`: what its listeners were told apart by, so that a proxy that comes up meanwhile is
        not taken for another program."""
        if not seen.version:
            return found
        address = self.address()
        port = self._config.proxy_port if address else 0
        return replace(found, proxy_version=seen.version, proxy_address=address, proxy_port=port)

    def address(self) -> str:
        """Where other hosts' proxies reach this one. May be asked often, from any thread."""
        if self._config.proxy_address:
            return self._config.proxy_address
        now = time.monotonic()
        if now - self._address_at >= ADDRESS_S:
            self._address, self._address_at = self._find_address(), now
        return self._address

    def _find_address(self) -> str:
        """The one from which it calls the masters, by the route alone: names are not looked up, as that could take long."""
        own = [one for one in facts.addresses() if ":" not in one]
        for there in (*self._masters(), ELSEWHERE):
            towards = source_towards(there)
            if towards in own:
                return towards
        return next(iter(own), "")

    def _masters(self) -> tuple[str, ...]:
        """Those that are known by their address."""
        try:
            hosts = [urlsplit(url).hostname or "" for url in self._link.urls()]
        except BrokenState:
            return ()
        return tuple(host for host in hosts if _NUMBERS.fullmatch(host))

    def _started_at(self, container_id: str) -> float:
        found = (self._observer.found or {}).values()
        known: Optional[float] = next(
            (one.started_at for one in found if one.container_id == container_id), None
        )
        return known or 0.0

    def _kept(self) -> list[InstanceId]:
        return in_need(self._ledger.standing.orders, self._observer)


def in_need(orders: Orders, observer: Observer) -> list[InstanceId]:
    """Of a hosts file: what is to be made, and what there is, be it of a cluster that the host has left. Without its file a container does not start
    again."""
    told = [one.instance for one in orders.assignments]
    return [*told, *(one.instance for one in observer.of_any_cluster())]
