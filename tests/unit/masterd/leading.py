"""A leader over a store in memory, and agents that do as they are told, for the tests of this room."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Optional

from hullmark.core.picture import Picture, merged
from hullmark.masterd.cluster import Cluster, Settings
from hullmark.masterd.view import encode
from hullmark.model.api import ApplyRequest, InviteRequest
from hullmark.model.app import App, ContainerSpec, DeploySpec, Service
from hullmark.model.change import Change
from hullmark.model.control import Posture
from hullmark.model.epoch import NO_EPOCH
from hullmark.model.event import Event
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.names import CLUSTER_KEY, engine_name
from hullmark.model.observed import HostProblem, InstanceStatus, Phase, Report
from hullmark.model.orders import InstanceId, Orders
from hullmark.model.outage import Outage
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.records import ClusterRecord, InviteRecord
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put, Store

ALICE = Change("alice", "r-0", 1000.0, "CHG-1", "unix")
FACTS = HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30)


def prepared_store() -> MemoryStore:
    store = MemoryStore()
    store.commit([], [Put(CLUSTER_KEY, encode(ClusterRecord("c1", 1.0)))])
    return store


def cluster_on(store: Store, **settings: Any) -> Cluster:
    return Cluster(
        store,
        "m1",
        "127.0.0.1:7441",
        Settings(**settings),
        check=lambda app: (),
        shown=lambda app: {"name": app.name},
    )


def lead(
    test: Callable[[Cluster], Awaitable[None]], store: Optional[Store] = None, **settings: Any
) -> None:
    """Run a test with a cluster that leads, and stop it."""

    async def run() -> None:
        cluster = cluster_on(prepared_store() if store is None else store, **settings)
        await cluster.start()
        try:
            await test(cluster)
        finally:
            await cluster.stop()

    asyncio.run(run())


def app(name: str = "shop", image: str = "web:1", replicas: int = 1, **services: Service) -> App:
    web = Service(ContainerSpec(image), DeploySpec(replicas=replicas))
    return App(name, {"web": web, **services})


def request(spec: App, request_id: str, **more: Any) -> ApplyRequest:
    return ApplyRequest(spec, request_id, **more)


async def no_digest(image: str, platform: str, policy: str) -> ResolveAnswer:
    return ResolveAnswer(local_id="sha256:local", note="a local image")


async def enroll(cluster: Cluster, name: str = "h1", secret: str = "s" * 64) -> HostRecord:
    await cluster.invite(InviteRequest(name), secret, ALICE)

    def make(invite: InviteRecord, existing: Optional[HostRecord]) -> HostRecord:
        host_id = existing.host_id if existing is not None else f"id-{name}"
        return HostRecord(host_id, name, 1000.0, invite.labels, "c" * 64)

    return await cluster.enroll(secret, name, make)


class FakeAgent:
    """Reports what it is told to run as running, and what it is told to remove as gone."""

    def __init__(self, cluster: Cluster, host_id: str, run: str = "run-1") -> None:
        self.cluster = cluster
        self.host_id = host_id
        self.run = run
        self.facts = FACTS
        self.sequence = 0
        self.picture = Picture()
        self.orders: Optional[Orders] = None

    async def report(
        self,
        statuses: Mapping[str, InstanceStatus],
        *,
        full: bool = False,
        gone: tuple[str, ...] = (),
        events: tuple[Event, ...] = (),
        removed_volumes: tuple[str, ...] = (),
        problems: tuple[HostProblem, ...] = (),
        outages: Optional[tuple[Outage, ...]] = None,
        posture: Optional[Posture] = None,
    ) -> bool:
        """Whether the leader asks for all of it again."""
        self.sequence += 1
        accepted = self.orders
        report = Report(
            self.host_id,
            self.run,
            self.sequence,
            NO_EPOCH if accepted is None else accepted.epoch,
            "",
            full=full,
            facts=self.facts if full else None,
            instances=statuses,
            gone=gone,
            events=events,
            problems=problems,
            accepted_revision=0 if accepted is None else accepted.revision,
            removed_volumes=removed_volumes,
            outages=outages,
            posture=posture,
        )
        self.picture = merged(self.picture, report)
        report = dataclasses.replace(report, digest=self.picture.digest())
        return (await self.cluster.merge(report)).resend

    async def begin(self) -> None:
        assert not await self.report({}, full=True)

    def fetch(self) -> Orders:
        self.orders = self.cluster.orders(self.host_id)
        return self.orders

    async def obey(self, **phases: Phase) -> Orders:
        """Carry out the newest orders. `phases` gives a service another phase than running."""
        orders = self.fetch()
        statuses = {}
        for item in orders.assignments:
            usual = Phase.RUNNING if item.released else Phase.WAITING
            phase = phases.get(item.instance.service, usual)
            statuses[item.instance.container_name] = status(item.instance, phase)
        kept = {item.instance.container_name for item in orders.assignments}
        gone = tuple(name for name in self.picture.state.instances if name not in kept)
        removed = tuple(engine_name(item.app, item.volume) for item in orders.volume_removals)
        assert not await self.report(statuses, gone=gone, removed_volumes=removed)
        return orders

    async def settle(self, **phases: Phase) -> Orders:
        """Obey until the leader has nothing new to say."""
        for _ in range(20):
            orders = await self.obey(**phases)
            # Planning has come to rest here, however slow this machine is.
            await self.cluster._term.loop.converge()
            if not await self.cluster.wait_orders(self.host_id, orders.epoch, orders.revision, 0.0):
                return orders
        raise AssertionError("the leader's orders do not come to rest")


def status(instance: InstanceId, phase: Phase = Phase.RUNNING, **more: Any) -> InstanceStatus:
    return InstanceStatus(instance, phase, **more)


async def until(cluster: Cluster, condition: Callable[[], bool], what: str) -> None:
    """Wait for the cluster to come to this. Fails after five seconds."""
    deadline = asyncio.get_running_loop().time() + 5.0
    while not condition():
        version = cluster.version
        assert asyncio.get_running_loop().time() < deadline, f"not within 5 s: {what}"
        await cluster.wait_changed(version, 0.5)
