"""Operators' words on hosts: what they change, what they refuse, what they leave."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from hullmark.errors import Conflict, Forbidden, InvalidInput, NotFound
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.lines import Line
from hullmark.model.api import InviteRequest
from hullmark.model.app import ContainerSpec, Mount, MountKind, Service
from hullmark.model.host import Availability, HostRecord
from hullmark.model.hostlife import (
    AvailabilityRequest,
    LabelsRequest,
    MaintenanceEndRequest,
    MaintenanceRequest,
    RemoveHostRequest,
)
from hullmark.model.names import HOSTS
from hullmark.model.records import InviteRecord
from hullmark.store.protocol import Delete
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

LINE = Line("10.0.0.1", lambda: True)


def kinds(cluster: Cluster) -> list[str]:
    return [event.kind for event in cluster.events(limit=1000).events]


def availability(word: Availability, *hosts: str, request_id: str = "a1") -> AvailabilityRequest:
    return AvailabilityRequest(hosts, word, request_id, "CHG-1")


def test_several_hosts_are_set_aside_or_none() -> None:
    async def test(cluster: Cluster) -> None:
        for name in ("h1", "h2"):
            await enroll(cluster, name, name[-1] * 64)
        bad = availability(Availability.CORDONED, "h1", "h3", "h4")
        with pytest.raises(NotFound, match="there is no hosts h3, h4"):
            await cluster.hostlife.set_availability(bad, ALICE)
        assert {host.availability for host in cluster.hosts().hosts} == {Availability.ACTIVE}
        good = availability(Availability.CORDONED, "h1", "h2", "h1")
        answer = await cluster.hostlife.set_availability(good, ALICE)
        assert [(one.host, one.changed) for one in answer.hosts] == [("h1", True), ("h2", True)]
        assert await cluster.hostlife.set_availability(good, ALICE) == answer, "asked twice"
        again = availability(Availability.CORDONED, "h1", request_id="a2")
        answer = await cluster.hostlife.set_availability(again, ALICE)
        assert [one.changed for one in answer.hosts] == [False]
        assert kinds(cluster).count("host.cordoned") == 2
        event = next(each for each in cluster.events().events if each.kind == "host.cordoned")
        assert (event.by, event.fields["ticket"]) == ("alice", "CHG-1")

    lead(test)


@pytest.mark.parametrize("hosts", [(), tuple(f"h{number}" for number in range(41))])
def test_how_many_hosts_one_request_names(hosts: tuple[str, ...]) -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(InvalidInput):
            await cluster.hostlife.set_availability(
                availability(Availability.CORDONED, *hosts), ALICE
            )

    lead(test)


def test_labels_are_bounded_and_changed_at_once() -> None:
    async def test(cluster: Cluster) -> None:
        await enroll(cluster)
        life = cluster.hostlife
        done = await life.set_labels("h1", LabelsRequest("l1", {"zone": "a", "disk": "ssd"}), ALICE)
        assert done.labels == {"zone": "a", "disk": "ssd"}
        done = await life.set_labels(
            "h1", LabelsRequest("l2", {"zone": "b"}, ("disk", "none")), ALICE
        )
        assert done.labels == {"zone": "b"}
        bads: list[LabelsRequest] = [
            LabelsRequest("l3", {"a=b": "c"}),
            LabelsRequest("l4", {"a": "x" * 256}),
            LabelsRequest("l7", {"a b": "c"}),
            LabelsRequest("l8", {"a": "b\n"}),
            LabelsRequest("l5", {"a": "b"}, ("a",)),
            LabelsRequest("l6", {f"k{number}": "" for number in range(64)}),
        ]
        for bad in bads:
            with pytest.raises(InvalidInput):
                await life.set_labels("h1", bad, ALICE)
        assert cluster.hosts().hosts[0].labels == {"zone": "b"}

    lead(test)


def test_maintenance_is_expected_silence_and_ends_by_the_clock() -> None:
    wall = [1_000_000.0]

    async def run() -> None:
        cluster = cluster_on(
            prepared_store(), wall=lambda: wall[0], silent_after_s=0.05, lost_after_s=60.0
        )
        await cluster.start()
        try:
            record = await enroll(cluster)
            await FakeAgent(cluster, record.host_id).begin()
            life = cluster.hostlife
            for for_s in (59.0, 30 * 86400.0 + 1, float("nan")):
                with pytest.raises(InvalidInput, match="for_s"):
                    await life.start_maintenance(MaintenanceRequest(("h1",), for_s, "m0"), ALICE)
            started = await life.start_maintenance(
                MaintenanceRequest(("h1",), 3600.0, "m1", "CHG-881"), ALICE
            )
            assert started.hosts[0].maintenance is not None
            for _ in range(200):
                await asyncio.sleep(0.02)
                if "host.silent" in kinds(cluster):
                    break
            silent = next(each for each in cluster.events().events if each.kind == "host.silent")
            assert silent.fields == {"planned": "maintenance", "ticket": "CHG-881"}
            status = cluster.status()
            assert status.state == "ok"
            assert [(group.word, group.detail) for group in status.hosts] == [
                ("maintenance", "CHG-881, 60 min left")
            ]
            heard = cluster.snapshot().heard_s[record.host_id]
            assert heard > 0.05
            wall[0] += 3601.0
            after = cluster.snapshot()
            assert after.heard_s[record.host_id] < 0.05, "it has its time anew"
            told_s = after.told_s(record.host_id)
            assert told_s is not None
            assert told_s > 0.05, "and did not call since"
            await life.expire()
            await life.expire()
            assert cluster.host(record.host_id).maintenance is None  # type: ignore[union-attr]
            assert kinds(cluster).count("maintenance.expired") == 1
            ended = await life.end_maintenance(MaintenanceEndRequest(("h1",), "m2"), ALICE)
            assert not ended.hosts[0].changed
        finally:
            await cluster.stop()

    asyncio.run(run())


def stateful() -> Service:
    return Service(ContainerSpec("db:1", mounts=(Mount(MountKind.VOLUME, "/data", "data"),)))


async def _running(cluster: Cluster, **services: Service) -> tuple[HostRecord, FakeAgent]:
    record = await enroll(cluster)
    agent = FakeAgent(cluster, record.host_id)
    await agent.begin()
    await cluster.apply(request(app("shop", "web:1", 1, **services), "r1"), ALICE, no_digest)
    for _ in range(100):
        await asyncio.sleep(0.01)
        if len((await agent.obey()).assignments) > len(services):
            break
    return record, agent


def test_a_drain_names_what_no_other_host_fits() -> None:
    async def test(cluster: Cluster) -> None:
        await _running(cluster)
        assert cluster.host_detail("h1").stuck == ()
        word = availability(Availability.DRAINING, "h1")
        await cluster.hostlife.set_availability(word, ALICE)
        await until(cluster, lambda: cluster.host_detail("h1").stuck != (), "it is planned")
        detail = cluster.host_detail("h1")
        assert [one.name for one in detail.stuck] == list(detail.left) == ["shop/web.1"]
        assert detail.stuck[0].why == "its host h1 is draining; there is no other host"

    lead(test)


def test_a_host_with_instances_is_not_removed_and_the_way_out_is_told() -> None:
    async def test(cluster: Cluster) -> None:
        await _running(cluster)
        with pytest.raises(Conflict, match=r"host h1 still has shop/web\.1") as refused:
            await cluster.hostlife.remove("h1", RemoveHostRequest("x1"), ALICE)
        assert (refused.value.remedy or "").startswith(
            "hullmark invite HOST, as there is no other host; hullmark host drain h1; or, for"
        )
        assert cluster.hosts().hosts

    lead(test)


def test_an_empty_host_goes_with_its_invites_and_its_certificate() -> None:
    async def test(cluster: Cluster) -> None:
        record = await enroll(cluster)
        await FakeAgent(cluster, record.host_id).begin()
        await cluster.invite(InviteRequest("h1"), "o" * 64, ALICE)
        answer = await cluster.hostlife.remove("h1", RemoveHostRequest("x1"), ALICE)
        assert (answer.host_id, answer.warnings, answer.invites) == (record.host_id, (), 1)
        assert await cluster.hostlife.remove("h1", RemoveHostRequest("x1"), ALICE) == answer
        assert cluster.host(record.host_id) is None
        assert cluster.hosts().hosts == ()
        assert cluster.snapshot().observed == {}
        assert not cluster.credentials.may_stay(record.host_id, record.certificate_sha256)
        with pytest.raises(Forbidden):
            await cluster.enroll("o" * 64, "h1", lambda invite, existing: record)
        assert "host.removed" in kinds(cluster)
        with pytest.raises(NotFound):
            await cluster.hostlife.remove("h1", RemoveHostRequest("x2"), ALICE)

    lead(test)


def test_an_invite_that_nobody_used_is_withdrawn() -> None:
    async def test(cluster: Cluster) -> None:
        for secret in ("o", "p"):
            await cluster.invite(InviteRequest("h9"), secret * 64, ALICE)
        await cluster.invite(InviteRequest("h8"), "q" * 64, ALICE)
        answer = await cluster.hostlife.remove("h9", RemoveHostRequest("x1", force=True), ALICE)
        assert (answer.host, answer.host_id, answer.invites) == ("h9", "", 2)
        assert await cluster.hostlife.remove("h9", RemoveHostRequest("x1", True), ALICE) == answer
        for secret in ("o", "p"):
            with pytest.raises(Forbidden, match="not known here"):
                await cluster.enroll(secret * 64, "h9", _nobody)
        (told,) = [one for one in cluster.events().events if one.kind == "invite.withdrawn"]
        assert (told.subject, told.by) == ("host h9", "alice")
        assert told.fields["invites"] == "2"
        assert "host.removed" not in kinds(cluster)
        with pytest.raises(NotFound, match="there is no host h9"):
            await cluster.hostlife.remove("h9", RemoveHostRequest("x2"), ALICE)
        record = HostRecord("id-h8", "h8", 1.0)
        assert await cluster.enroll("q" * 64, "h8", lambda invite, existing: record)

    lead(test)


def _nobody(invite: InviteRecord, existing: Any) -> HostRecord:
    raise AssertionError("was let in")


def test_an_invite_that_has_expired_is_none() -> None:
    wall = [1_000_000.0]

    async def run() -> None:
        cluster = cluster_on(prepared_store(), wall=lambda: wall[0])
        await cluster.start()
        try:
            await cluster.invite(InviteRequest("h9", valid_s=60.0), "o" * 64, ALICE)
            wall[0] += 61.0
            with pytest.raises(NotFound):
                await cluster.hostlife.remove("h9", RemoveHostRequest("x1"), ALICE)
        finally:
            await cluster.stop()

    asyncio.run(run())


def test_the_invite_with_which_a_removed_host_came_in_lets_nobody_in_again() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.invite(InviteRequest("h1"), "o" * 64, ALICE)
        record = HostRecord("id-h1", "h1", 1.0)
        for _ in range(2):
            made = await cluster.enroll(
                "o" * 64, "h1", lambda invite, existing: record, key_sha256="k" * 64
            )
            assert made.host_id == "id-h1", "a repeat is let in while the host is there"
        answer = await cluster.hostlife.remove("h1", RemoveHostRequest("x1"), ALICE)
        assert answer.invites == 0
        with pytest.raises(Forbidden, match="not known here"):
            await cluster.enroll("o" * 64, "h1", _nobody, key_sha256="k" * 64)

    lead(test)


def test_a_host_that_is_gone_for_good_leaves_its_data_to_a_move() -> None:
    async def test(cluster: Cluster) -> None:
        await _running(cluster, db=stateful())
        answer = await cluster.hostlife.remove("h1", RemoveHostRequest("x1", force=True), ALICE)
        assert (answer.elsewhere, answer.kept) == (("shop/web.1",), ("shop/db.1",))
        assert len(answer.warnings) == 2
        assert "shop/db.1" in answer.warnings[1]

    lead(test)


def test_a_host_of_the_name_of_one_that_was_removed_is_a_new_one() -> None:
    async def test(cluster: Cluster) -> None:
        await _running(cluster, db=stateful())
        await cluster.hostlife.remove("h1", RemoveHostRequest("x1", force=True), ALICE)
        await cluster.invite(InviteRequest("h1"), "n" * 64, ALICE)
        seen: list[Any] = []

        def make(invite: InviteRecord, existing: Any) -> HostRecord:
            seen.append(existing)
            return HostRecord("id-new", "h1", 2000.0, {}, "d" * 64)

        record = await cluster.enroll("n" * 64, "h1", make)
        assert seen == [None]
        agent = FakeAgent(cluster, record.host_id)
        await agent.begin()
        for _ in range(100):
            await asyncio.sleep(0.01)
            orders = agent.fetch()
            if orders.assignments:
                break
        services = {item.instance.service for item in orders.assignments}
        assert services == {"web"}, "what has data elsewhere is not started empty by itself"

    lead(test)


def test_what_was_said_of_a_host_holds_when_it_enrolls_again() -> None:
    async def test(cluster: Cluster) -> None:
        await enroll(cluster)
        await cluster.hostlife.set_availability(availability(Availability.CORDONED, "h1"), ALICE)
        await cluster.hostlife.set_labels("h1", LabelsRequest("l1", {"zone": "a"}), ALICE)
        await cluster.invite(InviteRequest("h1", labels={"disk": "ssd"}), "n" * 64, ALICE)

        def make(invite: InviteRecord, existing: Any) -> HostRecord:
            return HostRecord(existing.host_id, "h1", 2000.0, invite.labels, "d" * 64)

        record = await cluster.enroll("n" * 64, "h1", make)
        assert record.availability is Availability.CORDONED
        assert record.labels == {"zone": "a", "disk": "ssd"}
        assert (record.certificate_sha256, record.former_sha256) == ("d" * 64, "")

    lead(test)


def test_a_lost_answer_to_a_renewal_locks_nobody_out() -> None:
    async def test(cluster: Cluster) -> None:
        record = await enroll(cluster)
        host_id, first = record.host_id, record.certificate_sha256
        worth = cluster.credentials.is_worth
        for newest in ("n1" * 32, "n2" * 32):  # the first answer is lost
            record = await cluster.renewed(host_id, newest, ALICE, used_sha256=first)
            assert worth(record, first, LINE)
        assert not worth(record, "n1" * 32, LINE)
        assert worth(record, "n2" * 32, LINE)
        record = cluster.host(host_id) or record
        fresh = dataclasses.replace(LINE, began_at=cluster.credentials.clock())
        assert not worth(record, first, fresh), "at once, whatever the store does"
        assert worth(record, first, LINE), "what was on its way then is answered"
        assert cluster.credentials.may_stay(host_id, first), "so is what is held"
        for _ in range(100):
            await asyncio.sleep(0.01)
            kept = cluster.host(host_id)
            if kept is not None and not kept.former_sha256:
                break
        assert kept is not None
        assert (kept.certificate_sha256, kept.former_sha256) == ("n2" * 32, "")
        with pytest.raises(Forbidden):
            await cluster.renewed(host_id, "n3" * 32, ALICE, used_sha256=first)

    lead(test)


def test_a_record_without_a_certificate_takes_any_until_the_next_renewal() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.invite(InviteRequest("h1"), "s" * 64, ALICE)
        record = await cluster.enroll(
            "s" * 64, "h1", lambda invite, existing: HostRecord("id-h1", "h1", 1.0)
        )
        assert cluster.credentials.is_worth(record, "a" * 64, LINE)
        record = await cluster.renewed("id-h1", "b" * 64, ALICE, used_sha256="a" * 64)
        assert cluster.credentials.is_worth(record, "a" * 64, LINE)
        assert not cluster.credentials.is_worth(record, "c" * 64, LINE)

    lead(test)


def test_refusals_of_a_host_are_told_now_and_then() -> None:
    async def test(cluster: Cluster) -> None:
        for _ in range(50):
            cluster.credentials.refused("id-h1", "h1", "10.0.0.1", "not good any more")
        cluster.credentials.refused("id-h2", "h2", "10.0.0.1", "not good any more")
        told = [event for event in cluster.events().events if event.kind == "host.refused"]
        assert [event.fields["host_id"] for event in told] == ["id-h1", "id-h2"]

    lead(test)


def test_a_host_whose_removal_comes_from_the_store_alone_is_not_waited_for() -> None:
    """As where the answer to the transaction that removed it was lost: it would be silent for ever, and hold the brake."""
    store = prepared_store()

    async def test(cluster: Cluster) -> None:
        for number in (1, 2):
            record = await enroll(cluster, f"h{number}", str(number) * 64)
            await FakeAgent(cluster, record.host_id).begin()
        store.commit([], [Delete(HOSTS + "id-h1")])
        await until(cluster, lambda: cluster.host("id-h1") is None, "the removal is seen")
        snapshot = cluster.snapshot()
        assert set(snapshot.heard_s) == set(snapshot.observed) == {"id-h2"}

    lead(test, store)
