"""`master init --reclaim`: one transaction, signed, that fences whoever leads; and nothing for anybody else's cluster."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from hullmark.config import MasterConfig
from hullmark.errors import Conflict, Refused, StaleEpoch
from hullmark.masterd.belonging import cluster_in
from hullmark.masterd.folder import Folder
from hullmark.masterd.reclaiming import Reclaimed, reclaim
from hullmark.masterd.view import decode, encode
from hullmark.model.api import InviteRequest
from hullmark.model.epoch import Epoch
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY
from hullmark.model.records import ClusterRecord, LeaderRecord
from hullmark.pki.authority import Authority
from hullmark.pki.statements import check_incarnation
from hullmark.store.protocol import Put, Store
from tests.unit.masterd.leading import ALICE, cluster_on
from tests.unit.masterd.test_init_shared import Kept, begin, shared


def again(folder: Path, store: Store, cluster_id: str) -> Reclaimed:
    def opened(config: MasterConfig, place: Folder) -> Store:
        return store

    return reclaim(shared(folder), cluster_id, by="ann", now=time.time(), opened=opened)


def test_it_is_signed_and_counts_up(tmp_path: Path) -> None:
    store = Kept()
    own = begin(tmp_path, store).cluster_id
    assert [again(tmp_path, store, own).incarnation for _ in range(2)] == [2, 3]
    known = cluster_in(store)
    assert known is not None
    assert known.proof is not None
    assert (known.incarnation, known.proof.reason, known.proof.by) == (3, "reclaimed", "ann")
    authority = Authority.load(tmp_path / "master" / "pki")
    check_incarnation(known.proof, authority.root, own, 3)
    entry = store.get(LEADER_KEY)
    assert entry is not None
    assert decode(LeaderRecord, LEADER_KEY, entry.value).epoch == Epoch(3, 0)


def test_a_leader_is_fenced_and_the_next_one_counts_anew(tmp_path: Path) -> None:
    store = Kept()
    own = begin(tmp_path, store).cluster_id

    async def run() -> None:
        cluster = cluster_on(store)
        await cluster.start()
        again(tmp_path, store, own)
        with pytest.raises(StaleEpoch):
            await cluster.invite(InviteRequest("h1"), "a" * 64, ALICE)
        await cluster.stop()
        after = cluster_on(store)
        await after.start()
        try:
            assert after.leader_record.epoch == Epoch(2, 1)
            assert "cluster.reclaimed" in [one.kind for one in after.events().events]
        finally:
            await after.stop()

    asyncio.run(run())


def test_another_cluster_is_left_alone(tmp_path: Path) -> None:
    store = Kept()
    with pytest.raises(Refused, match="no master's authority"):
        again(tmp_path, store, "c1")
    own = begin(tmp_path, store).cluster_id
    before = store.list("/")
    with pytest.raises(Refused, match="not of c9") as caught:
        again(tmp_path, store, "c9")
    assert f"--reclaim {own}" in caught.value.remedy
    assert store.list("/") == before
    with pytest.raises(Refused, match="holds no cluster"):
        again(tmp_path, Kept(), own)
    other = Kept()
    other.commit([], [Put(CLUSTER_KEY, encode(ClusterRecord("c9", 1.0)))])
    with pytest.raises(Conflict, match="cluster c9"):
        again(tmp_path, other, own)
