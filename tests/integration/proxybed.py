"""A host's proxy, kept by the agent's own loop beside a real engine; a test says what the leader would, and does what the worker does."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional, cast

import pytest

from hullmark.agentd.bridgekeeping import BridgeKeeping
from hullmark.agentd.bridges import Bridges
from hullmark.agentd.byhand import ByHand
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import FOLDER, HostsFiles, Naming
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyendings import Endings
from hullmark.agentd.proxying import Here, Proxying, ProxyParts
from hullmark.agentd.proxywatch import ProxyWatch
from hullmark.agentd.reach import ByProxy
from hullmark.agentd.watch import Watch
from hullmark.core.members import drain_s
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyruntime import Sockets
from hullmark.errors import HullmarkError, ProxyUnavailable
from hullmark.host import facts
from hullmark.host.loopback import LoopbackAddresses
from hullmark.model.app import Bundle
from hullmark.model.audit import Entry
from hullmark.model.directory import NO_DIRECTORY, Directory
from hullmark.model.orders import InstanceId
from tests import reach, server
from tests.cluster import wait_until
from tests.integration.shipyard import CLUSTER, Yard, request_for
from tests.proxy import RANGE, Proxy


class NoHand:
    """Nobody asks who did what by hand."""

    def connected(self) -> None: ...

    def take(self, event: object) -> None: ...


class Agent:
    """One life of the agent, as far as the proxy is concerned. Its reconciler only looks. `ordered`: whose hosts files are kept, also before
    they have a container."""

    def __init__(
        self,
        yard: Yard,
        proxy: Proxy,
        directory: Callable[[], Directory],
        ordered: Callable[[], Sequence[InstanceId]],
    ) -> None:
        self.records: list[Entry] = []
        self.problems = Problems()
        self.looks = threading.Event()
        self._over = threading.Event()
        self.observer = observer = Observer(yard.engine, CLUSTER, 60.0)
        naming = Naming(
            HostsFiles(yard.folder / FOLDER), directory, lambda: yard.engine.info().name
        )
        haproxy = Haproxy(proxy.folder, proxy.run_dir)
        self.draining = draining = Draining(
            self._wake,
            lambda name: drain_s(directory(), name),
            Haproxy(proxy.folder, proxy.run_dir).open_of,
            self._started_at,
        )
        outbox = Outbox("host box", lambda: None)
        self.watch = ProxyWatch(haproxy, self.records.append, outbox)
        policies = yard.folder / "policy.d"
        policies.mkdir(exist_ok=True)
        self.proxying = Proxying(
            ProxyParts(
                Here("box", lambda: "", 7443, facts.addresses),
                haproxy,
                self.watch,
                LoopbackAddresses,
                directory,
                lambda: "",
                observer,
                Bridges(yard.engine),
                BridgeKeeping(yard.engine),
                naming,
                draining,
                Endings(haproxy, self.records.append, outbox),
                PolicyFolder(str(policies), self.problems),
                self.problems,
                lambda: None,
                ordered,
                lambda _instance: (server.PORT,),
            )
        )
        self.reach = ByProxy(yard.engine, observer, naming, draining, lambda: True)
        observer.when_changed(self.proxying.wake)
        events = Watch(
            yard.engine, observer, outbox, self.looks.set, cast(ByHand, NoHand()), draining
        )
        self._threads = [
            threading.Thread(target=self._look, daemon=True),
            threading.Thread(target=events.run, args=(self._over,), daemon=True),
            threading.Thread(target=self.proxying.run, args=(self._over,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """As a killed agent ends: what it began stays as it is. The thread that waits for events ends with the engine's next one."""
        self._over.set()
        self.looks.set()
        self.proxying.wake()
        self._threads[2].join(10)

    def _wake(self) -> None:
        self.proxying.wake()

    def _look(self) -> None:
        while not self._over.is_set():
            self.looks.clear()
            try:
                self.observer.look()
            except HullmarkError:
                self._over.wait(0.2)
            else:
                self.looks.wait(5.0)

    def _started_at(self, container_id: str) -> float:
        found = (self.observer.found or {}).values()
        return next((one.started_at for one in found if one.container_id == container_id), 0.0)


@contextlib.contextmanager
def proxy_bed(yard: Yard, session: pytest.Session) -> Iterator[ProxyBed]:
    """What it says of itself is in the output of a test that fails."""
    server.load_image(yard.daemon)
    failed = session.testsfailed
    with ProxyBed(yard) as made:
        yield made
        if session.testsfailed > failed:
            print(made.described())


class ProxyBed:
    """`directory` is what the leader has told last; the service addresses are gone with it."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.directory = NO_DIRECTORY
        self.proxy = Proxy()
        self.ordered: list[InstanceId] = []
        self.agent: Agent

    def __enter__(self) -> ProxyBed:
        self.proxy.__enter__()
        self.agent = self.begin()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.agent.end()
        self.proxy.__exit__(kind, error, trace)

    def begin(self) -> Agent:
        return Agent(self.yard, self.proxy, lambda: self.directory, lambda: list(self.ordered))

    def restart_agent(self) -> None:
        self.agent.end()
        self.agent = self.begin()

    def tell(self, *services: object, **parts: object) -> None:
        """As a leader does."""
        told = Directory(range=RANGE, digest="", services=services, **parts)  # type: ignore[arg-type]
        addresses = tuple(entry.address for entry in told.services)
        digest = str(hash(repr(told)))
        self.directory = dataclasses.replace(told, addresses=addresses, digest=digest)
        self.agent.proxying.wake()

    def run(self, made: Bundle, slot: int) -> str:
        """As the worker makes and starts an instance. Its container's id."""
        self.yard.prepare(made)
        request = request_for(made, slot=slot)
        self.ordered.append(request.instance)
        hosts = self.agent.reach.hosts_file(request.instance, made)
        container_id = self.yard.engine.create(dataclasses.replace(request, hosts=hosts))
        self.yard.engine.start(container_id)
        self.agent.reach.started(container_id)
        return container_id

    def stop(self, made: Bundle, slot: int, container_id: str) -> float:
        """As the worker stops one that is to be removed. Seconds until its signal."""
        instance, began = InstanceId(made.app, made.service, slot, 1), time.monotonic()
        with self.agent.reach.leaving(instance, container_id, wait=True):
            waited_s = time.monotonic() - began
            self.yard.engine.stop(container_id)
        print(f"MEASURED until the signal: {waited_s:.3f} s")
        return waited_s

    def inside(self, container_id: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.yard.pid(container_id)}/ns/net", "--"]

    def hosts(self, container_id: str) -> dict[str, str]:
        """Addresses by name, as the container has them."""
        text = Path(f"/proc/{self.yard.pid(container_id)}/root/etc/hosts").read_text()
        lines = [line.split() for line in text.splitlines() if ":" not in line]
        return {name: line[0] for line in reversed(lines) for name in line[1:]}

    def described(self) -> str:
        """For whoever reads of a test that failed: what host, engine and proxy say of the ways to the containers."""
        places = {}
        for one in self.agent.observer.seen():
            inspected = self.yard.inspect(one.container_id)
            networks = inspected["NetworkSettings"]["Networks"]
            found = {
                name: (each["IPAddress"], each["MacAddress"]) for name, each in networks.items()
            }
            targets = [(address, server.PORT) for address, _ in found.values()]
            places[one.name] = (inspected["State"]["Status"], found, reach.ask([], targets))
        commands = ("ip -4 -br address", "ip neigh", "ip route", "bridge fdb", "ss -Hltnp")
        said = [
            f"{command}\n{subprocess.run(command.split(), stdout=subprocess.PIPE, text=True).stdout}"
            for command in commands
        ]
        try:
            said.append(Sockets(self.proxy.run_dir).tell("show servers state"))
        except ProxyUnavailable as error:
            said.append(str(error))
        config = (self.proxy.folder / "haproxy.cfg").read_text()
        processes = self.proxy.pid, self.proxy.workers
        return "\n".join([str(places), *said, config, str(processes), *self.proxy.lines()[-20:]])

    def refusals(self) -> Sequence[str]:
        return [json.dumps(one) for one in self.proxy.records(outcome="refused")]


def wait_for_name(bed: ProxyBed, container_id: str, name: str) -> str:
    return str(wait_until(lambda: bed.hosts(container_id).get(name), f"the name {name}"))
