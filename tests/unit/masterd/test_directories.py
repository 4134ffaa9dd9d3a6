"""Directories as hosts get them: when there are any, how soon a change is told, and to whom."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.changes import changes
from hullmark.core.directory import Table, tabled
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.directories import AWAY_S, LEAST_S, Directories
from hullmark.model.app import App, Attachment, ContainerSpec, DeploySpec, Network, Service
from hullmark.model.directory import Directory, DirectoryAnswer
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.hostlife import RemoveHostRequest
from hullmark.model.observed import HostState, Phase
from hullmark.model.protocol import PollAnswer
from hullmark.model.wire import from_wire, to_wire
from tests.unit.masterd.leading import (
    ALICE,
    FACTS,
    FakeAgent,
    cluster_on,
    enroll,
    lead,
    no_digest,
    prepared_store,
    request,
    status,
    until,
)
from tests.unit.masterd.serving import Served, serve


def service(replicas: int = 1) -> Service:
    container = ContainerSpec("web:1", expose=("80",), networks=(Attachment("default"),))
    return Service(container, DeploySpec(replicas=replicas))


SHOP = App("shop", {"web": service(2)}, {"default": Network()})


class Proxied(FakeAgent):
    """A host with a proxy."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, f"id-h{number}")
        self.facts = with_proxy(number)


def with_proxy(number: int) -> HostFacts:
    return dataclasses.replace(
        FACTS, proxy_version="2.6.12", proxy_address=f"192.0.2.{number}", proxy_port=7443
    )


async def hosts_of(cluster: Cluster, count: int) -> list[Proxied]:
    for number in range(1, count + 1):
        await enroll(cluster, f"h{number}", f"{number}" * 64)
    agents = [Proxied(cluster, number) for number in range(1, count + 1)]
    for agent in agents:
        await agent.begin()
    return agents


async def shop_on_two(cluster: Cluster) -> list[Proxied]:
    """An instance of shop/web on each of two hosts, both serving."""
    agents = await hosts_of(cluster, 2)
    await cluster.apply(request(SHOP, "r1"), ALICE, no_digest)
    for agent in agents:
        await agent.settle()
    return agents


def directory_of(cluster: Cluster, agent: FakeAgent) -> Directory:
    return _table(cluster.directories)[agent.host_id]


def elsewhere(cluster: Cluster, agent: FakeAgent) -> dict[str, int]:
    """How many of shop/web serve on which other host, as this one is told."""
    table = cluster.directories.table
    if table is None or agent.host_id not in table:
        return {}
    return {
        share.host_id: share.serving
        for entry in table[agent.host_id].services
        for share in entry.elsewhere
    }


async def soon(cluster: Cluster, agent: FakeAgent, digest: str) -> float:
    """After how many seconds the host is told that it has to ask, who has the directory with this digest."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await cluster.directories.wait(agent.host_id, digest, 5.0)
    assert cluster.directories.differs(agent.host_id, digest)
    return clock() - began


def test_a_change_is_told_at_once_and_to_those_alone_whom_it_concerns() -> None:
    async def test(cluster: Cluster) -> None:
        first, second = await shop_on_two(cluster)
        await until(cluster, lambda: elsewhere(cluster, first) == {"id-h2": 1}, "both serve")
        await enroll(cluster, "h3", "3" * 64)
        third = Proxied(cluster, 3)
        await third.begin()
        await until(cluster, lambda: len(directory_of(cluster, first).peers) == 2, "it is known")
        digests = dict(_table(cluster.directories).digests)
        waiting = asyncio.ensure_future(soon(cluster, first, digests["id-h1"]))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await second.obey(web=Phase.BACKOFF)
        assert await waiting < 3.0
        assert elsewhere(cluster, first) == {}
        for agent in (second, third):
            assert not cluster.directories.differs(agent.host_id, digests[agent.host_id])

    lead(test)


def test_a_new_leader_tells_nothing_before_it_has_heard_each_host() -> None:
    store = prepared_store()

    async def first(cluster: Cluster) -> None:
        agents = await shop_on_two(cluster)
        await until(cluster, lambda: elsewhere(cluster, agents[0]) == {"id-h2": 1}, "both serve")

    async def second(cluster: Cluster) -> None:
        early, late = Proxied(cluster, 1), Proxied(cluster, 2)
        await early.begin()
        await early.settle()
        cluster.heard(late.host_id, late.run)
        for _ in range(3):
            await cluster.directories.make()
        assert cluster.directories.table is None, "its report is still on its way"
        assert not cluster.directories.differs(early.host_id, "of the former leader")
        await late.begin()
        await late.settle()
        await until(cluster, lambda: elsewhere(cluster, early) == {"id-h2": 1}, "as it was")
        assert directory_of(cluster, early).epoch.term == 2

    lead(first, store)
    lead(second, store)


def test_a_host_that_is_lost_is_not_waited_for() -> None:
    store = prepared_store()

    async def run() -> None:
        former = cluster_on(store)
        await former.start()
        await hosts_of(former, 3)
        await former.stop()
        cluster = cluster_on(store, lost_after_s=1.0, silent_after_s=0.8)
        await cluster.start()
        try:
            agents = [Proxied(cluster, number) for number in (1, 2)]
            for agent in agents:
                await agent.begin()
            await cluster.directories.make()
            assert cluster.directories.table is None
            deadline = asyncio.get_running_loop().time() + 5.0
            while cluster.directories.table is None:
                assert asyncio.get_running_loop().time() < deadline
                for agent in agents:
                    cluster.heard(agent.host_id, agent.run)
                await asyncio.sleep(0.05)
            peers = {peer.host_id for peer in directory_of(cluster, agents[0]).peers}
            assert peers == {"id-h2"}
        finally:
            await cluster.stop()

    asyncio.run(run())


def test_once_there_are_directories_a_host_that_is_new_holds_up_nobody() -> None:
    async def test(cluster: Cluster) -> None:
        (agent,) = await hosts_of(cluster, 1)
        await until(cluster, lambda: cluster.directories.table is not None, "it was heard")
        await enroll(cluster, "h2", "2" * 64)
        await until(cluster, lambda: len(cluster.directories.table or ()) == 2, "known")
        assert directory_of(cluster, agent).peers == ()

    lead(test)


def test_a_removed_host_is_gone_from_all_directories_at_once() -> None:
    async def test(cluster: Cluster) -> None:
        first, _ = await shop_on_two(cluster)
        await until(cluster, lambda: elsewhere(cluster, first) == {"id-h2": 1}, "both serve")
        before = directory_of(cluster, first)
        assert [one.host_id for one in before.admissions] == ["id-h2"]
        waiting = asyncio.ensure_future(soon(cluster, first, before.digest))
        await asyncio.sleep(0)
        change = dataclasses.replace(ALICE, request_id="r9")
        await cluster.hostlife.remove("h2", RemoveHostRequest("r9", force=True), change)
        assert await waiting < 3.0
        after = directory_of(cluster, first)
        assert (after.peers, after.admissions, after.services[0].elsewhere) == ((), (), ())
        assert "id-h2" not in _table(cluster.directories)

    lead(test)


def test_it_is_known_which_directory_each_host_has() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.directories.heard("id-h1", "digest")
        cluster.directories.heard("id-h1", None)
        cluster.directories.heard("id-h2", None)
        assert cluster.directories.accepted == {"id-h1": "digest"}
        cluster.directories.forget("id-h1")
        assert cluster.directories.accepted == {}

    lead(test)


def test_a_proxy_that_is_away_for_a_moment_changes_nothing_and_one_that_stays_away_does() -> None:
    async def test(cluster: Cluster) -> None:
        _, second = await shop_on_two(cluster)
        now = 1000.0
        told = Directories(cluster._term, lambda: now)
        await told.make()
        before = _table(told).digests["id-h1"]
        second.facts = FACTS
        await second.report(second.picture.state.instances, full=True)
        now += AWAY_S - 1
        await told.make()
        assert _table(told).digests["id-h1"] == before
        now += 2
        await told.make()
        assert _table(told)["id-h1"].peers == ()
        assert _table(told)["id-h1"].services[0].elsewhere == ()

    lead(test)


def _table(told: Directories) -> Table:
    assert told.table is not None
    return told.table


def test_many_changes_within_a_moment_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0

    def counted(*arguments: Any) -> Table:
        nonlocal passes
        passes += 1
        return tabled(*arguments)

    async def test(cluster: Cluster) -> None:
        nonlocal passes
        first, second = await shop_on_two(cluster)
        await until(cluster, lambda: elsewhere(cluster, first) == {"id-h2": 1}, "both serve")
        passes = 0
        clock = asyncio.get_running_loop().time
        began = clock()
        changes = 0
        while clock() - began < 0.5 or changes < 30:
            for phase in (Phase.BACKOFF, Phase.RUNNING):
                await second.report(
                    {
                        name: status(one.instance, phase)
                        for name, one in second.picture.state.instances.items()
                    }
                )
                changes += 1
            await asyncio.sleep(0.005)
        assert 1 < passes <= 2 + (clock() - began) / LEAST_S

    monkeypatch.setattr("hullmark.masterd.directories.tabled", counted)
    lead(test)


def test_an_agent_asks_when_its_poll_says_so_and_then_its_poll_is_held(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        _, poll = await host.post("/agent/v1/poll", await host.settled(directory="", hold_s=9))
        polled = from_wire(PollAnswer, poll)
        assert polled.directory_changed
        status_, answer = await host.post("/agent/v1/directory", {})
        assert status_ == 200
        found = from_wire(DirectoryAnswer, answer)
        assert found.lease_s == 10.0
        assert (found.directory.epoch, found.directory.leader) == (polled.epoch, polled.leader)
        body = await host.settled(directory=found.directory.digest, hold_s=9)
        held = asyncio.ensure_future(host.post("/agent/v1/poll", body))
        await asyncio.sleep(0.1)
        assert not held.done()
        another = await served.enroll("h2")
        await another.begin()
        await report_facts(another, with_proxy(2))
        _, poll = await asyncio.wait_for(held, 3)
        assert from_wire(PollAnswer, poll).directory_changed

    serve(tmp_path, test, lost_after=60.0)


async def report_facts(host: Any, facts: HostFacts) -> None:
    """A full report after the first one, with these facts."""
    report = changes(
        None,
        HostState(facts=facts),
        host_id=host.host_id,
        run="run-1",
        sequence=2,
        epoch=Epoch(1, 1),
        events=(),
    )
    status_, answer = await host.post("/agent/v1/report", to_wire(report))
    assert (status_, answer.get("resend", False)) == (200, False)


def test_an_agent_that_takes_no_directories_is_not_woken_for_them(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        clock = asyncio.get_running_loop().time
        began = clock()
        _, poll = await host.post("/agent/v1/poll", await host.settled(hold_s=0.6))
        assert clock() - began > 0.6
        assert not from_wire(PollAnswer, poll).directory_changed

    serve(tmp_path, test, lost_after=60.0)
