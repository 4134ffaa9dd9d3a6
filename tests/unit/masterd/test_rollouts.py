"""Changes on their way, and their history, as the leader keeps them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any, Optional

import pytest

from hullmark.errors import Conflict, InvalidInput, NotFound
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.history import KEPT, key_of
from hullmark.masterd.rollouts import LEADER
from hullmark.masterd.view import decode, encode
from hullmark.model.api import RemoveRequest, ScaleRequest
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    FailureAction,
    Service,
    UpdateConfig,
)
from hullmark.model.names import APPS, HISTORY, ROLLOUTS
from hullmark.model.observed import Phase
from hullmark.model.records import GenerationRecord, Rollout, RolloutState
from hullmark.model.rollout import RolloutAction, RolloutAnswer, RolloutRequest
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Delete, Put
from tests.unit.masterd.leading import (
    ALICE,
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

# Good as soon as it serves: how long it has to is the course's affair, and tried there.
AT_ONCE = UpdateConfig(monitor_s=0.0)
PAUSES = dataclasses.replace(AT_ONCE, failure_action=FailureAction.PAUSE)
UNDOES = dataclasses.replace(AT_ONCE, failure_action=FailureAction.ROLLBACK)


def shop(image: str, update: UpdateConfig = AT_ONCE, replicas: int = 2, **more: Service) -> App:
    deploy = DeploySpec(replicas=replicas, update=update, rollback=AT_ONCE)
    return App("shop", {"web": Service(ContainerSpec(image), deploy), **more})


async def with_shop(cluster: Cluster, spec: App, name: str = "h1") -> FakeAgent:
    """A host, and the app's first generation on it, done."""
    host = await enroll(cluster, name)
    agent = FakeAgent(cluster, host.host_id)
    await agent.begin()
    await apply(cluster, spec, "a1")
    await agent.settle()
    assert rollout(cluster).state is RolloutState.DONE
    return agent


async def apply(cluster: Cluster, spec: App, request_id: str, **change: Any) -> int:
    who = dataclasses.replace(ALICE, **change)
    answer = await cluster.apply(request(spec, request_id), who, no_digest)
    await cluster._term.loop.converge()
    return answer.generation


async def fail(agent: FakeAgent, generation: int, phase: Phase = Phase.FAILED) -> None:
    """Obey until nothing is new; instances of this generation fail, others run."""
    for _ in range(5):
        orders = agent.fetch()
        statuses = {
            item.instance.container_name: status(
                item.instance, phase if item.instance.generation == generation else Phase.RUNNING
            )
            for item in orders.assignments
        }
        gone = tuple(name for name in agent.picture.state.instances if name not in statuses)
        assert not await agent.report(statuses, gone=gone)
        await agent.cluster._term.loop.converge()


async def act(
    cluster: Cluster, action: RolloutAction, request_id: str = "x1", to: int = 0
) -> RolloutAnswer:
    asked = RolloutRequest(action, request_id, to)
    answer = await cluster.rollouts.change("shop", asked, ALICE)
    await cluster._term.loop.converge()
    return answer


def rollout(cluster: Cluster) -> Rollout:
    return cluster.snapshot().rollouts["shop"]


def assigned(cluster: Cluster) -> Sequence[int]:
    """Generations, in order of slot."""
    return [item.instance.generation for item in cluster.orders("id-h1").assignments]


def kinds(cluster: Cluster) -> list[str]:
    return [event.kind for event in cluster.events(limit=1000).events]


def kept(cluster: Cluster, generation: int) -> Optional[GenerationRecord]:
    key = key_of("shop", generation)
    entry = cluster._store.get(key)
    return None if entry is None else decode(GenerationRecord, key, entry.value)


def test_a_change_goes_slot_by_slot_and_is_done() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        assert sorted(assigned(cluster)) == [1, 2]
        view = cluster.rollouts.view("shop")
        assert (view.state, view.good, view.change) == ("rolling", 1, ALICE)
        (web,) = view.services
        assert (web.wanted, web.updated, web.open, web.old) == (2, 1, 1, 1)
        assert web.next == "web.1 has to come up"
        assert not cluster.app_detail("shop").settled
        await agent.settle()
        assert assigned(cluster) == [2, 2]
        assert (rollout(cluster).good, rollout(cluster).former) == (2, 1)
        assert cluster.app_detail("shop").settled
        assert cluster.rollouts.view("shop").state == "done"
        assert kinds(cluster).count("rollout.done") == 1

    lead(test)


def test_a_change_that_fails_is_paused_with_its_reason() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1", PAUSES))
        await apply(cluster, shop("web:2", PAUSES), "a2")
        await fail(agent, 2)
        assert rollout(cluster).state is RolloutState.PAUSED
        assert sorted(assigned(cluster)) == [1, 2], "one slot, and no more"
        detail = cluster.app_detail("shop")
        assert detail.failed
        assert detail.rollout is not None
        assert detail.rollout.reason.startswith("web.1 on h1: ended")
        assert detail.rollout.by == ""
        assert "rollout.paused" in kinds(cluster)

    lead(test)


def test_a_person_pauses_and_resumes() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        answer = await act(cluster, RolloutAction.PAUSE)
        assert answer == RolloutAnswer("shop", 2, True, "paused")
        assert (await act(cluster, RolloutAction.PAUSE)) == answer, "a repeat gets its answer"
        assert not (await act(cluster, RolloutAction.PAUSE, "x2")).changed
        await agent.settle()
        assert sorted(assigned(cluster)) == [1, 2]
        view = cluster.rollouts.view("shop")
        assert (view.state, view.by, view.reason) == ("paused", "alice", "by alice, ticket CHG-1")
        assert view.services[0].next == "nothing more is replaced"
        assert not cluster.app_detail("shop").failed, "it may go on at any moment"
        with pytest.raises(Conflict, match="used for another request"):
            await act(cluster, RolloutAction.RESUME)
        assert (await act(cluster, RolloutAction.RESUME, "x3")).state == "rolling"
        assert not (await act(cluster, RolloutAction.RESUME, "x4")).changed
        await agent.settle()
        assert assigned(cluster) == [2, 2]
        told = [kind for kind in kinds(cluster) if kind.startswith("rollout.")]
        assert told == ["rollout.paused", "rollout.resumed", "rollout.done"]

    lead(test)


def test_what_failed_is_forgiven_once_resumed() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1", PAUSES))
        await apply(cluster, shop("web:2", PAUSES), "a2")
        await fail(agent, 2, Phase.BACKOFF)
        assert rollout(cluster).state is RolloutState.PAUSED
        await act(cluster, RolloutAction.RESUME)
        assert rollout(cluster).state is RolloutState.ROLLING
        assert rollout(cluster).forgiven == ("shop.web.1.g2",)
        assert assigned(cluster) == [2, 2], "the next slot's turn"
        await fail(agent, 2, Phase.BACKOFF)
        assert rollout(cluster).state is RolloutState.PAUSED
        assert "web.2 on h1" in rollout(cluster).reason
        await agent.settle()
        assert (rollout(cluster).state, rollout(cluster).forgiven) == (RolloutState.DONE, ())

    lead(test)


def test_nothing_to_pause_or_resume() -> None:
    async def test(cluster: Cluster) -> None:
        await with_shop(cluster, shop("web:1"))
        for action in (RolloutAction.PAUSE, RolloutAction.RESUME):
            with pytest.raises(Conflict, match="generation 1 of app shop is done"):
                await act(cluster, action)
        with pytest.raises(InvalidInput, match="only with undo"):
            await act(cluster, RolloutAction.PAUSE, to=1)
        with pytest.raises(NotFound, match="there is no app none"):
            await cluster.rollouts.change("none", RolloutRequest(RolloutAction.PAUSE, "y"), ALICE)
        with pytest.raises(NotFound):
            cluster.rollouts.view("none")
        with pytest.raises(NotFound):
            await cluster.rollouts.history("none")
        with pytest.raises(NotFound, match="has no former generation"):
            await act(cluster, RolloutAction.UNDO)

    lead(test)


def test_undo_leaves_alone_what_was_not_replaced() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        await act(cluster, RolloutAction.PAUSE)
        await agent.settle()
        before = {item.instance: item for item in cluster.orders("id-h1").assignments}
        answer = await act(cluster, RolloutAction.UNDO, "x2")
        assert answer == RolloutAnswer("shop", 3, True, "rolling", 1)
        assert await act(cluster, RolloutAction.UNDO, "x2") == answer
        await agent.settle()
        orders = cluster.orders("id-h1")
        assert assigned(cluster) == [1, 1]
        assert orders.assignments[1] == before[orders.assignments[1].instance]
        record = cluster.snapshot().apps["shop"]
        assert (record.generation, record.rolled_back_to, record.change.by) == (3, 1, "alice")
        assert (rollout(cluster).state, rollout(cluster).good) == (RolloutState.DONE, 3)
        # Its spec is that of generation 1, so there is nothing to take back there.
        with pytest.raises(NotFound, match="has no former generation"):
            await act(cluster, RolloutAction.UNDO, "x3")
        assert not (await act(cluster, RolloutAction.UNDO, "x3", to=1)).changed
        assert (await act(cluster, RolloutAction.UNDO, "x4", to=2)).taken_back == 2

    lead(test)


def test_undo_goes_to_the_newest_generation_that_was_done() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        await agent.settle()
        for number in (3, 4):
            await apply(cluster, shop(f"web:{number}", PAUSES), f"a{number}")
            await fail(agent, number, Phase.BACKOFF)
        with pytest.raises(Conflict, match="is at generation 4"):
            await act(cluster, RolloutAction.UNDO, to=4)
        with pytest.raises(NotFound, match="has no generation 9") as error:
            await act(cluster, RolloutAction.UNDO, to=9)
        assert error.value.remedy == "one of 1, 2, 3"
        assert (await act(cluster, RolloutAction.UNDO)).taken_back == 2

    lead(test)


def test_undo_of_what_is_done_goes_to_the_one_before() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        await agent.settle()
        assert (await act(cluster, RolloutAction.UNDO)).taken_back == 1
        await agent.settle()
        assert assigned(cluster) == [1, 1]

    lead(test)


def test_a_failed_change_is_taken_back_by_the_leader() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1", UNDOES))
        await apply(cluster, shop("web:2", UNDOES), "a2", ticket="CHG-9")
        assert sorted(assigned(cluster)) == [1, 2]
        await fail(agent, 2)
        await until(cluster, lambda: cluster.snapshot().apps["shop"].generation == 3, "the undo")
        await cluster._term.loop.converge()
        record = cluster.snapshot().apps["shop"]
        assert record.rolled_back_to == 1
        assert (record.change.by, record.change.ticket) == (LEADER, "CHG-9")
        assert record.app == shop("web:1", UNDOES)
        assert cluster.rollouts.view("shop").undid == 2
        await agent.settle()
        assert assigned(cluster) == [1, 1]
        assert (rollout(cluster).state, rollout(cluster).undid) == (RolloutState.DONE, 2)
        (event,) = [e for e in cluster.events().events if e.kind == "rollout.rolled-back"]
        assert event.by == ""
        assert event.fields["goes back to"] == "1"
        assert event.fields["ticket"] == "CHG-9"
        assert event.fields["reason"].startswith("web.1 on h1: ended")

    lead(test)


def test_a_leader_that_dies_before_it_takes_back_leaves_that_to_the_next() -> None:
    store = prepared_store()

    async def first(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1", UNDOES))
        await apply(cluster, shop("web:2", UNDOES), "a2")
        cluster._term.loop.undo = None  # killed between plan and undoing
        await fail(agent, 2)
        await until(
            cluster,
            lambda: rollout(cluster).state is RolloutState.UNDOING,
            "that it is to be undone",
        )
        with pytest.raises(Conflict, match="is being taken back"):
            await act(cluster, RolloutAction.PAUSE)

    async def second(cluster: Cluster) -> None:
        await until(cluster, lambda: cluster.snapshot().apps["shop"].generation == 3, "the undo")
        assert rollout(cluster).undid == 2
        await cluster.rollouts.take_back("shop")
        assert cluster.snapshot().apps["shop"].generation == 3, "once is enough"

    lead(first, store)
    lead(second, store)


def test_without_the_good_generation_it_is_paused() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1", UNDOES))
        await cluster._term.leadership.commit([], [Delete(key_of("shop", 1))])
        await apply(cluster, shop("web:2", UNDOES), "a2")
        await cluster._term.leadership.commit([], [Delete(key_of("shop", 1))])
        await fail(agent, 2)
        await until(cluster, lambda: rollout(cluster).state is RolloutState.PAUSED, "a pause")
        assert "generation 1 is not in the history any more" in rollout(cluster).reason
        assert cluster.snapshot().apps["shop"].generation == 2

    lead(test)


def test_without_any_good_generation_it_is_paused() -> None:
    async def test(cluster: Cluster) -> None:
        agent = FakeAgent(cluster, (await enroll(cluster)).host_id)
        await agent.begin()
        await apply(cluster, shop("web:1", UNDOES), "a1")
        await agent.settle(web=Phase.FAILED)
        assert rollout(cluster).state is RolloutState.ROLLING, "nothing is replaced at first"
        await apply(cluster, shop("web:2", UNDOES), "a2")
        await agent.settle(web=Phase.FAILED)
        assert rollout(cluster).state is RolloutState.PAUSED
        assert rollout(cluster).reason.endswith("there is no former generation to go back to")

    lead(test)


def test_scaling_does_not_resume_and_applying_does() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        await act(cluster, RolloutAction.PAUSE)
        await agent.settle()
        await cluster.scale("shop", ScaleRequest({"web": 3}, "s1"), ALICE)
        await agent.settle()
        assert (rollout(cluster).generation, rollout(cluster).state) == (3, RolloutState.PAUSED)
        assert sorted(assigned(cluster)) == [1, 2, 2], "the new slot is there all the same"
        await apply(cluster, shop("web:3", replicas=3), "a3")
        assert rollout(cluster).state is RolloutState.ROLLING
        await agent.settle()
        assert assigned(cluster) == [4, 4, 4]

    lead(test)


def test_the_history_says_who_and_what() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        secret = ContainerSpec("db:1", environment={"PASSWORD": "hunter2"})
        await apply(cluster, shop("web:2", db=Service(secret)), "a2", by="bob", ticket="CHG-2")
        await agent.settle()
        await cluster.scale("shop", ScaleRequest({"web": 3}, "s1"), ALICE)
        found = await cluster.rollouts.history("shop")
        assert [item.generation for item in found.generations] == [3, 2, 1]
        newest, second, first = found.generations
        assert (newest.state, newest.differences) == (
            "now",
            ("scale service web, 2 to 3: deploy.replicas",),
        )
        assert (second.change.by, second.change.ticket) == ("bob", "CHG-2")
        assert second.differences == (
            "create service db, 1 instance",
            "replace service web, 2 instances: container.image",
        )
        assert first.differences == ("create service web, 2 instances",)
        assert "hunter2" not in str(found)
        kept_now = kept(cluster, 2)
        assert kept_now is not None
        assert kept_now.record.app.services["db"].container == secret

    lead(test)


def test_the_newest_ten_are_kept_and_those_that_are_needed() -> None:
    async def test(cluster: Cluster) -> None:
        await with_shop(cluster, shop("web:1"))
        for number in range(2, 15):
            # No agent obeys: the first generation stays the good one, and what runs.
            await apply(cluster, shop(f"web:{number}"), f"a{number}")
        found = [item.generation for item in (await cluster.rollouts.history("shop")).generations]
        assert found == [*range(14, 14 - KEPT, -1), *(item for item in found[KEPT:])]
        assert found[-1] == 1
        assert len(found) <= KEPT + 2

    lead(test)


def test_the_history_goes_with_the_app() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        await cluster.remove("shop", RemoveRequest("r1"), ALICE)
        with pytest.raises(Conflict, match="is being removed"):
            await act(cluster, RolloutAction.UNDO)
        await agent.settle()
        assert "shop" not in cluster.snapshot().apps
        assert cluster._store.list(HISTORY).entries == ()
        assert cluster._store.list(ROLLOUTS).entries == ()
        assert await apply(cluster, shop("web:3"), "a3") == 1
        assert [
            item.generation for item in (await cluster.rollouts.history("shop")).generations
        ] == [1]

    lead(test)


def test_an_app_from_before_there_was_a_history() -> None:
    """Its generation is written down before another follows, and it counts as done."""
    store: MemoryStore = prepared_store()

    async def first(cluster: Cluster) -> None:
        await with_shop(cluster, shop("web:1"))
        keys = [key_of("shop", 1), ROLLOUTS + "shop"]
        await cluster._term.leadership.commit([], [Delete(key) for key in keys])
        assert store.get(APPS + "shop") is not None

    async def second(cluster: Cluster) -> None:
        await cluster._term.loop.converge()
        assert rollout(cluster) == Rollout(1, RolloutState.DONE, 1)
        await apply(cluster, shop("web:2"), "a2")
        assert (await act(cluster, RolloutAction.UNDO)).taken_back == 1

    async def both() -> None:
        for test in (first, second):
            cluster = cluster_on(store)
            await cluster.start()
            await test(cluster)
            await cluster.stop()

    asyncio.run(both())


def test_a_rollout_that_was_changed_meanwhile_is_not_overwritten() -> None:
    async def test(cluster: Cluster) -> None:
        await with_shop(cluster, shop("web:1"))
        await apply(cluster, shop("web:2"), "a2")
        other = Rollout(2, RolloutState.PAUSED, 1, "by bob")
        view = cluster._term.view
        # Written by nobody that this leader knows of: its view is behind for a moment.
        cluster._store.commit([], [Put(ROLLOUTS + "shop", encode(other))])
        assert view.rollouts["shop"].state is RolloutState.ROLLING
        with pytest.raises(Conflict, match="changed at the same moment"):
            await cluster.rollouts.change("shop", RolloutRequest(RolloutAction.PAUSE, "x"), ALICE)

    lead(test)
