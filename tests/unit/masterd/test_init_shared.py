"""`master init` where masters share a store: only what was begun here is ours, and half of it is made whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hullmark.config import MasterConfig
from hullmark.errors import BrokenState, Conflict, OutcomeUnknown, StoreUnavailable
from hullmark.masterd.belonging import check_belongs, cluster_in
from hullmark.masterd.folder import Folder
from hullmark.masterd.init import Made, init
from hullmark.masterd.storage import open_store
from hullmark.masterd.view import encode
from hullmark.model.epoch import Epoch
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY
from hullmark.model.records import ClusterRecord, LeaderRecord
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put, Store
from tests.unit.masterd.serving import config_in, master_of


class Kept(MemoryStore):
    """Outlives its being closed, as a store of its own machines does."""

    def close(self) -> None:
        pass


@pytest.fixture
def store() -> Kept:
    return Kept()


def shared(folder: Path, **more: Any) -> MasterConfig:
    folder.mkdir(exist_ok=True)
    return config_in(folder, store_kind="etcd", **more)


def begin(folder: Path, store: Store) -> Made:
    return init(shared(folder), opened=lambda config, place: store)


def test_a_second_run_changes_nothing_and_no_embedded_store_is_made(
    tmp_path: Path, store: Kept
) -> None:
    made = begin(tmp_path, store)
    known = cluster_in(store)
    assert known is not None
    assert known.cluster_id == made.cluster_id
    again = begin(tmp_path, store)
    assert (made.new, again.new, again.cluster_id) == (True, False, made.cluster_id)
    assert not (tmp_path / "master" / "store.sqlite").exists()
    assert store.list("/").revision == 1


@pytest.mark.parametrize(
    "lost",
    [
        ["master.pem"],
        ["master.pem", "master.key", "intermediate.key"],
        ["master.pem", "master.key", "intermediate.key", "root.pem", "root.key"],
    ],
)
def test_what_was_half_made_is_completed(tmp_path: Path, store: Kept, lost: list[str]) -> None:
    made = begin(tmp_path, store)
    for name in lost:
        (tmp_path / "master" / "pki" / name).unlink()
    again = begin(tmp_path, store)
    assert (again.new, again.cluster_id) == (True, made.cluster_id)
    assert not begin(tmp_path, store).new


def test_an_answer_that_was_lost_is_no_second_cluster(tmp_path: Path) -> None:
    class Deaf(Kept):
        lost = True

        def commit(self, *given: Any) -> Any:
            done = super().commit(*given)
            if self.lost:
                self.lost = False
                raise OutcomeUnknown("no answer came")
            return done

    store = Deaf()
    with pytest.raises(OutcomeUnknown):
        begin(tmp_path, store)
    known = cluster_in(store)
    assert known is not None
    assert begin(tmp_path, store).cluster_id == known.cluster_id


def test_another_master_s_cluster_is_left_alone(tmp_path: Path, store: Kept) -> None:
    begin(tmp_path / "m1", store)
    before = store.list("/")
    with pytest.raises(Conflict, match=r"holds cluster .* already") as caught:
        begin(tmp_path / "m2", store)
    assert "hullmark master join" in caught.value.remedy
    assert store.list("/") == before
    assert not (tmp_path / "m2" / "master" / "pki").exists()


def test_a_cluster_that_was_led_gets_no_second_root(tmp_path: Path, store: Kept) -> None:
    begin(tmp_path, store)
    store.commit([], [Put(LEADER_KEY, encode(LeaderRecord(Epoch(1, 1), "m1", "m1:1", 1.0)))])
    for name in ("master.pem", "master.key", "intermediate.key"):
        (tmp_path / "master" / "pki" / name).unlink()
    with pytest.raises(Conflict, match="its authority is not in"):
        begin(tmp_path, store)


def test_a_store_that_lost_the_cluster_is_told(tmp_path: Path, store: Kept) -> None:
    made = begin(tmp_path, store)
    with pytest.raises(BrokenState, match=made.cluster_id) as caught:
        begin(tmp_path, Kept())
    assert "snapshot restore" in caught.value.remedy
    (tmp_path / "master" / "pki" / "master.pem").unlink()
    with pytest.raises(BrokenState, match="holds no cluster"):
        begin(tmp_path, Kept())


def test_another_cluster_s_store_is_told_before_anything_is_written(
    tmp_path: Path, store: Kept
) -> None:
    begin(tmp_path, store)
    other = Kept()
    other.commit([], [Put(CLUSTER_KEY, encode(ClusterRecord("c9", 1.0)))])
    with pytest.raises(Conflict, match="the store holds cluster c9, and this master is of"):
        begin(tmp_path, other)
    folder = Folder.of(shared(tmp_path))
    with pytest.raises(Conflict, match="cluster c9"):
        check_belongs(other, folder)
    check_belongs(store, folder)
    check_belongs(Kept(), folder)


def test_nothing_to_do_needs_no_store(tmp_path: Path, store: Kept) -> None:
    def unreachable(config: MasterConfig, place: Folder) -> Store:
        raise StoreUnavailable("nobody answers")

    begin(tmp_path, store)
    assert not init(shared(tmp_path), opened=unreachable).new
    (tmp_path / "master" / "pki" / "master.pem").unlink()
    with pytest.raises(StoreUnavailable):
        init(shared(tmp_path), opened=unreachable)


def test_a_damaged_note_of_the_cluster_is_told(tmp_path: Path, store: Kept) -> None:
    begin(tmp_path, store)
    folder = Folder.of(shared(tmp_path))
    for text in ("{", "[]", "{}"):
        folder.cluster_file.write_text(text)
        with pytest.raises(BrokenState, match=r"cluster\.json"):
            folder.begun()


def test_a_master_does_not_start_on_a_store_of_another_cluster(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    init(config)
    folder = Folder.of(config)
    store = open_store(config, folder)
    store.commit([], [Put(CLUSTER_KEY, encode(ClusterRecord("c9", 1.0)))])
    store.close()

    async def run() -> None:
        await master_of(config).run(asyncio.Event(), lambda: None)

    with pytest.raises(Conflict, match="cluster c9"):
        asyncio.run(asyncio.wait_for(run(), 10))
    store = open_store(config, folder)
    assert store.get(LEADER_KEY) is None
    store.close()
