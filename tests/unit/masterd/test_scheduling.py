"""The scheduling loop: what it writes first, what it deletes, and what a new leader finds."""

from __future__ import annotations

import asyncio
import dataclasses

from hullmark.core.schedule import Plan
from hullmark.errors import Refused
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.scheduling import notes, transactions
from hullmark.masterd.view import encode
from hullmark.model import names
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    Mount,
    MountKind,
    Service,
    UpdateConfig,
    Volume,
)
from hullmark.model.host import HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import (
    Home,
    HomesRecord,
    HostAssignments,
    Rollout,
    RolloutState,
)
from hullmark.store.limits import check_transaction
from hullmark.store.protocol import Compare, Delete, Put
from tests.unit.core.fleets import snapshot
from tests.unit.masterd.leading import (
    ALICE,
    FakeAgent,
    app,
    cluster_on,
    enroll,
    lead,
    no_digest,
    prepared_store,
    request,
)

DATA = (Mount(MountKind.VOLUME, "/data", "data"),)
DB = App("shop", {"db": Service(ContainerSpec("db:1", mounts=DATA))}, volumes={"data": Volume()})


async def running(cluster: Cluster, spec: App, request_id: str = "r1") -> FakeAgent:
    host = await enroll(cluster)
    agent = FakeAgent(cluster, host.host_id)
    await agent.begin()
    await cluster.apply(request(spec, request_id), ALICE, no_digest)
    await agent.settle()
    return agent


def test_homes_and_rollouts_are_remembered() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await running(cluster, DB)
        view = cluster._term.view
        assert view.homes["shop"].slots["db.1"] == Home(agent.host_id, ("data",))
        assert view.rollouts["shop"].generation == 1

    lead(test)


def test_a_home_is_in_the_store_before_the_orders_made_from_it() -> None:
    async def test(cluster: Cluster) -> None:
        await running(cluster, DB)
        view = cluster._term.view
        home = view.modified(names.HOMES + "shop")
        assert 0 < home < view.modified(names.ASSIGNMENTS + "id-h1")

    lead(test)


def test_an_outdated_instance_keeps_its_spec_over_a_change_of_leader() -> None:
    """What it is made of is no longer in the app's record."""
    store = prepared_store()

    def spec(image: str) -> App:
        slow = DeploySpec(replicas=3, update=UpdateConfig(parallelism=1, monitor_s=3600.0))
        return App("shop", {"web": Service(ContainerSpec(image), slow)})

    async def before(cluster: Cluster) -> None:
        agent = await running(cluster, spec("web:1"))
        await cluster.apply(request(spec("web:2"), "r2"), ALICE, no_digest)
        await agent.settle()

    async def after(cluster: Cluster) -> None:
        orders = cluster.orders("id-h1")
        images = sorted(
            orders.bundles[item.spec_hash].container.image for item in orders.assignments
        )
        assert images == ["web:1", "web:1", "web:2"]

    lead(before, store)
    lead(after, store)


def test_what_can_not_be_read_of_history_keeps_nobody_from_leading() -> None:
    store = prepared_store()
    lead(lambda cluster: cluster.apply(request(app(), "r1"), ALICE, no_digest), store)  # type: ignore[arg-type,return-value]
    store.commit([], [Put(names.HISTORY + "shop/0000000001", b"{")])

    async def test(cluster: Cluster) -> None:
        assert "shop" in cluster._term.view.apps

    lead(test, store)


def test_a_rollout_that_is_to_be_taken_back_is_handed_on_outside_the_lock() -> None:
    async def test(cluster: Cluster) -> None:
        await running(cluster, app())
        term = cluster._term
        asked: list[tuple[str, bool]] = []
        told = asyncio.Event()

        async def undo(name: str) -> None:
            asked.append((name, term.one_at_a_time.locked()))
            told.set()
            if len(asked) == 1:
                raise Refused("not now")

        term.loop.undo = undo
        rollout = dataclasses.replace(term.view.rollouts["shop"], state=RolloutState.UNDOING)
        put = Put(names.ROLLOUTS + "shop", encode(rollout))
        await term.leadership.commit([], [put])
        await asyncio.wait_for(told.wait(), 5)
        told.clear()
        term.loop.wake()
        await asyncio.wait_for(told.wait(), 5)
        assert asked[:2] == [("shop", False), ("shop", False)]

    lead(test)


def test_time_alone_wakes_the_loop() -> None:
    """A host that is lost at 0.3 s is planned for without anybody's word."""

    async def run() -> None:
        cluster = cluster_on(prepared_store(), lost_after_s=0.3, silent_after_s=0.2)
        await cluster.start()
        try:
            agent = await running(cluster, app())
            assert not cluster._term.unplaced
            for _ in range(200):
                await asyncio.sleep(0.02)
                if cluster._term.unplaced:
                    break
            found = cluster._term.unplaced[0]
            assert found.kept_on == "h1"
            assert agent.orders is not None
        finally:
            await cluster.stop()

    asyncio.run(run())


HOSTS = [HostRecord("h1", "h1", 1.0)]


def test_the_orders_of_a_host_that_is_gone_are_deleted_once_they_are_empty() -> None:
    state = snapshot({}, HOSTS, {"h1": HostState()})
    state = dataclasses.replace(state, revisions={names.ASSIGNMENTS + "gone": 7})
    left = HostAssignments((Assignment(InstanceId("a", "b", 1, 1), "x"),))
    for orders, expected in (
        (HostAssignments(), Delete(names.ASSIGNMENTS + "gone")),
        (left, Put(names.ASSIGNMENTS + "gone", encode(left))),
    ):
        ((compares, writes),) = transactions(state, {"gone": orders})
        assert compares == [Compare(names.ASSIGNMENTS + "gone", 7)]
        assert writes == [expected]
    ((_, writes),) = transactions(state, {"h1": HostAssignments()})
    assert writes == [Put(names.ASSIGNMENTS + "h1", encode(HostAssignments()))]


def test_notes_compare_what_they_replace_and_the_app_that_they_are_of() -> None:
    state = snapshot({}, HOSTS, {})
    state = dataclasses.replace(state, revisions={names.APPS + "a": 3, names.HOMES + "a": 4})
    homes = HomesRecord({"db.1": Home("h1")})
    made = Plan(homes={"a": homes}, rollouts={"a": Rollout(1)})
    ((compares, writes),) = notes(state, made)
    assert writes == [
        Put(names.HOMES + "a", encode(homes)),
        Put(names.ROLLOUTS + "a", encode(Rollout(1))),
    ]
    assert set(compares) == {
        Compare(names.APPS + "a", 3),
        Compare(names.HOMES + "a", 4),
        Compare(names.ROLLOUTS + "a", 0),
    }
    ((_, writes),) = notes(state, Plan(homes={"a": HomesRecord()}))
    assert writes == [Delete(names.HOMES + "a")]
    assert list(notes(state, Plan(homes={"b": HomesRecord()}))) == [], "there is nothing to delete"


def test_notes_fit_the_stores_limits() -> None:
    slots = {f"db.{n}": Home("h" * 36, ("data", "more")) for n in range(2000)}
    apps = {f"a{n}": HomesRecord(slots) for n in range(12)}
    rollouts = {f"r{n}": Rollout(1) for n in range(300)}
    made = Plan(homes=apps, rollouts=rollouts)
    found = list(notes(snapshot({}, HOSTS, {}), made))
    assert sum(len(writes) for _, writes in found) == 312
    for compares, writes in found:
        check_transaction([Compare(names.LEADER_KEY, 1), *compares], writes)
