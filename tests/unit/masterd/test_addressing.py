"""Service addresses as a leader gives them: with the app, kept by the store, taken back with the app."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.generations import next_record
from hullmark.errors import InvalidInput
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.view import decode, encode
from hullmark.model.api import RemoveRequest
from hullmark.model.app import App, ContainerSpec, PortSpec, Service
from hullmark.model.names import APPS, SERVICE_ADDRESSES
from hullmark.model.records import ServiceAddresses
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put
from tests.unit.masterd.leading import (
    ALICE,
    app,
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


def test_a_range_that_has_no_more_is_refused_and_nothing_is_changed() -> None:
    async def test(cluster: Cluster) -> None:
        services = {f"s{number}": DB for number in range(6)}
        await cluster.apply(request(App("one", services), "r1"), ALICE, no_digest)
        with pytest.raises(InvalidInput, match=r"shop/db: no address is left.*10\.9\.0\.0/29"):
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
