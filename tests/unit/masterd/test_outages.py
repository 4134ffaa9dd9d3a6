"""The record of outages: hosts that fall silent, are lost and come back, and when their problems began and ended."""

from __future__ import annotations

import asyncio

from hullmark.masterd.cluster import Cluster
from hullmark.masterd.fleet import Fleet
from hullmark.masterd.troubles import Troubles
from hullmark.model.event import Event
from hullmark.model.observed import HostProblem
from tests.unit.masterd.leading import FakeAgent, cluster_on, enroll, lead, prepared_store, until

AWAY = HostProblem("engine.unavailable", "the engine does not answer")
FULL = HostProblem("disk.full", "no room")


def told(cluster: Cluster, prefix: str) -> list[Event]:
    return [event for event in cluster.events().events if event.kind.startswith(prefix)]


def kinds(cluster: Cluster) -> list[str]:
    seen = ("host.silent", "host.lost", "host.returned")
    return [event.kind for event in cluster.events().events if event.kind in seen]


def test_a_problem_is_told_when_it_begins_and_when_it_ends() -> None:
    async def test(cluster: Cluster) -> None:
        record = await enroll(cluster)
        agent = FakeAgent(cluster, record.host_id)
        await agent.begin()
        await agent.report({}, problems=(AWAY,))
        worse = HostProblem(AWAY.code, "it still does not answer")
        await agent.report({}, problems=(worse, FULL))
        await agent.report({}, problems=(FULL,))
        found = told(cluster, "host.problem")
        assert [(event.kind, event.fields["code"]) for event in found] == [
            ("host.problem", AWAY.code),
            ("host.problem", FULL.code),
            ("host.problem-over", AWAY.code),
        ]
        assert found[0].message == "engine.unavailable: the engine does not answer"
        assert {event.subject for event in found} == {"host h1"}
        assert found[2].fields["lasted_s"] == "0"

    lead(test)


def test_a_full_report_and_a_new_leader_tell_nothing_twice() -> None:
    store = prepared_store()

    async def first(cluster: Cluster) -> None:
        record = await enroll(cluster)
        agent = FakeAgent(cluster, record.host_id)
        await agent.report({}, full=True, problems=(AWAY, FULL))
        agent.sequence = 0
        await agent.report({}, full=True, problems=(AWAY, FULL))
        assert len(told(cluster, "host.problem")) == 2

    async def second(cluster: Cluster) -> None:
        agent = FakeAgent(cluster, "id-h1", run="run-2")
        await agent.report({}, full=True, problems=(AWAY,))
        found = told(cluster, "host.problem")
        assert [event.kind for event in found[2:]] == ["host.problem-over"]
        assert found[2].fields["code"] == FULL.code

    lead(first, store)
    lead(second, store)


def test_how_long_a_problem_lasted() -> None:
    troubles = Troubles()
    began = troubles.compare("a", [AWAY], 100.0)
    later = Troubles()
    later.load(
        Event("1", 100.0, item.kind, "host a", "m1", item.message, fields=item.fields)
        for item in began
    )
    over = later.compare("a", [], 190.4)
    assert [(item.message, item.fields["lasted_s"]) for item in over] == [
        ("engine.unavailable: it lasted 90 s", "90")
    ]
    assert later.compare("a", [], 200.0) == []
    assert [item.kind for item in later.compare("b", [AWAY], 200.0)] == ["host.problem"]


def test_a_host_that_is_not_heard_falls_silent_is_lost_and_comes_back() -> None:
    async def run() -> None:
        cluster = cluster_on(prepared_store(), silent_after_s=0.05, lost_after_s=0.7)
        await cluster.start()
        try:
            record = await enroll(cluster)
            agent = FakeAgent(cluster, record.host_id)
            await agent.begin()
            await until(cluster, lambda: "host.lost" in kinds(cluster), "it is lost")
            await agent.report({})
            assert kinds(cluster)[-2:] == ["host.lost", "host.returned"]
        finally:
            await cluster.stop()

    asyncio.run(run())


def test_a_host_that_died_before_this_leader_began_is_told_too() -> None:
    now = 0.0
    fleet = Fleet(lambda: now, silent_after_s=8.0, lost_after_s=10.0)
    fleet.expect(["a"])
    assert fleet.heard_s() == {}
    words = []
    while now < 15.0:
        now += 0.5
        words += [passage.word for passage in fleet.tick()]
    assert words == ["silent", "lost"]
    passage = fleet.hear("a", "run-1")
    assert passage is not None
    assert (passage.word, passage.heard_s) == ("ready", 15.0)
    assert fleet.heard_s() == {"a": 0.0}
