"""The embedded store: the contract, and what may befall its file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullmark.errors import BrokenState, Conflict, StoreUnavailable
from hullmark.store.protocol import Compacted, Put
from hullmark.store.sqlite import SCHEMA_VERSION, SqliteStore
from tests.unit.store.contract import PATIENCE_S, StoreContract, keys, put


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, path: Path) -> Iterator[SqliteStore]:
        store = SqliteStore(path)
        yield store
        store.close()


def written(path: Path) -> None:
    """A closed store that fills some pages."""
    store = SqliteStore(path)
    for number in range(40):
        put(store, f"/k{number:02}", b"x" * 600)
    store.commit((), [Put(f"/k{number:02}", b"y" * 600) for number in range(0, 40, 3)])
    store.close()


def crashed(source: Path, target: Path) -> None:
    """Copy the files as they are while the store is open: what a kill or a power cut leaves."""
    for name in ("store.sqlite", "store.sqlite-wal"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)


def alter(path: Path, statement: str) -> None:
    connection = sqlite3.connect(str(path))
    connection.execute(statement)
    connection.commit()
    connection.close()


# what stays


def test_everything_is_there_after_closing(path: Path) -> None:
    store = SqliteStore(path)
    first = put(store, "/a", b"1")
    second = put(store, "/a", b"2")
    put(store, "/b", b"3")
    store.compact(first)
    before, changes = store.list(""), store.changes("", second - 1, 0)
    store.close()
    again = SqliteStore(path)
    assert again.list("") == before
    assert again.changes("", second - 1, 0) == changes
    with pytest.raises(Compacted):
        again.changes("", 0, 0)
    assert put(again, "/c") == before.revision + 1
    again.close()


def test_what_was_acknowledged_survives_a_crash(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    store = SqliteStore(tmp_path / "live/store.sqlite")
    for number in range(12):
        put(store, f"/k{number:02}", b"x" * 5000)
        store.compact(number - 3)
        copy = tmp_path / f"crash{number}"
        copy.mkdir()
        crashed(tmp_path / "live", copy)
        revived = SqliteStore(copy / "store.sqlite")
        assert revived.list("") == store.list("")
        revived.close()
    store.close()


def test_a_write_cut_short_by_a_crash_is_undone_whole(tmp_path: Path) -> None:
    """The log of a transaction's pages, cut anywhere: the state is that before or that after it."""
    (tmp_path / "live").mkdir()
    store = SqliteStore(tmp_path / "live/store.sqlite")
    put(store, "/a", b"1")
    before = store.list("")
    wal = tmp_path / "live/store.sqlite-wal"
    begin = wal.stat().st_size
    store.commit((), (Put("/a", b"2"), Put("/b", b"x" * 9000)))
    after = store.list("")
    end = wal.stat().st_size
    assert end > begin
    seen = []
    for number, length in enumerate(range(begin, end + 1, 1361)):
        copy = tmp_path / f"cut{number}"
        copy.mkdir()
        crashed(tmp_path / "live", copy)
        os.truncate(copy / "store.sqlite-wal", min(length, end))
        revived = SqliteStore(copy / "store.sqlite")
        seen.append(revived.list(""))
        revived.close()
    store.close()
    assert before in seen
    assert all(state in (before, after) for state in seen)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    store = SqliteStore(path)
    put(store, "/a")
    modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}
    store.close()
    assert "store.sqlite" in modes
    assert set(modes.values()) == {0o600}


# one at a time


def test_one_process_has_it_open(path: Path) -> None:
    first = SqliteStore(path)
    with pytest.raises(Conflict, match="in use by another process") as caught:
        SqliteStore(path)
    assert caught.value.remedy
    put(first, "/a")
    first.close()
    second = SqliteStore(path)
    assert keys(second, "") == ["/a"]
    second.close()


def test_closing_twice_closes_nothing_else(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    others = [os.open(tmp_path, os.O_RDONLY) for _ in range(3)]
    store.close()
    for descriptor in others:
        os.fstat(descriptor)
        os.close(descriptor)


def test_a_closed_store_says_so_also_to_who_waits(path: Path) -> None:
    store = SqliteStore(path)
    revision = put(store, "/a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.changes, "/", revision, PATIENCE_S * 10)
        store.close()
        with pytest.raises(StoreUnavailable):
            waiting.result(PATIENCE_S)
    for call in (lambda: store.get("/a"), lambda: store.list(""), lambda: put(store, "/a")):
        with pytest.raises(StoreUnavailable):
            call()


def test_a_failed_opening_lets_go_of_the_lock(path: Path) -> None:
    path.write_bytes(b"no database, " * 500)
    for _ in range(2):
        with pytest.raises(BrokenState, match="is damaged"):
            SqliteStore(path)
    path.unlink()
    SqliteStore(path).close()


# damage


def test_an_empty_file_is_a_new_store(path: Path) -> None:
    """What a crash leaves between making the file and its first transaction."""
    path.touch()
    store = SqliteStore(path)
    assert put(store, "/a") == 1
    store.close()


@pytest.mark.parametrize("part", [1, 100, 511, 512, 4096, 9000])
def test_a_truncated_file_is_damaged(path: Path, part: int) -> None:
    written(path)
    os.truncate(path, part)
    with pytest.raises(BrokenState, match=r"store\.sqlite is damaged") as caught:
        SqliteStore(path)
    assert "restore" in caught.value.remedy


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA application_id = 1", "not a store of Hullmark's"),
        (
            f"PRAGMA user_version = {SCHEMA_VERSION + 1}",
            f"has version {SCHEMA_VERSION + 1}; this Hullmark knows up to {SCHEMA_VERSION}",
        ),
        ("DROP TABLE counters", "its tables are not those of a store"),
    ],
)
def test_foreign_and_newer_files_are_left_alone(path: Path, statement: str, message: str) -> None:
    written(path)
    alter(path, statement)
    before = path.read_bytes()
    with pytest.raises(BrokenState, match=message) as caught:
        SqliteStore(path)
    assert caught.value.remedy
    assert path.read_bytes() == before


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    alter(path, "CREATE TABLE pets (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(BrokenState, match="not a store of Hullmark's"):
        SqliteStore(path)
    assert path.read_bytes() == before


@given(
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1),
    at=st.data(),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_flipped_bytes_are_seen_or_do_no_harm(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], at: st.DataObject
) -> None:
    """Never an error of another kind. SQLite has no checksum of its pages, so a byte of a value may differ."""
    path = tmp_path_factory.mktemp("flip") / "store.sqlite"
    written(path)
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path.write_bytes(content)
    try:
        store = SqliteStore(path)
    except (BrokenState, StoreUnavailable):
        return
    try:
        store.list("")
        store.changes("", 0, 0)
        put(store, "/new")
        store.compact(10)
    except (BrokenState, StoreUnavailable, Compacted):
        pass
    finally:
        store.close()


# a disk that is missing, full or read-only


def in_a_missing_folder(folder: Path) -> Path:
    return folder / "none/store.sqlite"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file/store.sqlite"


def in_place_of_a_folder(folder: Path) -> Path:
    (folder / "store.sqlite").mkdir()
    return folder / "store.sqlite"


def with_a_folder_as_its_lock(folder: Path) -> Path:
    (folder / "store.sqlite.lock").mkdir()
    return folder / "store.sqlite"


def where_nobody_may_write(_: Path) -> Path:
    return Path("/proc/store.sqlite")


@pytest.mark.parametrize(
    "place",
    [
        in_a_missing_folder,
        below_a_file,
        in_place_of_a_folder,
        with_a_folder_as_its_lock,
        where_nobody_may_write,
    ],
)
def test_a_place_that_cannot_be(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite") as caught:
        SqliteStore(place(tmp_path))
    assert "check" in caught.value.remedy


def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(path: Path) -> None:
    store = SqliteStore(path)
    put(store, "/a", b"1")
    limit(store, "max_page_count = 12")
    with pytest.raises(StoreUnavailable, match="full") as caught:
        fill(store)
    assert "full" in caught.value.remedy
    before = store.list("")
    with pytest.raises(StoreUnavailable):
        store.commit((), (Put("/a", b"2"), Put("/big", b"x" * 50000)))
    assert store.list("") == before
    limit(store, "max_page_count = 10000")
    assert put(store, "/big", b"x" * 50000) == before.revision + 1
    assert len(store.changes("", 0, 0).changes) == before.revision + 1
    store.close()
    again = SqliteStore(path)
    assert len(keys(again, "")) == len(before.entries) + 1
    again.close()


def test_a_disk_that_became_read_only(path: Path) -> None:
    store = SqliteStore(path)
    put(store, "/a", b"1")
    limit(store, "query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly") as caught:
        put(store, "/a", b"2")
    assert "read-only" in caught.value.remedy
    entry = store.get("/a")
    assert entry is not None
    assert entry.value == b"1"
    limit(store, "query_only = OFF")
    put(store, "/a", b"2")
    store.close()


def fill(store: SqliteStore) -> None:
    for number in range(100):
        put(store, f"/k{number}", b"x" * 5000)


def limit(store: SqliteStore, pragma: str) -> None:
    """As the disk would, from within SQLite: it reports both in the same way."""
    store._connection.execute(f"PRAGMA {pragma}").fetchone()


@pytest.mark.parametrize("replaced", [True, False])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    store.commit([], [Put("/a", b"1")])
    path.rename(tmp_path / "away")
    if replaced:
        shutil.copy(tmp_path / "away", path)
    with pytest.raises(StoreUnavailable, match="not the file any more"):
        store.commit([], [Put("/a", b"2")])
    (tmp_path / "away").rename(path)
    assert store.commit([], [Put("/a", b"3")]).succeeded
    store.close()
