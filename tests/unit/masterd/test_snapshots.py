"""Snapshots: saved from a running master, checked as a file, restored into an empty store."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import aiohttp
import pytest

from hullmark.config import MasterConfig
from hullmark.errors import BrokenState, Conflict, HullmarkError, NotFound, Refused
from hullmark.masterd.folder import Folder
from hullmark.masterd.init import init
from hullmark.masterd.leadership import size_bytes
from hullmark.masterd.restoring import Restorer, in_chunks, must_be_empty
from hullmark.masterd.snapshotreading import Verified, opened
from hullmark.masterd.snapshots import pieces
from hullmark.masterd.snapshotverbs import VERIFY, restore, run
from hullmark.masterd.view import decode, encode
from hullmark.model import names
from hullmark.model.epoch import Epoch
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY, RESTORING_KEY
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import (
    ClusterRecord,
    EventBatch,
    HostAssignments,
    LeaderRecord,
)
from hullmark.model.snapshotfile import FORMAT, Head
from hullmark.model.wire import from_wire
from hullmark.pki import statements
from hullmark.pki.authority import Authority, create_authority
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import (
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    Committed,
    Compare,
    Entry,
    Put,
    Write,
)
from tests.unit.masterd.serving import Served, apply_body, config_in, serve

WEB = InstanceId("shop", "web", 1, 1)


def authority_in(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    return create_authority(folder / "pki", "c1", 1_700_000_000.0)


def entry(key: str, value: bytes) -> Entry:
    return Entry(key, value, 1, 1)


def full_of(apps: int = 3, size_bytes: int = 100) -> list[Entry]:
    orders = HostAssignments((Assignment(WEB, "a" * 64),))
    return [
        *(entry(f"{names.REQUESTS}{n:04d}", b'"%s"' % (b"x" * size_bytes)) for n in range(apps)),
        entry(names.ASSIGNMENTS + "h1", encode(orders)),
        entry(CLUSTER_KEY, encode(ClusterRecord("c1", 5.0))),
    ]


def saved(path: Path, authority: Authority, entries: Optional[Sequence[Entry]] = None) -> Path:
    chosen = full_of() if entries is None else entries
    head = Head("c1", Epoch(1, 7), 42, 1_700_000_100.0, "m1", "0.4.0", "alice", FORMAT)
    path.write_bytes(b"".join(pieces(head, sorted(chosen, key=lambda one: one.key), authority)))
    path.chmod(0o600)
    return path


def verified(path: Path, authority: Optional[Authority] = None) -> Verified:
    with opened(path) as source:
        return source.verify(None if authority is None else authority.root)


def restored(store: Any, path: Path, authority: Authority, incarnation: int = 2) -> Any:
    restorer = Restorer(store, authority, by="alice", origin="m1", now=1_700_000_200.0)
    with opened(path) as source:
        return restorer.restore(source, source.verify(authority.root), incarnation)


def test_what_was_saved_is_good_and_says_what_it_holds(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    found = verified(saved(tmp_path / "s", authority), authority)
    assert (found.head.cluster_id, found.head.epoch, found.head.revision) == ("c1", Epoch(1, 7), 42)
    assert found.end.count == 5
    assert (found.counts["requests"], found.counts["assignments"], found.counts["apps"]) == (
        3,
        1,
        0,
    )
    assert found.anchored
    assert not found.exposed
    assert not verified(tmp_path / "s").anchored


def test_a_file_that_others_may_read_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "s", authority_in(tmp_path))
    path.chmod(0o640)
    assert verified(path).exposed


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_any_changed_byte_is_found(tmp_path: Path, part: float) -> None:
    authority = authority_in(tmp_path)
    path = saved(tmp_path / "s", authority)
    content = bytearray(path.read_bytes())
    content[int(len(content) * part)] ^= 1
    path.write_bytes(content)
    with pytest.raises((BrokenState, Refused)):
        verified(path, authority)


@pytest.mark.parametrize("lines", [1, 2, 5, -1])
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, lines: int) -> None:
    path = saved(tmp_path / "s", authority_in(tmp_path))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
    with pytest.raises(BrokenState, match="cut off"):
        verified(path)


def test_half_a_line_is_cut_off(tmp_path: Path) -> None:
    path = saved(tmp_path / "s", authority_in(tmp_path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenState, match="cut off"):
        verified(path)


def test_an_entry_that_was_taken_out_is_missed(tmp_path: Path) -> None:
    path = saved(tmp_path / "s", authority_in(tmp_path))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(BrokenState, match="5 entries, and has 4"):
        verified(path)


def test_a_mended_checksum_does_not_fit_the_signature(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    path = saved(tmp_path / "s", authority)
    *lines, end = path.read_bytes().replace(b"alice", b"mallo").splitlines(keepends=True)
    forged = {**json.loads(end), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    path.write_bytes(b"".join(lines) + json.dumps(forged).encode())
    for root in (authority, None):
        with pytest.raises(Refused, match="signature does not fit"):
            verified(path, root)


def test_who_is_no_master_of_the_cluster_can_not_sign_one(tmp_path: Path) -> None:
    theirs = authority_in(tmp_path / "theirs")
    path = saved(tmp_path / "s", theirs)
    with pytest.raises(Refused, match="not to be trusted"):
        verified(path, authority_in(tmp_path / "ours"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no snapshot"),
        (b"# a page\n", "no snapshot"),
        (b'{"format": "else"}\n', "no snapshot"),
        (b'{"format": "hullmark.snapshot/2", "new": 1}\n', "has the form hullmark.snapshot/2"),
        (b'{"format": "hullmark.snapshot/1"}\n', "damaged"),
    ],
)
def test_what_is_none_says_what_it_is(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(BrokenState, match=why) as caught:
        verified(tmp_path / "s")
    assert str(tmp_path / "s") in caught.value.message
    with pytest.raises(NotFound):
        verified(tmp_path / "none")


def test_a_restore_begins_an_incarnation_that_is_signed(tmp_path: Path) -> None:
    authority, store = authority_in(tmp_path), MemoryStore()
    done = restored(store, saved(tmp_path / "s", authority), authority)
    values = {one.key: one.value for one in store.list("").entries}
    cluster = decode(ClusterRecord, CLUSTER_KEY, values[CLUSTER_KEY])
    assert (cluster.cluster_id, cluster.created_at, cluster.incarnation) == ("c1", 5.0, 2)
    assert cluster.proof is not None
    assert cluster.proof.by == "alice"
    statements.check_incarnation(cluster.proof, authority.root, "c1", 2)
    leader = decode(LeaderRecord, LEADER_KEY, values[LEADER_KEY])
    assert (leader.epoch, leader.master) == (Epoch(2, 0), "")
    assert RESTORING_KEY not in values
    assert done.resumed is False
    [key] = [key for key in values if key.startswith(names.EVENTS)]
    [event] = decode(EventBatch, key, values[key]).events
    assert (event.kind, event.by) == ("cluster.restored", "alice")
    assert values[names.REQUESTS + "0000"] == b'"%s"' % (b"x" * 100)


def test_nothing_is_started_before_the_leader_knows_who_has_what(tmp_path: Path) -> None:
    authority, store = authority_in(tmp_path), MemoryStore()
    restored(store, saved(tmp_path / "s", authority), authority)
    found = store.get(names.ASSIGNMENTS + "h1")
    assert found is not None
    [item] = decode(HostAssignments, "x", found.value).assignments
    assert (item.instance, item.released) == (WEB, False)


class Counting(MemoryStore):
    """Fails at a chosen transaction, before or after it happened."""

    def __init__(self, fails_at: int = 0) -> None:
        super().__init__()
        self.commits = 0
        self.fails_at = fails_at

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        self.commits += 1
        if self.commits == self.fails_at:
            raise KeyboardInterrupt
        return super().commit(compares, writes)


def test_a_restore_that_is_cut_short_anywhere_is_led_by_nobody_and_is_begun_again(
    tmp_path: Path,
) -> None:
    authority = authority_in(tmp_path)
    path = saved(tmp_path / "s", authority, full_of(apps=200))
    whole = Counting()
    restored(whole, path, authority)
    assert whole.commits > 4
    for number in range(1, whole.commits + 1):
        store = Counting(number)
        with pytest.raises(KeyboardInterrupt):
            restored(store, path, authority)
        assert store.get(CLUSTER_KEY) is None
        assert store.get(LEADER_KEY) is None
        done = restored(store, path, authority)
        assert done.resumed is (number > 1)
        assert [one.key for one in store.list("").entries] == [
            one.key for one in whole.list("").entries
        ]


def test_what_an_earlier_try_put_from_another_snapshot_is_gone(tmp_path: Path) -> None:
    authority, store = authority_in(tmp_path), Counting(4)
    other = saved(tmp_path / "other", authority, full_of(apps=300))
    with pytest.raises(KeyboardInterrupt):
        restored(store, other, authority)
    assert store.get(names.REQUESTS + "0100") is not None
    restored(store, saved(tmp_path / "s", authority), authority)
    assert store.get(names.REQUESTS + "0100") is None


def test_of_two_who_restore_at_once_one_goes_on(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    path = saved(tmp_path / "s", authority)

    class Second(MemoryStore):
        """In which somebody else begins after the first transaction."""

        others = 0

        def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
            done = super().commit(compares, writes)
            self.others += 1
            if self.others == 1:
                super().commit([], [Put(RESTORING_KEY, b"{}")])
            return done

    store = Second()
    with pytest.raises(Conflict, match="somebody else"):
        restored(store, path, authority)
    assert store.get(CLUSTER_KEY) is None


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (CLUSTER_KEY, encode(ClusterRecord("c9", 1.0)), "holds cluster c9"),
        (names.APPS + "shop", b"{}", "not empty: 1 keys"),
    ],
)
def test_a_store_that_is_not_empty_is_left_alone(
    tmp_path: Path, key: str, value: bytes, why: str
) -> None:
    authority, store = authority_in(tmp_path), MemoryStore()
    store.commit([], [Put(key, value), Put(names.MASTERS + "m2", b"{}")])
    before = store.list("")
    with pytest.raises(Refused, match=why):
        restored(store, saved(tmp_path / "s", authority), authority)
    assert store.list("") == before


def test_a_waiting_master_in_the_store_is_nothing() -> None:
    store = MemoryStore()
    store.commit([], [Put(names.MASTERS + "m2", b"{}")])
    assert must_be_empty(store.list("")) is False


def test_chunks_fit_into_a_transaction() -> None:
    writes: list[Write] = [
        Put(f"/hullmark/apps/a{n}", b"x" * (n * 997 % 300_000)) for n in range(500)
    ]
    chunks = list(in_chunks(writes))
    assert [one for chunk in chunks for one in chunk] == writes
    store = MemoryStore()
    for chunk in chunks:
        assert store.commit([Compare(CLUSTER_KEY, 0)], chunk).succeeded
        assert len(chunk) < MAX_OPERATIONS
        assert size_bytes(chunk) < MAX_TRANSACTION_BYTES


def emptied(config: MasterConfig) -> None:
    for file in Path(config.state_dir).glob("store.sqlite*"):
        file.unlink()


async def save(served: Served, path: Path) -> None:
    connector = aiohttp.UnixConnector(path=str(served.socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        answer = await session.get("http://master/v1/snapshot")
        assert answer.status == 200
        found = await answer.read()
    await asyncio.to_thread(path.write_bytes, found)


def test_a_cluster_goes_on_from_its_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def before(served: Served) -> None:
        await served.enroll("h1")
        status, _ = await served.local("PUT", "/v1/apps/shop", apply_body("r1"))
        assert status == 200
        await save(served, path)
        await served.enroll("h2")

    serve(tmp_path, before)
    config = config_in(tmp_path)
    with opened(path) as source, pytest.raises(Refused, match="holds cluster"):
        restore(config, source, by="alice")
    emptied(config)
    with opened(path) as source:
        found, done = restore(config, source, by="alice")
    assert (found.counts["apps"], found.counts["hosts"], found.counts["invites"]) == (1, 1, 1)
    assert done.incarnation == 2

    async def after(served: Served) -> None:
        _, hosts = await served.local("GET", "/v1/hosts")
        assert [one["name"] for one in hosts["hosts"]] == ["h1"]
        _, apps = await served.local("GET", "/v1/apps")
        assert [one["name"] for one in apps["apps"]] == ["shop"]
        status, answer = await served.local("PUT", "/v1/apps/shop", apply_body("r1"))
        assert (status, answer["generation"]) == (200, 1)  # a repeat is still one
        _, status_now = await served.local("GET", "/v1/status")
        assert status_now["epoch"] == "2.1"

    serve(tmp_path, after)


def test_a_host_of_the_former_incarnation_is_shown_the_proof(tmp_path: Path) -> None:
    path = tmp_path / "s"
    serve(tmp_path, lambda served: save(served, path))
    config = config_in(tmp_path)
    emptied(config)
    with opened(path) as source:
        restore(config, source, by="alice")

    root = (tmp_path / "master/pki/root.pem").read_bytes()

    async def after(served: Served) -> None:
        host = await served.enroll()
        for incarnation, shown in ((1, True), (2, False)):
            epoch = {"incarnation": incarnation, "term": 1}
            poll = {"run": "r", "hold_s": 0, "epoch": epoch}
            _, answer = await host.post("/agent/v1/poll", poll)
            assert (answer.get("proof") is not None) is shown
            if shown:
                proof = from_wire(IncarnationProof, answer["proof"])
                statements.check_incarnation(proof, root, proof.cluster_id, 2)

    serve(tmp_path, after)


def test_a_login_of_a_reader_gets_none(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = {"name": "ci", "role": "deployer", "request_id": "t1"}
        _, answer = await served.local("POST", "/v1/tokens", body)
        status, _ = await served.api("GET", "/v1/snapshot", token=answer["token"])
        assert status == 403
        _, events = await served.local("GET", "/v1/events")
        assert not [one for one in events["events"] if one["kind"] == "snapshot.saved"]

    serve(tmp_path, test)


def test_restoring_twice_never_begins_the_same_incarnation(tmp_path: Path) -> None:
    path = tmp_path / "s"
    serve(tmp_path, lambda served: save(served, path))
    config = config_in(tmp_path)
    for expected in (2, 3):
        emptied(config)
        with opened(path) as source:
            assert restore(config, source, by="alice")[1].incarnation == expected
    emptied(config)
    with opened(path) as source, pytest.raises(Refused, match="incarnation 3 has passed"):
        restore(config, source, by="alice", incarnation=3)
    with opened(path) as source:
        assert restore(config, source, by="alice", incarnation=9)[1].incarnation == 9


def test_another_cluster_s_master_restores_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    serve(tmp_path, lambda served: save(served, path))
    other = tmp_path / "other"
    other.mkdir()
    config = config_in(other)
    with opened(path) as source, pytest.raises(Refused, match="no authority"):
        restore(config, source, by="alice")
    init(config)
    emptied(config)
    with opened(path) as source, pytest.raises(Refused, match="not to be trusted"):
        restore(config, source, by="alice")
    assert not list(Path(config.state_dir).glob("store.sqlite"))


def test_nobody_makes_a_cluster_of_what_is_half_restored(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    store = MemoryStore()
    store.commit([], [Put(RESTORING_KEY, b"{}")])
    with pytest.raises(Conflict, match="being restored"):
        init(config, opened=lambda config, folder: store)
    assert not Folder.of(config).complete


def test_a_configuration_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    """Not passed over: its root would be missing in the check of the signer."""
    file, config = tmp_path / "s", tmp_path / "master.yaml"
    file.touch()
    options = argparse.Namespace(
        verb=VERIFY, file=str(file), config=str(config), ca=None, output="text"
    )
    with pytest.raises(HullmarkError, match="does not exist"):
        run(options)
