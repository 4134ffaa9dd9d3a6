"""What may befall etcd, done to a real one: what a store then says, and that it goes on afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hullmark.errors import Forbidden, OutcomeUnknown, StoreUnavailable
from hullmark.store.etcd import EtcdStore
from hullmark.store.protocol import Change, Changes, Compacted, Compare, Delete, Put
from tests.cluster import wait_until
from tests.integration.etcd import VERSIONS, EtcdCluster
from tests.integration.etcdcerts import Certificates
from tests.integration.relay import Relay
from tests.integration.test_store_etcd import access
from tests.unit.store.contract import put

KEY = "/hullmark/a"
ROOM = "/hullmark/"


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trio(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("etcd"), version, size=3) as cluster:
        yield cluster


@pytest.fixture
def etcd(trio: EtcdCluster) -> Iterator[EtcdCluster]:
    """All three members, whatever the test before did to them."""
    yield trio
    for member in trio.members:
        member.resume()
        if not member.running:
            member.start()
    for member in trio.members:
        member.wait()


@pytest.fixture
def single(version: str, tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path / "etcd", version) as cluster:
        yield cluster


@contextmanager
def opened(cluster: EtcdCluster, *endpoints: str, password: str = "") -> Iterator[EtcdStore]:
    given = access(cluster, *endpoints, **({"password": password} if password else {}))
    store = EtcdStore(given)
    yield store
    store.close()


@dataclass(frozen=True)
class Relayed:
    """`store` reaches etcd by way of `relay`, `direct` does not."""

    relay: Relay
    store: EtcdStore
    direct: EtcdStore


@pytest.fixture
def relayed(single: EtcdCluster) -> Iterator[Relayed]:
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(single.members[0].port))
        by_relay = stack.enter_context(opened(single, f"https://{relay.host}"))
        yield Relayed(relay, by_relay, stack.enter_context(opened(single)))


def written_soon(store: EtcdStore, timeout_s: float = 20.0) -> int:
    """Writes until it is acknowledged."""

    def tried() -> int:
        try:
            return put(store, KEY)
        except StoreUnavailable:
            return 0

    revision: int = wait_until(tried, "a write is acknowledged", timeout_s)
    return revision


def seen_all(store: EtcdStore, after: int, upto: int, timeout_s: float = 30.0) -> list[int]:
    """The revisions of all changes up to one, by asking again wherever the store is out of reach."""
    deadline, seen = time.monotonic() + timeout_s, []
    while after < upto:
        assert time.monotonic() < deadline, f"seen up to {after}, not {upto}"
        try:
            answer = store.changes(ROOM, after, 1)
        except StoreUnavailable:
            continue
        seen += [change.revision for change in answer.changes]
        after = answer.revision
    return seen


# members


def test_each_member_may_die(etcd: EtcdCluster) -> None:
    with opened(etcd) as store:
        start = put(store, KEY)
        revisions = []
        for member in etcd.members:
            member.kill()
            revisions.append(written_soon(store))
            assert store.get(KEY) is not None
            member.start()
            member.wait()
        seen = seen_all(store, start, revisions[-1])
    assert set(revisions) <= set(seen)
    assert seen == sorted(set(seen))


def test_a_paused_member_is_left(etcd: EtcdCluster) -> None:
    """It accepts connections and says nothing; what was sent to it before may still be taken."""
    first = etcd.members[0]
    with opened(etcd) as store:
        put(store, KEY)
        first.pause()
        began = time.monotonic()
        assert store.get(KEY) is not None
        assert time.monotonic() - began < 8
        written_soon(store)
        began = time.monotonic()
        for _ in range(10):
            assert store.get(KEY) is not None
        assert time.monotonic() - began < 2


def test_a_new_connection_to_a_paused_member_is_no_unknown_outcome(etcd: EtcdCluster) -> None:
    """A transaction of which no byte was sent goes to the next member."""
    follower = next(one for one in etcd.members if one is not etcd.leader())
    others = [one.endpoint for one in etcd.members if one is not follower]
    follower.pause()
    with opened(etcd, follower.endpoint, *others) as store:
        assert store.commit((), (Put(KEY, b"once"),)).succeeded


def test_without_a_quorum_nothing_is_told_from_the_past(etcd: EtcdCluster) -> None:
    with opened(etcd) as store:
        after = put(store, KEY)
        for member in etcd.members[1:]:
            member.kill()
        with pytest.raises(StoreUnavailable):
            store.get(KEY)
        with pytest.raises(StoreUnavailable):
            store.list(ROOM)
        with pytest.raises(StoreUnavailable):
            put(store, KEY)
        with pytest.raises(StoreUnavailable):
            store.changes(ROOM, after, 0.1)
        condition = store.condition()
        assert not condition.quorum
        assert condition.troubles[0] == "no quorum: 2 of 3 members silent"
        assert [member.answers for member in condition.members] == [True, False, False]
        etcd.members[1].start()
        written_soon(store)


def test_a_member_without_a_quorum_is_left_for_one_with(etcd: EtcdCluster) -> None:
    """Its peers don't hear it; it still answers clients."""
    lonely = etcd.members[0]
    with opened(etcd) as store:
        start = put(store, KEY)
        for one in etcd.members[1:]:
            one.kill()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(seen_all, store, start, start + 1)
            lonely.pause()
            for one in etcd.members[1:]:
                one.start()
            for one in etcd.members[1:]:
                one.wait()
            with opened(etcd, *(one.endpoint for one in etcd.members[1:])) as other:
                revision = written_soon(other)
            assert revision in waiting.result(30)


def test_the_condition_of_a_whole_cluster(etcd: EtcdCluster) -> None:
    with opened(etcd) as store:
        put(store, KEY)
        wait_until(lambda: not store.condition().troubles, "no trouble")
        condition = store.condition()
        assert [member.name for member in condition.members] == ["e1", "e2", "e3"]
        assert sum(member.leads for member in condition.members) == 1
        assert all(member.answers and member.size_bytes for member in condition.members)
        assert {member.version.rpartition(".")[0] for member in condition.members} == {etcd.version}
        etcd.members[2].kill()
        condition = store.condition()
        assert condition.quorum
        assert not condition.members[2].answers
        assert condition.members[2].name == "e3"
        assert condition.troubles[0].startswith("member e3 silent for")


# answers


def test_a_lost_answer_is_an_unknown_outcome_and_never_sent_again(single: EtcdCluster) -> None:
    with Relay(single.members[0].port) as relay, opened(single, f"https://{relay.host}") as store:
        before = put(store, KEY)
        relay.lose_answers()
        with pytest.raises(OutcomeUnknown):
            store.commit((Compare(KEY, before),), (Put(KEY, b"new"),))
        relay.lose_answers(False)
        entry = wait_until(lambda: store.get(KEY), "it answers")
        assert (entry.value, entry.modified) == (b"new", before + 1)


def test_nobody_listens(single: EtcdCluster) -> None:
    with opened(single) as store:
        put(store, KEY)
        single.members[0].kill()
        with pytest.raises(StoreUnavailable):
            store.get(KEY)
        with pytest.raises(StoreUnavailable) as caught:
            put(store, KEY)
        assert not isinstance(caught.value, OutcomeUnknown)
        assert "connection refused" in caught.value.message
        single.members[0].start()
        single.members[0].wait()
        put(store, KEY)  # with a new token: the member forgot the old one


# changes


def test_a_broken_watch_goes_on_without_a_gap(relayed: Relayed) -> None:
    relay, store, direct = relayed.relay, relayed.store, relayed.direct
    after = put(direct, KEY)
    assert store.changes(ROOM, after, 0).changes == ()
    relay.lose_answers()
    written = [put(direct, KEY) for _ in range(5)]
    relay.lose_answers(False)
    written += [put(direct, KEY) for _ in range(5)]
    assert seen_all(store, after, written[-1]) == written


def test_a_watch_that_says_nothing_is_noticed(relayed: Relayed) -> None:
    relay, store, direct = relayed.relay, relayed.store, relayed.direct
    after = put(direct, KEY)
    assert store.changes(ROOM, after, 0).changes == ()
    relay.pause()
    written = put(direct, KEY)
    with pytest.raises(StoreUnavailable):
        store.changes(ROOM, after, 15)
    relay.resume()
    assert seen_all(store, after, written) == [written]


def test_compacted_while_the_watch_was_broken(relayed: Relayed) -> None:
    relay, store, direct = relayed.relay, relayed.store, relayed.direct
    after = put(direct, KEY)
    assert store.changes(ROOM, after, 0).changes == ()
    relay.lose_answers()
    gone = [put(direct, KEY) for _ in range(5)][-1]
    direct.commit((), (Delete(KEY),))
    direct.compact(gone + 1)
    relay.lose_answers(False)
    with pytest.raises(Compacted):
        seen_all(store, after, gone)
    later = put(direct, KEY, b"later")
    seen = store.changes(ROOM, store.list(ROOM).revision - 1, 1)
    assert seen == Changes((Change(KEY, b"later", later),), later)


def test_a_deletion_at_the_very_revision_of_the_compaction_is_not_passed_over(
    single: EtcdCluster,
) -> None:
    """etcd begins a watch there without a word, and has forgotten the deletion."""
    with opened(single) as direct, opened(single) as store:
        after = put(direct, KEY)
        deleted = direct.commit((), (Delete(KEY),)).revision
        direct.compact(deleted)
        put(direct, "/hullmark/b")
        with pytest.raises(Compacted):
            store.changes(ROOM, after, 1)


def test_closing_wakes_who_waits(single: EtcdCluster) -> None:
    with opened(single) as store, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.changes, ROOM, put(store, KEY), 30)
        time.sleep(0.3)
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            waiting.result(5)
        with pytest.raises(StoreUnavailable, match="closed"):
            store.get(KEY)


# users and certificates


def test_a_wrong_password(single: EtcdCluster) -> None:
    with opened(single, password="wrong") as store:
        with pytest.raises(Forbidden, match="authentication failed") as caught:
            store.get(KEY)
        assert "store.etcd.password_file" in caught.value.remedy
        with pytest.raises(Forbidden):
            put(store, KEY)
        assert any("authentication failed" in trouble for trouble in store.condition().troubles)


def test_a_user_without_rights(single: EtcdCluster) -> None:
    with opened(single) as store:
        put(store, KEY)
        single.etcdctl("role", "revoke-permission", "--prefix=true", "hullmark", ROOM)
        with pytest.raises(Forbidden, match="permission denied") as caught:
            put(store, KEY)
        assert "grant-permission" in caught.value.remedy
        with pytest.raises(Forbidden):
            store.get(KEY)
        with pytest.raises(Forbidden):
            store.changes(ROOM, 1, 0)
        condition = store.condition()
        assert condition.quorum
        assert "permission denied" in condition.troubles[0]


def test_a_token_that_expires(version: str, tmp_path: Path) -> None:
    options = ["--auth-token-ttl=1"]
    cluster = EtcdCluster(tmp_path / "etcd", version, options=options)
    with cluster, opened(cluster) as store:
        after = put(store, KEY)
        time.sleep(2.5)
        revision = put(store, KEY)
        time.sleep(2.5)
        assert store.get(KEY) is not None
        assert seen_all(store, after, revision) == [revision]


def test_a_client_without_a_certificate(single: EtcdCluster) -> None:
    store = EtcdStore(replace(access(single), cert="", key=""))
    with pytest.raises(StoreUnavailable) as caught:
        put(store, KEY)
    assert not isinstance(caught.value, OutcomeUnknown)
    store.close()


def test_a_member_that_another_authority_vouches_for(single: EtcdCluster, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    store = EtcdStore(replace(access(single), ca=str(other.ca)))
    with pytest.raises(StoreUnavailable, match="its certificate") as caught:
        put(store, KEY)
    assert not isinstance(caught.value, OutcomeUnknown)
    store.close()


def test_a_member_whose_certificate_has_expired(single: EtcdCluster) -> None:
    """etcd takes up a new file by itself."""
    single.certificates.issue("e1", ["127.0.0.1"], valid_days=-1)
    with opened(single) as store:
        with pytest.raises(StoreUnavailable, match="has expired"):
            put(store, KEY)
        assert "has expired" in " ".join(store.condition().troubles)
        single.certificates.issue("e1", ["127.0.0.1"])
        written_soon(store)


def test_certificates_that_expire(single: EtcdCluster) -> None:
    with opened(single) as store:
        single.certificates.issue("client", valid_days=10)
        put(store, KEY)
        troubles = store.condition().troubles
        assert [one for one in troubles if "expires in 10 d" in one or "expires in 9 d" in one]
    single.certificates.issue("client", valid_days=-1)
    with opened(single) as store:
        with pytest.raises(StoreUnavailable):
            store.get(KEY)
        assert any("has expired" in trouble for trouble in store.condition().troubles)


def test_a_certificate_with_a_common_name(tmp_path: Path) -> None:
    """etcd 3.4 refuses it at the gateway, whoever it names."""
    with EtcdCluster(tmp_path / "etcd", "3.4") as cluster:
        cluster.certificates.issue("client", common="m1")
        with opened(cluster) as store:
            with pytest.raises(Forbidden) as caught:
                store.get(KEY)
            assert "without a common name" in caught.value.remedy


# space


def fill(store: EtcdStore) -> None:
    for number in range(60):
        put(store, f"/hullmark/{number}", b"x" * 500_000)


def fill_disk(folder: Path) -> None:
    with (folder / "ballast").open("wb") as ballast:
        while True:
            ballast.write(b"\0" * (1 << 20))
            ballast.flush()


def test_a_store_that_is_full(version: str, tmp_path: Path) -> None:
    """The write that passes the quota may happen although it is told as a failure: its outcome is unknown. Deletions still
    work, and so does everything after space was made."""
    options = [f"--quota-backend-bytes={16 << 20}"]
    cluster = EtcdCluster(tmp_path / "etcd", version, options=options)
    with cluster, opened(cluster) as store:
        put(store, KEY)
        with pytest.raises(OutcomeUnknown, match="full") as caught:
            fill(store)
        assert "defrag" in caught.value.remedy
        with pytest.raises(OutcomeUnknown, match="full"):
            put(store, "/hullmark/more")
        assert store.get("/hullmark/more") is None
        assert store.get(KEY) is not None
        assert any("NOSPACE" in trouble for trouble in store.condition().troubles)
        names = [entry.key for entry in store.list("/hullmark/").entries if entry.key != KEY]
        revision = store.commit((), [Delete(name) for name in names]).revision
        store.compact(revision)
        cluster.etcdctl("defrag")
        cluster.etcdctl("alarm", "disarm")
        put(store, KEY)
        assert store.condition().troubles == ()
        for number in range(60):
            put(store, f"/hullmark/{number}", b"x" * 300_000)
            if store.condition().troubles:
                break
        assert "more than 80 % of its quota of 17 MB" in store.condition().troubles[0]


def test_a_full_disk_of_one_member(version: str, tmp_path: Path) -> None:
    """That member ends; the other two go on."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=140m", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        cluster = EtcdCluster(tmp_path / "etcd", version, size=3)
        cluster.members[0].data = small / "e1"
        with cluster, opened(cluster) as store:
            put(store, KEY)
            with pytest.raises(OSError, match="No space left"):
                fill_disk(small)
            for number in range(200):
                try:
                    put(store, f"/hullmark/{number % 3}", b"x" * 400_000)
                except StoreUnavailable:
                    continue
                if not cluster.members[0].running:
                    break
            assert not cluster.members[0].running
            written_soon(store)
            assert store.condition().quorum
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
