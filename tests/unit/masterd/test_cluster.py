"""The leader as its ports see it: changes, orders, reports, and what stays after it is killed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any, Optional

import pytest

from hullmark.errors import (
    Conflict,
    Forbidden,
    ImageUnavailable,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Refused,
    StaleEpoch,
    StoreUnavailable,
)
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.view import decode, encode
from hullmark.model.api import InviteRequest, RemoveRequest, ScaleRequest
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeploySpec,
    Mount,
    MountKind,
    Network,
    PortMode,
    PortSpec,
    PullPolicy,
    Service,
    Volume,
)
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.event import Event
from hullmark.model.host import HostRecord
from hullmark.model.names import LEADER_KEY, REQUESTS
from hullmark.model.observed import HostProblem, Phase
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.records import InviteRecord, LeaderRecord, SessionRecord
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Compare, Put
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
    until,
)


async def with_host(cluster: Cluster) -> FakeAgent:
    record = await enroll(cluster)
    agent = FakeAgent(cluster, record.host_id)
    await agent.begin()
    return agent


def test_an_app_runs() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        answer = await cluster.apply(request(app(replicas=2), "r1"), ALICE, no_digest)
        assert (answer.generation, answer.changed) == (1, True)
        assert "not pinned" in answer.warnings[0]
        assert await cluster.wait_orders(agent.host_id, NO_EPOCH, 0, 5.0)
        orders = await agent.settle()
        assert [str(item.instance) for item in orders.assignments] == ["shop/web.1", "shop/web.2"]
        assert set(orders.bundles) == {item.spec_hash for item in orders.assignments}
        detail = cluster.app_detail("shop")
        assert (detail.summary.state, detail.settled, detail.failed) == ("running", True, False)
        service = detail.summary.services[0]
        assert (service.wanted, service.running, service.serving, service.why) == (2, 2, 2, ())
        assert detail.summary.change == ALICE
        assert cluster.status().state == "ok"

    lead(test)


def test_a_repeat_gets_the_same_answer() -> None:
    async def test(cluster: Cluster) -> None:
        first = await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        again = await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        assert first == again
        assert first.changed
        other = await cluster.apply(request(app(), "r2"), ALICE, no_digest)
        assert (other.changed, other.generation) == (False, 1)
        with pytest.raises(Conflict, match="used for another request"):
            await cluster.apply(request(app(image="web:2"), "r1"), ALICE, no_digest)
        with pytest.raises(InvalidInput, match="request id"):
            await cluster.apply(request(app(), "a/b"), ALICE, no_digest)

    lead(test)


def test_the_same_request_many_times_at_once_is_one_change() -> None:
    async def test(cluster: Cluster) -> None:
        answers = await asyncio.gather(
            *(cluster.apply(request(app(), "r1"), ALICE, no_digest) for _ in range(10))
        )
        assert len(set(answers)) == 1
        assert sum(event.kind == "app.applied" for event in cluster.events().events) == 1
        assert cluster.app_detail("shop").summary.generation == 1

    lead(test)


def test_digests_are_looked_up_once_for_each_image() -> None:
    asked = []

    async def resolve(image: str, platform: str, policy: str) -> ResolveAnswer:
        asked.append((image, platform, policy))
        return ResolveAnswer(digest="sha256:" + "1" * 64)

    async def test(cluster: Cluster) -> None:
        never = Service(ContainerSpec("local:1", pull_policy=PullPolicy.NEVER))
        fixed = Service(ContainerSpec("x@sha256:" + "2" * 64))
        spec = app(again=Service(ContainerSpec("web:1")), never=never, fixed=fixed)
        await cluster.apply(request(spec, "r1"), ALICE, resolve)
        assert asked == [("web:1", "", "missing")]
        services = {view.service: view for view in cluster.app_detail("shop").summary.services}
        assert services["web"].digest == services["again"].digest == "sha256:" + "1" * 64
        assert services["never"].digest == services["fixed"].digest == ""
        plan = cluster.plan(spec)
        assert not plan.changed
        assert "again, web" in plan.warnings[0]

    lead(test)


def test_what_images_expose_is_found_out_and_kept() -> None:
    asked = []

    async def resolve(image: str, platform: str, policy: str) -> ResolveAnswer:
        asked.append(image)
        if image == "gone:1":
            return ResolveAnswer(error="image gone:1 is not on this host")
        return ResolveAnswer(digest="sha256:" + "1" * 64, exposed=("5432/tcp",))

    async def older(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(digest="sha256:" + "1" * 64)

    def on_a_network(image: str, **more: Any) -> Service:
        networks = (Attachment("default"),)
        return Service(ContainerSpec(image, networks=networks, **more))

    async def test(cluster: Cluster) -> None:
        services = {
            "db": on_a_network("db:1"),
            "own": on_a_network("x@sha256:" + "2" * 64, expose=("80",)),
            "lost": on_a_network("gone:1", pull_policy=PullPolicy.NEVER),
        }
        spec = App("shop", services, {"default": Network()})
        answer = await cluster.apply(request(spec, "r1"), ALICE, resolve)
        assert sorted(asked) == ["db:1", "gone:1"]
        assert answer.warnings == (
            "lost: which ports its image exposes is not known: image gone:1 is not on this host",
        )
        kept = cluster.snapshot().apps["shop"].app.services
        assert {name: one.exposed for name, one in kept.items()} == {
            "db": ("5432/tcp",),
            "own": (),
            "lost": (),
        }
        assert dict(cluster.snapshot().addresses) == {
            "shop/db": "10.214.0.1",
            "shop/own": "10.214.0.2",
        }
        assert not (await cluster.apply(request(spec, "r2"), ALICE, older)).changed
        assert not cluster.plan(spec).changed

    lead(test)


def test_a_tag_that_moved_is_a_change() -> None:
    async def test(cluster: Cluster) -> None:
        async def first(image: str, platform: str, policy: str) -> ResolveAnswer:
            return ResolveAnswer(digest="sha256:1")

        async def moved(image: str, platform: str, policy: str) -> ResolveAnswer:
            return ResolveAnswer(digest="sha256:2")

        async def nobody(image: str, platform: str, policy: str) -> ResolveAnswer:
            return ResolveAnswer(note="no host is ready")

        await cluster.apply(request(app(), "r1"), ALICE, first)
        same = await cluster.apply(request(app(), "r2"), ALICE, nobody)
        assert not same.changed
        assert "keeps its digest: no host is ready" in same.warnings[0]
        assert (await cluster.apply(request(app(), "r3"), ALICE, moved)).generation == 2

    lead(test)


def test_a_tag_that_nobody_looked_up_is_refused_unless_it_was_before() -> None:
    async def nobody(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(note="no host is ready", remedy="start an agent")

    async def found(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(digest="sha256:1")

    async def test(cluster: Cluster) -> None:
        assert "web: the image's tag is looked up at apply" in cluster.plan(app()).warnings
        with pytest.raises(ImageUnavailable, match="web: the tag of image web:1") as caught:
            await cluster.apply(request(app(), "r1"), ALICE, nobody)
        assert "sha256:" in caught.value.remedy
        assert "pull_policy: never" in caught.value.remedy
        assert cluster.app_list().apps == ()
        local = request(app("own", image="localhost/web:1"), "r2")
        assert (
            "not pinned: no host is ready"
            in (await cluster.apply(local, ALICE, nobody)).warnings[0]
        )
        await cluster.apply(request(app(), "r3"), ALICE, found)
        twin = Service(ContainerSpec("web:1"))
        await cluster.apply(request(app(again=twin), "r4"), ALICE, nobody)
        services = cluster.app_detail("shop").summary.services
        assert [view.digest for view in services] == ["sha256:1", "sha256:1"]
        with pytest.raises(ImageUnavailable, match="image web:2"):
            await cluster.apply(request(app(image="web:2"), "r5"), ALICE, nobody)

    lead(test)


def test_an_image_that_cannot_be_had_changes_nothing() -> None:
    async def resolve(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(error="registry r: no such tag", remedy="push it")

    async def test(cluster: Cluster) -> None:
        with pytest.raises(ImageUnavailable, match="web: registry r: no such tag") as caught:
            await cluster.apply(request(app(), "r1"), ALICE, resolve)
        assert caught.value.remedy == "push it"
        with pytest.raises(NotFound):
            cluster.app_detail("shop")
        assert (await cluster.apply(request(app(), "r1"), ALICE, no_digest)).changed

    lead(test)


def test_only_what_changed_is_replaced() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        db = Service(ContainerSpec("db:1"))
        job = Service(ContainerSpec("job:1", one_shot=True))
        await cluster.apply(request(app(db=db, job=job), "r1"), ALICE, no_digest)
        await agent.settle(job=Phase.COMPLETED)
        await cluster.apply(request(app(image="web:2", db=db, job=job), "r2"), ALICE, no_digest)
        await until(cluster, lambda: cluster.orders(agent.host_id).tombstones != (), "tombstones")
        orders = cluster.orders(agent.host_id)
        assert {str(i.instance): i.instance.generation for i in orders.assignments} == {
            "shop/db.1": 1,
            "shop/job.1": 2,
            "shop/web.1": 2,
        }
        gone = [(str(item.instance), item.reason) for item in orders.tombstones]
        assert gone == [
            ("shop/job.1", "replaced by generation 2"),
            ("shop/web.1", "replaced by generation 2"),
        ]
        await agent.settle(job=Phase.COMPLETED)
        assert cluster.orders(agent.host_id).tombstones == ()
        await cluster.scale("shop", ScaleRequest({"web": 2}, "r3"), ALICE)
        orders = await agent.settle(job=Phase.COMPLETED)
        assert {item.instance.generation for item in orders.assignments} == {1, 2}
        assert len(orders.assignments) == 4

    lead(test)


def test_a_tombstone_stays_until_its_host_has_obeyed_it() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        await cluster.apply(request(app(replicas=2), "r1"), ALICE, no_digest)
        assert await cluster.wait_orders(agent.host_id, NO_EPOCH, 0, 5.0)
        await until(cluster, lambda: agent.fetch().assignments != (), "orders")
        before = agent.fetch()
        await cluster.scale("shop", ScaleRequest({"web": 1}, "r2"), ALICE)
        assert await cluster.wait_orders(agent.host_id, before.epoch, before.revision, 5.0)
        # The host still speaks of its former orders: the container may yet be made.
        await agent.report({})
        assert len(cluster.orders(agent.host_id).tombstones) == 1
        await agent.settle()
        assert cluster.orders(agent.host_id).tombstones == ()

    lead(test)


def test_an_app_is_removed_with_its_volumes() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        spec = dataclasses.replace(
            app(),
            services={
                "web": Service(ContainerSpec("w", mounts=(Mount(MountKind.VOLUME, "/d", "data"),)))
            },
            volumes={"data": Volume(), "theirs": Volume(external="theirs")},
        )
        await cluster.apply(request(spec, "r1"), ALICE, no_digest)
        await agent.settle()
        removal = RemoveRequest("r2", volumes=True)
        answer = await cluster.remove("shop", removal, ALICE)
        assert answer.changed
        assert cluster.app_detail("shop").summary.state == "removing"
        with pytest.raises(Conflict, match="being removed"):
            await cluster.apply(request(spec, "r3"), ALICE, no_digest)
        await until(
            cluster, lambda: cluster.orders(agent.host_id).volume_removals != (), "the removal"
        )
        orders = agent.fetch()
        assert [item.volume for item in orders.volume_removals] == ["data"]
        await agent.settle()
        await until(cluster, lambda: cluster.app_list().apps == (), "the app is gone")
        await until(
            cluster, lambda: cluster.orders(agent.host_id).volume_removals == (), "all done"
        )
        assert await cluster.remove("shop", removal, ALICE) == answer
        with pytest.raises(NotFound):
            await cluster.remove("shop", RemoveRequest("r4"), ALICE)
        # A container of the former life can't pass for one of the new.
        assert (await cluster.apply(request(spec, "r5"), ALICE, no_digest)).changed

    lead(test)


def test_a_new_life_of_an_app_begins_above_what_is_left_of_the_old() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        await agent.settle()
        await cluster.remove("shop", RemoveRequest("r2"), ALICE)
        again = await cluster.apply(request(app(), "r3"), ALICE, no_digest)
        assert again.generation == 2
        orders = await agent.settle()
        assert [item.instance.generation for item in orders.assignments] == [2]

    lead(test)


def test_dependencies_hold_and_release() -> None:
    async def test(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        web = Service(
            ContainerSpec("web:1"),
            depends_on=(Dependency("job", DependencyCondition.COMPLETED),),
        )
        job = Service(ContainerSpec("job:1", one_shot=True))
        spec = App("shop", {"web": web, "job": job})
        await cluster.apply(request(spec, "r1"), ALICE, no_digest)
        orders = await agent.settle()
        assert [item.released for item in orders.assignments] == [True, False]
        detail = cluster.app_detail("shop")
        assert detail.summary.services[1].why == ("web.1 on h1: waits for job to complete",)
        orders = await agent.settle(job=Phase.FAILED)
        assert not orders.assignments[1].released
        assert cluster.app_detail("shop").failed
        orders = await agent.settle(job=Phase.COMPLETED)
        assert orders.assignments[1].released
        assert cluster.app_detail("shop").settled

    lead(test)


def test_expected_generation() -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(Conflict, match="does not exist, not at 1"):
            await cluster.apply(request(app(), "r1", expected_generation=1), ALICE, no_digest)
        await cluster.apply(request(app(), "r1", expected_generation=0), ALICE, no_digest)
        with pytest.raises(Conflict, match="is at generation 1, not at 0"):
            await cluster.apply(request(app(), "r2", expected_generation=0), ALICE, no_digest)

    lead(test)


def test_scale_refuses_what_cannot_be() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        with pytest.raises(NotFound, match="no service api"):
            await cluster.scale("shop", ScaleRequest({"api": 2}, "r2"), ALICE)
        with pytest.raises(InvalidInput, match=r"services\.web"):
            await cluster.scale("shop", ScaleRequest({"web": -1}, "r2"), ALICE)
        with pytest.raises(NotFound):
            await cluster.scale("other", ScaleRequest({"web": 1}, "r2"), ALICE)

    lead(test)


def test_scaling_what_has_a_volume_warns_as_its_file_would() -> None:
    mounts = (Mount(MountKind.VOLUME, "/data", "data"),)
    db = Service(ContainerSpec("db:1", mounts=mounts))
    spec = dataclasses.replace(app(db=db), volumes={"data": Volume()})

    async def test(cluster: Cluster) -> None:
        await cluster.apply(request(spec, "r1"), ALICE, no_digest)
        answer = await cluster.scale("shop", ScaleRequest({"db": 3, "web": 2}, "r2"), ALICE)
        assert answer.warnings == (
            "services.db.volumes: 3 instances share volume data where they are on one host",
        )
        repeated = await cluster.scale("shop", ScaleRequest({"db": 3, "web": 2}, "r2"), ALICE)
        assert repeated == answer
        answer = await cluster.scale("shop", ScaleRequest({"db": 1, "web": 3}, "r3"), ALICE)
        assert answer.warnings == ()

    lead(test)


def test_an_app_too_large_for_the_store_is_refused() -> None:
    async def test(cluster: Cluster) -> None:
        large = Service(ContainerSpec("x", labels={"a": "y" * (1 << 20)}))
        with pytest.raises(InvalidInput, match=r"takes 2\d+ bytes .*at most"):
            await cluster.apply(request(app(large=large), "r1"), ALICE, no_digest)

    lead(test)


def test_unplaced_instances_are_explained() -> None:
    async def test(cluster: Cluster) -> None:
        await with_host(cluster)
        ports = (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
        web = Service(ContainerSpec("web:1"), DeploySpec(replicas=2), ports)
        await cluster.apply(request(App("shop", {"web": web}), "r1"), ALICE, no_digest)
        await until(cluster, lambda: bool(cluster.snapshot().assignments), "a plan")
        why = cluster.app_detail("shop").summary.services[0].why
        assert "web.2: not placed: host h1: port 8080/tcp taken by shop/web.1" in why
        other = App("other", {"web": web})
        assert "taken by shop/web.1" in cluster.plan(other).unplaced[0]

    lead(test)


def test_an_invite_is_used_once() -> None:
    async def test(cluster: Cluster) -> None:
        record = await enroll(cluster, "h1", "a" * 64)
        with pytest.raises(Forbidden, match="used already"):
            await cluster.enroll("a" * 64, "h1", lambda invite, existing: record)
        with pytest.raises(Forbidden, match="not known"):
            await cluster.enroll("b" * 64, "h1", lambda invite, existing: record)
        again = await enroll(cluster, "h1", "c" * 64)
        assert again.host_id == record.host_id
        await cluster.invite(InviteRequest("h2"), "d" * 64, ALICE)
        with pytest.raises(Forbidden, match="for host h2"):
            await cluster.enroll("d" * 64, "h1", lambda invite, existing: record)
        with pytest.raises(InvalidInput, match="host name"):
            await cluster.invite(InviteRequest("No Host"), "e" * 64, ALICE)

    lead(test)


def test_status_tells_of_hosts_that_are_invited_enrolled_and_troubled() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.invite(InviteRequest("h1"), "a" * 64, ALICE)
        found = cluster.status()
        assert (found.state, found.notes) == ("ok", ("no host is enrolled; invited: h1",))
        await cluster.apply(request(app(image="web@sha256:" + "a" * 64), "r1"), ALICE, no_digest)
        assert cluster.status().state == "degraded"
        record = await enroll(cluster, "h1", "b" * 64)
        assert "invited" not in " ".join(cluster.status().notes)
        agent = FakeAgent(cluster, record.host_id)
        await agent.begin()
        assert cluster.status().hosts_ready == 1
        await agent.report({}, problems=(HostProblem("engine.unavailable", "no engine"),))
        found = cluster.status()
        assert (found.state, found.hosts_ready, found.hosts_total) == ("degraded", 0, 1)

    lead(test)


def test_how_long_an_engine_has_been_away_is_told() -> None:
    async def test(cluster: Cluster) -> None:
        agent = FakeAgent(cluster, (await enroll(cluster)).host_id)
        await agent.begin()
        await cluster.apply(request(app(image="web@sha256:" + "a" * 64), "r1"), ALICE, no_digest)
        await until(cluster, lambda: bool(agent.fetch().assignments), "it is assigned")
        await agent.obey()
        assert cluster.instances("shop").instances[0].why == ""
        away = (HostProblem("engine.unavailable", "no engine"),)
        await agent.report({}, problems=away)
        later = dataclasses.replace(cluster._settings, clock=lambda: time.monotonic() + 30.0)
        cluster.sights._settings = later
        await agent.report({}, problems=away)
        why = cluster.instances("shop").instances[0].why
        assert why == "as last seen 30 s ago: the host's engine does not answer"
        await agent.report({}, problems=())
        assert cluster.instances("shop").instances[0].why == ""

    lead(test)


def test_the_same_key_may_repeat_its_enrolment() -> None:
    async def test(cluster: Cluster) -> None:
        record = await enroll(cluster, "h0", "z" * 64)
        await cluster.invite(InviteRequest("h1"), "a" * 64, ALICE)
        host = dataclasses.replace(record, host_id="id-h1", name="h1")
        for _ in range(2):
            await cluster.enroll("a" * 64, "h1", lambda i, e: host, key_sha256="k" * 64)
        with pytest.raises(Forbidden, match="used already"):
            await cluster.enroll("a" * 64, "h1", lambda i, e: host, key_sha256="l" * 64)

    lead(test)


def test_a_store_shows_the_terms_that_it_has_had() -> None:
    """What an agent needs to tell the store whose orders it obeyed from an old copy of it."""

    async def test() -> None:
        store = prepared_store()
        leaders = []
        for _ in range(3):
            cluster = cluster_on(store)
            await cluster.start()
            leaders.append(cluster.leader_record.leader)
            await cluster.stop()
        assert len(set(leaders)) == 3
        last = cluster_on(store)
        await last.start()
        formers = [last.former(Epoch(1, term)) for term in (1, 2, 3)]
        assert [one.leader for one in formers if one] == leaders
        untils = [one.until for one in formers if one]
        assert untils == sorted(untils)
        assert last.former(last.leader_record.epoch) is None
        assert last.former(Epoch(1, 77)) is None
        await last.stop()

    asyncio.run(test())


def test_what_make_host_raises_ends_the_enrolment() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.invite(InviteRequest("h1"), "a" * 64, ALICE)

        def refuse(invite: InviteRecord, existing: Optional[HostRecord]) -> HostRecord:
            raise Refused("the signing request is for a weak key")

        with pytest.raises(Refused, match="weak key"):
            await cluster.enroll("a" * 64, "h1", refuse)
        assert cluster.hosts().hosts == ()

    lead(test)


def test_sessions_expire() -> None:
    async def test(cluster: Cluster) -> None:
        people = cluster.people
        await people.open_session("t" * 64, SessionRecord("alice", "admin", 0.0, 4e9), ALICE)
        await people.open_session("u" * 64, SessionRecord("alice", "admin", 0.0, 1.0), ALICE)
        assert people.session("t" * 64) is not None
        assert people.session("u" * 64) is None
        assert people.session("v" * 64) is None

    lead(test)


def test_a_killed_leader_leaves_everything_to_the_next() -> None:
    """Nothing is stopped: the first cluster is dropped as a kill would leave it."""
    store = prepared_store()

    async def run() -> None:
        first = cluster_on(store)
        await first.start()
        agent = await with_host(first)
        answer = await first.apply(request(app(replicas=2), "r1"), ALICE, no_digest)
        before = await agent.settle()
        version = first.version

        second = cluster_on(store)
        await second.start()
        assert second.leader_record.epoch == Epoch(1, first.leader_record.epoch.term + 1)
        assert second.version > version
        assert await second.apply(request(app(replicas=2), "r1"), ALICE, no_digest) == answer
        after = second.orders(agent.host_id)
        assert after.assignments == before.assignments
        assert after.bundles == before.bundles
        assert second.hosts().hosts[0].state == "never"
        assert second.lacks_state(agent.host_id, agent.run)

        with pytest.raises(StaleEpoch):
            await first.apply(request(app(image="web:2"), "r2"), ALICE, no_digest)
        assert not first.is_leader
        assert "another master" in first.why_not
        assert await first.wait_orders(agent.host_id, before.epoch, before.revision, 5.0)
        await first.stop()
        assert second.is_leader

        agent.cluster = second
        assert await agent.report({})  # out of step: asked for everything
        agent.sequence = 0
        statuses = dict(agent.picture.state.instances)
        assert not await agent.report(statuses, full=True)
        await agent.settle()
        assert second.app_detail("shop").settled
        assert second.orders(agent.host_id).assignments == before.assignments
        await second.stop()

    asyncio.run(run())


def test_a_leader_notices_that_it_was_deposed_without_writing() -> None:
    store = prepared_store()

    async def test(cluster: Cluster) -> None:
        usurper = LeaderRecord(Epoch(1, 99), "m2", "elsewhere", 0.0)
        store.commit([], [Put(LEADER_KEY, encode(usurper))])
        await until(cluster, lambda: not cluster.is_leader, "it steps down")

    lead(test, store)
    entry = store.get(LEADER_KEY)
    assert entry is not None
    assert decode(LeaderRecord, LEADER_KEY, entry.value).epoch == Epoch(1, 99)


def test_a_clean_stop_gives_leadership_back_and_keeps_the_term() -> None:
    store = prepared_store()

    async def nothing(cluster: Cluster) -> None:
        assert cluster.is_leader

    for term in (1, 2):
        lead(nothing, store)
        entry = store.get(LEADER_KEY)
        assert entry is not None
        record = decode(LeaderRecord, LEADER_KEY, entry.value)
        assert (record.epoch, record.master) == (Epoch(1, term), "")


def test_no_cluster_in_the_store() -> None:
    async def run() -> None:
        with pytest.raises(Refused, match="no cluster"):
            await cluster_on(MemoryStore()).start()

    asyncio.run(run())


def test_events_are_kept_and_told_once() -> None:
    store = prepared_store()
    event = Event("e-1", 1e9 * 4, "order.refused", "host h1", "h1", "stale epoch")

    async def first(cluster: Cluster) -> None:
        agent = await with_host(cluster)
        await agent.report({}, events=(event,))
        await agent.report({}, events=(event,))
        await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        listed = cluster.events()
        kinds = [item.kind for item in listed.events]
        assert kinds[0] == "master.leading"
        assert kinds[1:] == ["host.invited", "host.enrolled", "order.refused", "app.applied"]
        assert listed.events[-1].fields["ticket"] == "CHG-1"
        assert listed.events[-1].by == "alice"
        assert cluster.events(after=listed.last).events == ()

    async def second(cluster: Cluster) -> None:
        cluster.record(event)
        kinds = [item.kind for item in cluster.events().events]
        assert kinds.count("order.refused") == 1
        assert "app.applied" in kinds
        assert kinds[-2:] == ["master.stopped", "master.leading"]
        assert cluster.events().events[-1].fields == {"epoch": "1.2"}

    lead(first, store)
    lead(second, store)


class Flaky(MemoryStore):
    """Loses the answers of people's changes, which happened (`after`); or takes nothing at all (`before`)."""

    def __init__(self) -> None:
        super().__init__()
        self.lose = ""

    def commit(self, compares, writes):
        wanted = any(write.key.startswith(REQUESTS) for write in writes)
        if self.lose == "before" or (self.lose and wanted):
            if self.lose == "after":
                super().commit(compares, writes)
                raise OutcomeUnknown("no answer came")
            raise StoreUnavailable("the disk is gone")
        return super().commit(compares, writes)


def flaky_store() -> Flaky:
    store = Flaky()
    for entry in prepared_store().list("/").entries:
        store.commit([Compare(entry.key, 0)], [Put(entry.key, entry.value)])
    return store


def test_a_change_without_an_answer_is_looked_up() -> None:
    store = flaky_store()

    async def test(cluster: Cluster) -> None:
        store.lose = "after"
        answer = await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        assert answer.changed
        assert cluster.app_detail("shop").summary.generation == 1
        assert cluster.is_leader

    lead(test, store)


def test_a_change_that_did_not_happen_is_an_error_and_may_be_repeated() -> None:
    store = flaky_store()

    async def test(cluster: Cluster) -> None:
        store.lose = "before"
        with pytest.raises(StoreUnavailable):
            await cluster.apply(request(app(), "r1"), ALICE, no_digest)
        assert "disk is gone" in cluster.status().store
        assert cluster.status().state == "failed"
        store.lose = ""
        assert (await cluster.apply(request(app(), "r1"), ALICE, no_digest)).changed

    lead(test, store)


def test_a_caller_who_leaves_does_not_cut_a_change_in_two() -> None:
    async def test(cluster: Cluster) -> None:
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def slow(image: str, platform: str, policy: str) -> ResolveAnswer:
            asked.set()
            await go_on.wait()
            return ResolveAnswer(digest="sha256:1")

        caller = asyncio.ensure_future(cluster.apply(request(app(), "r1"), ALICE, slow))
        await asked.wait()
        caller.cancel()
        go_on.set()
        await until(cluster, lambda: cluster.app_list().apps != (), "the change is made")
        assert (await cluster.apply(request(app(), "r1"), ALICE, slow)).changed

    lead(test)


def test_an_equal_value_of_an_older_revision_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A transaction without an answer that did not happen is not taken for one that did, where the key held the same before."""
    monkeypatch.setattr("hullmark.masterd.leadership.ATTEMPTS_TO_FIND_OUT", 2)

    class Lost(MemoryStore):
        lost = False

        def commit(self, compares, writes):
            if self.lost:
                raise OutcomeUnknown("no answer came")
            return super().commit(compares, writes)

    store = Lost()
    for entry in prepared_store().list("/").entries:
        store.commit([Compare(entry.key, 0)], [Put(entry.key, entry.value)])

    async def test(cluster: Cluster) -> None:
        leadership = cluster._term.leadership
        await leadership.commit([], [Put("/hullmark/probe", b"same")])
        store.lost = True
        with pytest.raises(OutcomeUnknown):
            await leadership.commit([], [Put("/hullmark/probe", b"same")])
        store.lost = False

    lead(test, store)
