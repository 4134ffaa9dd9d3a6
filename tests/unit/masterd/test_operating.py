"""Handing over and drilling as the API has it, and the watch over redundancy."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.alerts import LASTS_S
from hullmark.errors import Conflict, NotFound, Refused
from hullmark.masterd import operating_api
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.redundancywatch import RedundancyWatch
from hullmark.masterd.view import encode
from hullmark.model.drill import ForgetAnswer, ForgetRequest, MarkRequest
from hullmark.model.names import MARK_KEY, MASTERS
from hullmark.model.records import MasterRecord
from hullmark.model.redundancy import MasterView, StoreCondition, StoreMember
from hullmark.store.protocol import Put
from tests.unit.masterd.leading import ALICE, cluster_on, lead, prepared_store
from tests.unit.masterd.serving import Served, serve

MEMBERS = tuple(StoreMember(name, f"https://{name}:2379", True) for name in ("m1", "m2", "w1"))
ETCD = StoreCondition("etcd", True, MEMBERS)
PAIR = (MasterView("m1", "leader"), MasterView("m2", "standby", "m1 leads", 1.0))
STEP_DOWN, KILL = "/v1/master/step-down", "/v1/master/kill"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ended this master, instead of that."""
    found: list[str] = []

    async def step_down(self: Cluster, why: str) -> None:
        await asyncio.sleep(0.02)
        found.append(why)

    monkeypatch.setattr(Cluster, "step_down", step_down)
    monkeypatch.setattr(operating_api, "end_process", lambda: found.append("killed"))
    monkeypatch.setattr(operating_api, "SENT_S", 0.001)
    return found


def paired(
    monkeypatch: pytest.MonkeyPatch, masters: Any = PAIR, condition: StoreCondition = ETCD
) -> None:
    monkeypatch.setattr(Cluster, "masters", lambda self: masters)
    monkeypatch.setattr(Cluster, "store_condition", property(lambda self: condition))


async def until(found: list[str]) -> None:
    for _ in range(200):
        if found:
            return
        await asyncio.sleep(0.01)


def body(epoch: str = "1.1", **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "request_id": "r1", **more}


def test_a_leader_steps_down_after_it_has_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[str]
) -> None:
    paired(monkeypatch)

    async def test(served: Served) -> None:
        answer = await served.local("POST", STEP_DOWN, body(ticket="CHG-1"))
        status, found = answer
        assert (status, found.pop("by")) == (200, getpass.getuser())
        assert found == {"changed": True, "leader": "m1", "epoch": "1.1", "standby": "m2"}
        await until(ended)
        assert len(ended) == 1
        assert ended[0].endswith("asked it to step down")
        _, events = await served.local("GET", "/v1/events")
        (event,) = [one for one in events["events"] if one["kind"] == "master.step-down"]
        assert event["subject"] == "master m1"
        assert event["fields"]["ticket"] == "CHG-1"
        assert event["by"]

    serve(tmp_path, test)


def test_an_epoch_that_is_over_is_not_ended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[str]
) -> None:
    """The answer was lost, and the next leader is asked the same."""
    paired(monkeypatch)

    async def test(served: Served) -> None:
        for path in (STEP_DOWN, KILL):
            status, answer = await served.local("POST", path, body("1.0"))
            assert status == 200
            assert answer.pop("by") == getpass.getuser()
            assert answer == {"changed": False, "leader": "m1", "epoch": "1.1"}
            status, answer = await served.local("POST", path, body("soon"))
            assert (status, answer["problems"][0]["field"]) == (400, "epoch")
        await asyncio.sleep(0.05)
        assert ended == []

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("masters", "condition", "why"),
    [
        (PAIR[:1], ETCD, "no standby is ready to follow"),
        ((PAIR[0], MasterView("m2", "absent", seen_s=60.0)), ETCD, "no standby is ready"),
        (PAIR, StoreCondition("sqlite"), "with the store sqlite there is one master"),
    ],
)
def test_nobody_steps_down_where_nobody_would_follow(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ended: list[str],
    masters: Any,
    condition: StoreCondition,
    why: str,
) -> None:
    paired(monkeypatch, masters, condition)

    async def test(served: Served) -> None:
        for path in (STEP_DOWN, KILL):
            status, answer = await served.local("POST", path, body())
            assert (status, answer["error"]) == (409, "Refused")
            assert why in answer["message"]
        status, _ = await served.local("POST", STEP_DOWN, body(force=True))
        assert status == (409 if condition.kind == "sqlite" else 200)
        if status == 200:
            await until(ended)
        assert len(ended) == (status == 200)

    serve(tmp_path, test)


def test_a_leader_is_killed_by_one_who_can_see_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[str]
) -> None:
    paired(monkeypatch)

    async def test(served: Served) -> None:
        status, answer = await served.local("POST", KILL, body())
        assert (status, answer["error"]) == (409, "Refused")
        assert "the leader's own socket" in answer["message"]
        token = await served.token()
        status, answer = await served.api("POST", KILL, body(), token)
        assert (status, answer["changed"]) == (200, True)
        await until(ended)
        assert ended == ["killed"]

    serve(tmp_path, test)


def test_a_mark_is_a_write_that_names_the_one_before() -> None:
    store = prepared_store()

    async def test(cluster: Cluster) -> None:
        first = await cluster.operating.mark(MarkRequest("d1.1"), ALICE)
        again = await cluster.operating.mark(MarkRequest("d1.1"), ALICE)
        second = await cluster.operating.mark(MarkRequest("d1.2"), ALICE)
        assert [one.before for one in (first, again, second)] == ["", "d1.1", "d1.1"]
        assert first.revision < again.revision < second.revision
        assert (second.leader, second.epoch) == ("m1", "1.1")
        entry = store.get(MARK_KEY)
        assert entry is not None
        assert entry.modified == second.revision

    lead(test, store)


def test_a_master_that_is_gone_is_forgotten_once() -> None:
    store = prepared_store()
    key = MASTERS + "m2"
    record = MasterRecord("m2", "run", "0.4.0", (), (), 1.0)
    store.commit([], [Put(key, encode(record))])
    absent = (PAIR[0], MasterView("m2", "absent", seen_s=90.0))

    async def test(cluster: Cluster) -> None:
        operating = cluster.operating
        for masters, request, kind in (
            (PAIR, ForgetRequest("m2", "f1"), Refused),
            (absent, ForgetRequest("m1", "f2"), Refused),
            (absent, ForgetRequest("m3", "f3"), NotFound),
        ):
            with pytest.raises(kind):
                await operating.forget(request, ALICE, masters)
        assert store.get(key) is not None
        request = ForgetRequest("m2", "f4", "CHG-1")
        assert await operating.forget(request, ALICE, absent) == ForgetAnswer("m2")
        assert store.get(key) is None
        assert await operating.forget(request, ALICE, PAIR[:1]) == ForgetAnswer("m2"), "a repeat"
        kinds = [event.kind for event in cluster.events().events]
        assert kinds.count("master.forgotten") == 1

    lead(test, store)


def test_a_master_that_comes_back_meanwhile_is_not_forgotten() -> None:
    store = prepared_store()
    key = MASTERS + "m2"
    record = MasterRecord("m2", "run", "0.4.0", (), (), 1.0)
    store.commit([], [Put(key, encode(record))])

    async def test(cluster: Cluster) -> None:
        store.commit([], [Put(key, encode(dataclasses.replace(record, beat=1)))])
        absent = (MasterView("m2", "absent", seen_s=90.0),)
        with pytest.raises(Conflict):
            await cluster.operating.forget(ForgetRequest("m2", "f1"), ALICE, absent)
        assert store.get(key) is not None

    lead(test, store)


def test_nor_one_that_the_leader_heard_of_before_the_change_had_its_turn() -> None:
    store = prepared_store()
    key = MASTERS + "m2"
    record = MasterRecord("m2", "run", "0.4.0", (), (), 1.0)
    store.commit([], [Put(key, encode(record))])

    async def test(cluster: Cluster) -> None:
        before = cluster._term.view.modified(key)
        asked = cluster.operating.forget(
            ForgetRequest("m2", "f1"), ALICE, (MasterView("m2", "absent", seen_s=90.0),)
        )
        forgetting = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        # Its turn comes when this function waits next.
        value = encode(dataclasses.replace(record, beat=1))
        cluster._term.view.apply(key, value, store.commit([], [Put(key, value)]).revision)
        assert cluster._term.view.modified(key) > before
        with pytest.raises(Conflict):
            await forgetting
        assert store.get(key) is not None

    lead(test, store)


def test_a_mark_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        status, answer = await served.local("POST", "/v1/master/mark", {"mark": "a b"})
        assert (status, answer["problems"][0]["field"]) == (400, "mark")

    serve(tmp_path, test)


def test_lost_redundancy_is_an_event_that_outlives_its_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paired(monkeypatch)
    store = prepared_store()
    lost = dataclasses.replace(
        ETCD, members=(*MEMBERS[:2], StoreMember("w1", "https://w1:2379", False, silent_s=9.0))
    )

    def kinds(cluster: Cluster) -> list[str]:
        events = cluster.events().events
        return [one.kind for one in events if one.kind.startswith("redundancy")]

    async def begins(cluster: Cluster) -> None:
        now = 100.0
        settings = dataclasses.replace(cluster._settings, clock=lambda: now)
        teller = cluster._bureau.teller
        watch = RedundancyWatch(cluster._term, teller, settings, lambda: PAIR, lambda: lost)
        watch.look()
        assert kinds(cluster) == []
        now += LASTS_S
        watch.look()
        watch.look()
        assert kinds(cluster) == ["redundancy.lost"]

    async def ends(cluster: Cluster) -> None:
        assert kinds(cluster) == ["redundancy.lost"], "written before leadership was given back"
        await asyncio.sleep(0.02)  # its own watch finds all whole
        assert kinds(cluster) == ["redundancy.lost", "redundancy.regained"]

    lead(begins, store)
    lead(ends, store)


def test_a_master_that_has_read_nothing_yet_tells_what_it_is() -> None:
    found = cluster_on(prepared_store()).status("c1")
    assert (found.cluster_id, found.known, found.master) == ("c1", False, "")
    assert found.state == "failed"
    assert "nothing can be changed: it has not begun to lead" in found.notes
