"""What every store has to do. Each implementation's tests subclass `StoreContract` and give it a fixture `store`."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

import pytest

from hullmark.errors import Refused
from hullmark.store.protocol import (
    MAX_KEY_BYTES,
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    Change,
    Compacted,
    Compare,
    Delete,
    Entry,
    Put,
    Store,
)

PATIENCE_S = 20.0
"""How long a test waits for what should come at once."""

ODD_KEYS = (
    "/%",
    "/%a",
    "/_",
    "/_a",
    "/a",
    "/a b",
    "/a'b",
    "/a*",
    "/a/",
    "/a/b",
    "/aa",
    "/ab",
    "/A",
    "/é",
    "/éa",
    "/語",
    "/\U0001f6a2",
    "/\U0001f6a2a",
    "/\uffa0",
)
"""In ways to match a prefix that aren't a prefix, each of these matches another."""

BAD_KEYS = ("", "a", "a/b", "/a\n", "/a\0b", "/\ud800", "/a\u2028", "/" + "k" * MAX_KEY_BYTES)


def put(store: Store, key: str, value: bytes = b"v") -> int:
    """The revision at which it was written."""
    done = store.commit((), (Put(key, value),))
    assert done.succeeded
    return done.revision


def keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in store.list(prefix).entries]


class StoreContract:
    # get, list, commit

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.get("/a") is None
        assert store.list("").entries == ()
        assert store.changes("", store.list("").revision, 0).changes == ()

    def test_a_value_comes_back_byte_for_byte(self, store: Store) -> None:
        for value in (b"", b"\0", bytes(range(256)), b"{}"):
            revision = put(store, "/a", value)
            entry = store.get("/a")
            assert entry is not None
            assert (entry.value, entry.modified) == (value, revision)

    def test_each_transaction_that_writes_has_the_next_revision(self, store: Store) -> None:
        first = put(store, "/a")
        second = store.commit((), (Put("/b", b"1"), Put("/c", b"2"))).revision
        third = put(store, "/a")
        assert (second, third) == (first + 1, first + 2)
        assert store.list("").entries == (
            Entry("/a", b"v", first, third),
            Entry("/b", b"1", second, second),
            Entry("/c", b"2", second, second),
        )
        assert store.list("").revision == third

    def test_what_writes_nothing_leaves_the_revision(self, store: Store) -> None:
        revision = put(store, "/a")
        assert store.commit((), (Delete("/none"),)).revision == revision
        assert store.commit((), ()).revision == revision
        assert store.commit((Compare("/a", revision),), ()).succeeded
        assert store.changes("", revision, 0).revision == revision

    def test_writing_the_same_value_is_a_change(self, store: Store) -> None:
        first = put(store, "/a")
        second = put(store, "/a")
        assert second == first + 1
        assert store.get("/a") == Entry("/a", b"v", first, second)

    def test_a_deleted_key_begins_anew(self, store: Store) -> None:
        put(store, "/a")
        gone = store.commit((), (Delete("/a"), Delete("/none")))
        assert gone.succeeded
        assert store.get("/a") is None
        assert keys(store, "") == []
        again = put(store, "/a")
        assert store.get("/a") == Entry("/a", b"v", again, again)

    # compares

    def test_a_compare_that_fails_writes_nothing(self, store: Store) -> None:
        first = put(store, "/a", b"old")
        put(store, "/b", b"old")
        before = store.list("")
        done = store.commit(
            (Compare("/b", before.revision), Compare("/a", first + 9)),
            (Put("/a", b"new"), Delete("/b"), Put("/c", b"new")),
        )
        assert not done.succeeded
        assert done.revision == before.revision
        assert store.list("") == before
        assert store.changes("", before.revision, 0).changes == ()

    def test_zero_means_that_the_key_does_not_exist(self, store: Store) -> None:
        assert store.commit((Compare("/a", 0),), (Put("/a", b"1"),)).succeeded
        assert not store.commit((Compare("/a", 0),), (Put("/a", b"2"),)).succeeded
        store.commit((), (Delete("/a"),))
        assert store.commit((Compare("/a", 0),), (Put("/a", b"3"),)).succeeded

    def test_a_compare_is_with_the_last_change_not_the_first(self, store: Store) -> None:
        created = put(store, "/a")
        modified = put(store, "/a")
        assert not store.commit((Compare("/a", created),), (Put("/a", b"x"),)).succeeded
        assert store.commit((Compare("/a", modified),), (Put("/a", b"x"),)).succeeded

    def test_compares_look_at_what_was_before_the_transaction(self, store: Store) -> None:
        revision = put(store, "/a")
        same = (Compare("/a", revision), Compare("/a", revision), Compare("/b", 0))
        assert store.commit(same, (Delete("/a"), Put("/b", b"1"))).succeeded
        assert keys(store, "") == ["/b"]

    # limits

    def test_the_number_of_operations_is_limited(self, store: Store) -> None:
        compares = [Compare(f"/n{number}", 0) for number in range(MAX_OPERATIONS // 2)]
        writes = [Put(f"/k{number}", b"") for number in range(MAX_OPERATIONS // 2)]
        assert store.commit(compares, writes).succeeded
        revision = store.list("").revision
        with pytest.raises(Refused, match="101 operations; allowed are 100"):
            store.commit([*compares, Compare("/more", 0)], writes)
        assert store.list("").revision == revision

    def test_the_size_is_limited_keys_included(self, store: Store) -> None:
        full = MAX_TRANSACTION_BYTES - len("/a") - len("/b")
        assert store.commit((Compare("/b", 0),), (Put("/a", b"x" * full),)).succeeded
        with pytest.raises(Refused, match="1048577 bytes; allowed are 1048576"):
            store.commit((Compare("/b", 0),), (Put("/a", b"x" * (full + 1)),))
        entry = store.get("/a")
        assert entry is not None
        assert len(entry.value) == full

    def test_a_key_is_written_once_in_a_transaction(self, store: Store) -> None:
        for second in (Put("/a", b"2"), Delete("/a")):
            with pytest.raises(Refused, match="'/a' is written twice"):
                store.commit((), (Put("/a", b"1"), second))
        assert store.get("/a") is None

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_malformed_keys_are_refused_everywhere(self, store: Store, key: str) -> None:
        put(store, "/ok")
        before = store.list("")
        with pytest.raises(Refused, match="bad key"):
            store.commit((), (Put("/fine", b""), Put(key, b"")))
        with pytest.raises(Refused, match="bad key"):
            store.commit((), (Put("/fine", b""), Delete(key)))
        with pytest.raises(Refused, match="bad key"):
            store.commit((Compare(key, 0),), (Put("/fine", b""),))
        with pytest.raises(Refused, match="bad key"):
            store.get(key)
        if key:
            with pytest.raises(Refused, match="bad key"):
                store.list(key)
            with pytest.raises(Refused, match="bad key"):
                store.changes(key, before.revision, 0)
        assert store.list("") == before

    def test_the_longest_key(self, store: Store) -> None:
        for key in ("/" + "k" * (MAX_KEY_BYTES - 1), "/" + "é" * ((MAX_KEY_BYTES - 1) // 2)):
            put(store, key)
            assert keys(store, key) == [key]

    # prefixes

    @pytest.mark.parametrize("prefix", ["", "/", *ODD_KEYS])
    def test_a_prefix_is_only_that(self, store: Store, prefix: str) -> None:
        begin = store.list("").revision
        for key in ODD_KEYS:
            put(store, key)
        # By code point, which is the order of the bytes in UTF-8 too.
        expected = sorted(key for key in ODD_KEYS if key.startswith(prefix))
        assert keys(store, prefix) == expected
        seen = store.changes(prefix, begin, 0)
        assert sorted(change.key for change in seen.changes) == expected
        assert seen.revision == store.list("").revision

    # changes

    def test_changes_are_in_order_and_none_is_missing(self, store: Store) -> None:
        start = put(store, "/a/1", b"0")
        first = store.commit((), (Put("/a/2", b"1"), Put("/a/1", b"2"), Put("/b", b"3"))).revision
        second = store.commit((), (Delete("/a/1"), Delete("/a/9"))).revision
        third = put(store, "/a/1", b"4")
        seen = store.changes("/a/", start, 0)
        assert seen.changes == (
            Change("/a/1", b"2", first),
            Change("/a/2", b"1", first),
            Change("/a/1", None, second),
            Change("/a/1", b"4", third),
        )
        assert seen.revision == third
        assert store.changes("/a/", second, 0).changes == seen.changes[3:]
        assert store.changes("/a/", third, 0).changes == ()

    def test_one_resumes_past_changes_of_others(self, store: Store) -> None:
        """So that compacting does not cut off whoever watches a prefix in which nothing happens."""
        start = store.list("").revision
        put(store, "/other")
        seen = store.changes("/mine", start, 0)
        assert seen.changes == ()
        assert seen.revision == start + 1

    def test_nothing_comes_after_a_revision_of_the_future(self, store: Store) -> None:
        revision = put(store, "/a")
        for after in (revision + 5, 1 << 80):
            seen = store.changes("", after, 0)
            assert (seen.changes, seen.revision) == ((), after)

    def test_waiting_ends_by_itself(self, store: Store) -> None:
        revision = put(store, "/a")
        began = time.monotonic()
        assert store.changes("/", revision, 0.03).changes == ()
        assert time.monotonic() - began >= 0.03

    def test_a_change_wakes_who_waits(self, store: Store) -> None:
        start = put(store, "/a")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.changes, "/a", start, PATIENCE_S)
            put(store, "/elsewhere")
            assert not waiting.done()
            written = put(store, "/a", b"new")
            seen = waiting.result(PATIENCE_S)
        assert seen.changes == (Change("/a", b"new", written),)

    def test_every_watcher_sees_every_change_once(self, store: Store) -> None:
        start, number = store.list("").revision, 60

        def watch(prefix: str) -> list[Optional[bytes]]:
            seen: list[Optional[bytes]] = []
            after = start
            while len(seen) < number:
                answer = store.changes(prefix, after, PATIENCE_S)
                assert answer.changes, "a change is missing"
                seen += [change.value for change in answer.changes]
                after = answer.revision
            return seen

        with ThreadPoolExecutor(4) as pool:
            watchers = [pool.submit(watch, prefix) for prefix in ("", "/", "/a", "/a/")]
            for count in range(number):
                put(store, "/a/k", b"%d" % count)
            expected = [b"%d" % count for count in range(number)]
            for watcher in watchers:
                assert watcher.result(PATIENCE_S) == expected

    # compacting

    def test_compacted_changes_are_gone_entries_stay(self, store: Store) -> None:
        first = put(store, "/a")
        second = put(store, "/b")
        third = put(store, "/a", b"new")
        listing = store.list("")
        store.compact(second)
        assert store.list("") == listing
        for after in (0, first):
            with pytest.raises(Compacted):
                store.changes("", after, 0)
        assert store.changes("", second, 0).changes == (Change("/a", b"new", third),)

    def test_compacting_is_never_taken_back(self, store: Store) -> None:
        first = put(store, "/a")
        second = put(store, "/b")
        store.compact(second)
        store.compact(first)
        store.compact(0)
        with pytest.raises(Compacted):
            store.changes("", first, 0)

    def test_one_can_compact_up_to_now_but_not_ahead(self, store: Store) -> None:
        revision = put(store, "/a")
        store.compact(revision + 1000)
        assert store.changes("", revision, 0).changes == ()
        written = put(store, "/b")
        assert written == revision + 1
        assert store.changes("", revision, 0).changes == (Change("/b", b"v", written),)

    # threads

    def test_no_update_is_lost(self, store: Store) -> None:
        threads, times = 6, 25

        def count() -> None:
            for _ in range(times):
                done = False
                while not done:
                    entry = store.get("/count")
                    value = int(entry.value) if entry else 0
                    compare = Compare("/count", entry.modified if entry else 0)
                    done = store.commit((compare,), (Put("/count", b"%d" % (value + 1)),)).succeeded

        before = store.list("").revision
        with ThreadPoolExecutor(threads) as pool:
            for running in [pool.submit(count) for _ in range(threads)]:
                running.result(PATIENCE_S)
        entry = store.get("/count")
        assert entry is not None
        assert int(entry.value) == threads * times
        assert store.list("").revision == before + threads * times
        assert len(store.changes("/count", before, 0).changes) == threads * times

    def test_a_transaction_is_seen_whole_or_not_at_all(self, store: Store) -> None:
        put(store, "/x/a", b"0")
        put(store, "/x/b", b"0")
        stop = threading.Event()

        def write() -> None:
            for count in range(100):
                value = b"%d" % count
                store.commit((), (Put("/x/a", value), Put("/x/b", value)))
            stop.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not stop.is_set():
                one, other = store.list("/x/").entries
                assert one.value == other.value
            writing.result(PATIENCE_S)
