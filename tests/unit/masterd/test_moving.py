"""Moves of slots by an operator, as the leader keeps them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.errors import Conflict, InvalidInput, NotFound
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.view import decode
from hullmark.model.api import RemoveRequest
from hullmark.model.app import ContainerSpec, Mount, MountKind, Service, Volume
from hullmark.model.move import MovedSlot, MoveRequest
from hullmark.model.names import HOMES
from hullmark.model.records import Home, HomesRecord
from tests.unit.masterd.leading import (
    ALICE,
    FakeAgent,
    app,
    enroll,
    lead,
    no_digest,
    prepared_store,
    request,
    until,
)
from tests.unit.masterd.serving import Served, serve

MOUNTS = (Mount(MountKind.VOLUME, "/data", "data"),)
DB = Service(ContainerSpec("db:1", mounts=MOUNTS))
SHOP = dataclasses.replace(app(db=DB), volumes={"data": Volume()})


async def with_hosts(cluster: Cluster) -> dict[str, FakeAgent]:
    """Two hosts, and the app on the first."""
    agents = {}
    for name in ("h1", "h2"):
        host = await enroll(cluster, name, name[1] * 64)
        agents[name] = FakeAgent(cluster, host.host_id)
        await agents[name].begin()
        if name == "h1":
            await cluster.apply(request(SHOP, "r1"), ALICE, no_digest)
            await agents[name].settle()
    return agents


def on(cluster: Cluster, host_id: str) -> list[str]:
    return [item.instance.service for item in cluster.orders(host_id).assignments]


def test_a_slot_goes_to_the_other_host_once_it_is_gone_from_the_first() -> None:
    async def test(cluster: Cluster) -> None:
        agents = await with_hosts(cluster)
        asked = MoveRequest("db", "m1", accept_data_loss=True)
        answer = await cluster.moving.move("shop", asked, ALICE)
        assert answer.slots == (MovedSlot("shop/db.1", "h1", "", ("volume data",)),)
        await until(cluster, lambda: "db" not in on(cluster, "id-h1"), "the order to stop")
        assert "db" not in on(cluster, "id-h2")
        await agents["h1"].settle()
        await until(cluster, lambda: "db" in on(cluster, "id-h2"), "the order to start")
        home = cluster.snapshot().homes["shop"].slots["db.1"]
        assert (home.host_id, home.leave, home.volumes) == ("id-h2", "", ("data",))

    lead(test)


def test_without_a_word_on_its_data_nothing_is_noted() -> None:
    async def test(cluster: Cluster) -> None:
        await with_hosts(cluster)
        before = cluster.snapshot().homes
        with pytest.raises(Conflict, match="volume data"):
            await cluster.moving.move("shop", MoveRequest("db", "m1"), ALICE)
        assert cluster.snapshot().homes == before
        # The request's id was not used up by what was refused.
        asked = MoveRequest("db", "m1", accept_data_loss=True)
        assert (await cluster.moving.move("shop", asked, ALICE)).slots

    lead(test)


def test_a_move_that_is_asked_for_twice_is_done_once() -> None:
    store = prepared_store()
    asked = MoveRequest("db", "m1", accept_data_loss=True)

    async def test(cluster: Cluster) -> None:
        await with_hosts(cluster)
        first = await cluster.moving.move("shop", asked, ALICE)
        homes = store.get(HOMES + "shop")
        assert await cluster.moving.move("shop", asked, ALICE) == first
        assert store.get(HOMES + "shop") == homes
        with pytest.raises(Conflict, match="used for another request"):
            await cluster.moving.move("shop", dataclasses.replace(asked, to="h2"), ALICE)

    async def repeated(cluster: Cluster) -> None:
        assert (await cluster.moving.move("shop", asked, ALICE)).slots[0].leaves == "h1"

    lead(test, store)
    lead(repeated, store)  # another leader, who has it from the store


def test_a_move_is_an_event_with_who_and_ticket() -> None:
    async def test(cluster: Cluster) -> None:
        await with_hosts(cluster)
        asked = MoveRequest("db", "m1", to="h2", accept_data_loss=True)
        await cluster.moving.move("shop", asked, dataclasses.replace(ALICE, request_id="m1"))
        (event,) = [event for event in cluster.events().events if event.kind == "app.moved"]
        assert (event.subject, event.by) == ("shop", "alice")
        assert event.message == "slots db.1, leaves h1, to h2, left behind volume data"
        assert event.fields["ticket"] == "CHG-1"

    lead(test)


def test_what_cannot_be_moved() -> None:
    async def test(cluster: Cluster) -> None:
        await with_hosts(cluster)
        for name, service, kind in (("none", "db", NotFound), ("shop", "none", NotFound)):
            with pytest.raises(kind):
                await cluster.moving.move(name, MoveRequest(service, "m1"), ALICE)
        with pytest.raises(InvalidInput, match="not a request id"):
            await cluster.moving.move("shop", MoveRequest("db", ""), ALICE)
        await cluster.remove("shop", RemoveRequest("r2"), ALICE)
        with pytest.raises(Conflict, match="is being removed"):
            await cluster.moving.move("shop", MoveRequest("db", "m2"), ALICE)

    lead(test)


def test_the_word_is_in_the_store_with_who_gave_it() -> None:
    store = prepared_store()

    async def test(cluster: Cluster) -> None:
        await with_hosts(cluster)
        await cluster.moving.move("shop", MoveRequest("web", "m1"), ALICE)
        entry = store.get(HOMES + "shop")
        assert entry is not None
        slots = decode(HomesRecord, HOMES, entry.value).slots
        assert slots["web.1"] == Home("", (), "id-h1", ALICE, accepts_loss=False)

    lead(test, store)


def test_giving_up_data_is_for_administrators(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = {"name": "ci", "role": "deployer", "request_id": "t1"}
        status, made = await served.local("POST", "/v1/tokens", body)
        assert status == 200, made
        asked = {"service": "web", "request_id": "m1"}
        path = "/v1/apps/none/move"
        status, answer = await served.api("POST", path, asked, made["token"])
        assert (status, answer["error"]) == (404, "NotFound"), "it may ask"
        giving_up = {**asked, "accept_data_loss": True}
        status, answer = await served.api("POST", path, giving_up, made["token"])
        assert (status, answer["error"]) == (403, "Forbidden")
        assert "giving up data" in answer["message"]
        assert (await served.local("POST", path, giving_up))[0] == 404, "root may"

    serve(tmp_path, test)
