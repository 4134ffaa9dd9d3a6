"""Service addresses as a leader gives them: with the app, kept by the store, taken back with the app."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.generations import next_record
from hullmark.errors import InvalidInput
from hullmark.masterd import addressing, pinning
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.repeats import RESERVED_BYTES
from hullmark.masterd.view import decode, encode
from hullmark.model.api import RemoveRequest
from hullmark.model.app import App, Attachment, ContainerSpec, Network, PortSpec, Service
from hullmark.model.names import APPS, SERVICE_ADDRESSES
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.records import ServiceAddresses
from hullmark.model.snapshotfile import is_kept
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put
from tests.unit.masterd.leading import (
    ALICE,
    app,
    enroll,
    lead,
    no_digest,
    prepared_store,
    request,
    until,
)

DB = Service(ContainerSpec("db:1", expose=("5432",)))
WORKER = Service(ContainerSpec("worker:1"))


def given(cluster: Cluster) -> dict[str, str]:
    return dict(cluster.snapshot().addresses)


def stored(store: MemoryStore) -> ServiceAddresses:
    entry = store.get(SERVICE_ADDRESSES)
    assert entry is not None
    return decode(ServiceAddresses, SERVICE_ADDRESSES, entry.value)


def test_an_app_gets_addresses_with_its_record() -> None:
    store = prepared_store()

    async def test(cluster: Cluster) -> None:
        await cluster.apply(request(app(db=DB, worker=WORKER), "r1"), ALICE, no_digest)
        assert given(cluster) == {"shop/db": "10.214.0.1"}
        kept, record = store.get(SERVICE_ADDRESSES), store.get(APPS + "shop")
        assert kept is not None
        assert record is not None
        assert kept.modified == record.modified
        assert cluster.snapshot().address_range == "10.214.0.0/16"

    lead(test, store)
    assert stored(store).given == {"shop/db": "10.214.0.1"}
    assert is_kept(SERVICE_ADDRESSES), "a restored cluster has the same ones"


def test_a_service_keeps_it_when_others_come_and_go() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.apply(request(app(db=DB), "r1"), ALICE, no_digest)
        more = app(db=DB, api=dataclasses.replace(DB, ports=(PortSpec(80),)))
        await cluster.apply(request(more, "r2"), ALICE, no_digest)
        assert given(cluster) == {"shop/api": "10.214.0.2", "shop/db": "10.214.0.1"}
        await cluster.apply(request(app(db=DB), "r3"), ALICE, no_digest)
        assert given(cluster) == {"shop/db": "10.214.0.1"}
        await cluster.apply(request(more, "r4"), ALICE, no_digest)
        assert given(cluster) == {"shop/api": "10.214.0.3", "shop/db": "10.214.0.1"}

    lead(test)


def test_they_go_with_the_app() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.apply(request(app(db=DB), "r1"), ALICE, no_digest)
        await cluster.remove("shop", RemoveRequest("r2"), ALICE)
        await until(cluster, lambda: "shop" not in cluster.snapshot().apps, "the app is gone")
        await until(cluster, lambda: not given(cluster), "its address is taken back")

    lead(test)


def test_what_can_not_be_is_refused_when_it_is_planned_and_when_it_is_applied() -> None:
    web = Service(ContainerSpec("web:1"), ports=(PortSpec(80, 80, 80),))
    uses = Service(ContainerSpec("web:1"), uses=("bank/ledger",))

    async def test(cluster: Cluster) -> None:
        await enroll(cluster)
        await cluster.apply(request(App("bank", {"web": web}), "r1"), ALICE, no_digest)
        for spec, words in (
            (App("shop", {"web": web}), "port 80/tcp is published by bank/web on host h1"),
            (App("shop", {"web": uses}), "bank/ledger: the app has no such service"),
        ):
            with pytest.raises(InvalidInput, match=words):
                cluster.plan(spec)
            with pytest.raises(InvalidInput, match=words):
                await cluster.apply(request(spec, "r2"), ALICE, no_digest)
        assert list(cluster.snapshot().apps) == ["bank"]
        # What goes wrong later refuses no change of what is there.
        without = App("bank", {"other": DB})
        await cluster.apply(request(without, "r3"), ALICE, no_digest)
        more = App("bank", {"other": DB, "ledger": DB})
        await cluster.apply(request(more, "r4"), ALICE, no_digest)
        await cluster.apply(request(App("shop", {"web": uses}), "r5"), ALICE, no_digest)
        gone = await cluster.apply(request(without, "r6"), ALICE, no_digest)
        assert "shop/web uses bank/ledger, which nobody can reach then" in gone.warnings
        newer = dataclasses.replace(uses, container=ContainerSpec("web:2"))
        again = await cluster.apply(request(App("shop", {"web": newer}), "r7"), ALICE, no_digest)
        assert again.changed
        assert (
            "services.web.x-hullmark.uses[0]: bank/ledger: the app has no such service"
            in again.warnings
        )

    lead(test)


def test_who_uses_what_is_removed_is_told() -> None:
    uses = Service(ContainerSpec("web:1"), uses=("bank/ledger",))

    async def test(cluster: Cluster) -> None:
        await enroll(cluster)
        await cluster.apply(request(App("bank", {"ledger": DB}), "r1"), ALICE, no_digest)
        await cluster.apply(request(App("shop", {"web": uses}), "r2"), ALICE, no_digest)
        gone = await cluster.remove("bank", RemoveRequest("r3"), ALICE)
        assert gone.warnings == ("shop/web uses bank/ledger, which nobody can reach then",)
        assert (await cluster.remove("shop", RemoveRequest("r4"), ALICE)).warnings == ()

    lead(test)


def test_a_plan_says_what_an_image_does_not_expose() -> None:
    """Where somebody could look; else it says that apply will."""
    spec = App(
        "shop",
        {
            "web": Service(ContainerSpec("web:1", expose=("80",)), uses=("shop/db",)),
            "db": Service(ContainerSpec("db:1", networks=(Attachment("default"),))),
        },
        {"default": Network()},
    )

    async def exposing(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(digest="sha256:1", exposed=("5432/tcp",))

    async def nothing(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(digest="sha256:1")

    async def nobody(image: str, platform: str, policy: str) -> ResolveAnswer:
        return ResolveAnswer(note="no host is ready")

    async def test(cluster: Cluster) -> None:
        asked, unknown = await pinning.exposing(spec, {}, exposing)
        assert (asked.services["db"].exposed, unknown) == (("5432/tcp",), {})
        cluster.foreseen(asked, unknown)
        asked, unknown = await pinning.exposing(spec, {}, nothing)
        with pytest.raises(InvalidInput, match="shop/db: it has no TCP port"):
            cluster.foreseen(asked, unknown)
        asked, unknown = await pinning.exposing(spec, {}, nobody)
        answer, _ = cluster.foreseen(asked, unknown)
        words = "db: which ports its image exposes is not known: no host is ready"
        assert words in answer.warnings
        with pytest.raises(InvalidInput, match="shop/db: it has no TCP port"):
            await cluster.apply(request(spec, "r1"), ALICE, nothing)
        assert (await cluster.apply(request(spec, "r2"), ALICE, exposing)).changed
        assert given(cluster) == {"shop/db": "10.214.0.1", "shop/web": "10.214.0.2"}

    lead(test)


def test_a_range_that_has_no_more_is_refused_and_nothing_is_changed() -> None:
    async def test(cluster: Cluster) -> None:
        services = {f"s{number}": DB for number in range(6)}
        await cluster.apply(request(App("one", services), "r1"), ALICE, no_digest)
        with pytest.raises(
            InvalidInput, match=r"no address is left in services.range, 10\.9\.0\.0/29"
        ):
            await cluster.apply(request(app(db=DB), "r2"), ALICE, no_digest)
        assert "shop" not in cluster.snapshot().apps
        assert len(given(cluster)) == 6

    lead(test, service_range="10.9.0.0/29")


def test_apps_of_a_version_without_addresses_get_them_when_a_leader_begins() -> None:
    store = prepared_store()
    record = next_record(None, app(db=DB), ALICE)
    store.commit([], [Put(APPS + "shop", encode(record))])

    async def test(cluster: Cluster) -> None:
        assert given(cluster) == {"shop/db": "10.214.0.1"}

    lead(test, store)


def test_the_next_leader_gives_the_same_and_another_range_gives_others() -> None:
    store = prepared_store()

    async def first(cluster: Cluster) -> None:
        await cluster.apply(request(app(db=DB), "r1"), ALICE, no_digest)

    async def second(cluster: Cluster) -> None:
        assert given(cluster) == {"shop/db": "10.214.0.1"}

    async def moved(cluster: Cluster) -> None:
        assert given(cluster) == {"shop/db": "10.9.0.1"}

    lead(first, store)
    lead(second, store)
    lead(moved, store, service_range="10.9.0.0/24")
    assert stored(store).range == "10.9.0.0/24"


def test_what_the_store_has_no_room_for_keeps_no_leader_from_leading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = prepared_store()
    store.commit([], [Put(APPS + "shop", encode(next_record(None, app(db=DB), ALICE)))])
    monkeypatch.setattr(addressing, "MAX_TRANSACTION_BYTES", RESERVED_BYTES)

    async def test(cluster: Cluster) -> None:
        assert given(cluster) == {}
        await cluster.apply(request(App("bank", {"w": WORKER}), "r1"), ALICE, no_digest)

    lead(test, store)
