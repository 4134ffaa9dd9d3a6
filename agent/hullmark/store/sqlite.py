"""The Store protocol in one SQLite file, for one master host.

Two tables: `entries` holds what is, `log` what changed at which revision until it is compacted. The file is
in write-ahead mode with `synchronous = FULL`, so that a commit is on the disk when it is acknowledged
(sqlite.org/pragma.html#pragma_synchronous). One process at a time may have it open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from hullmark.errors import BrokenState, Conflict, StoreUnavailable
from hullmark.model.redundancy import StoreCondition
from hullmark.store.limits import check_key, check_prefix, check_transaction
from hullmark.store.protocol import (
    Change,
    Changes,
    Committed,
    Compacted,
    Compare,
    Entry,
    Listing,
    Put,
    Write,
)

APPLICATION_ID = 0x48554C4C  # "HULL"; sqlite.org/pragma.html#pragma_application_id
SCHEMA_VERSION = 1
MIN_PAGE_BYTES = 512

_SCHEMA = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL,
                      modified INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE log (revision INTEGER NOT NULL, key TEXT NOT NULL, value BLOB,
                  PRIMARY KEY (revision, key)) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 0), ('compacted', 0);
"""
_MARKS = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"


class SqliteStore:
    """Raises, from the constructor: Conflict where another process has the file open, BrokenState where the
    file is damaged, foreign or of a newer version, StoreUnavailable where it can't be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._condition = threading.Condition()
        self._closed = False
        self._lock_file = self._take_lock()
        try:
            self._connection = self._open()
            self._opened = _place(self.path)
        except BaseException:
            os.close(self._lock_file)
            raise

    @staticmethod
    def exists(path: Path) -> bool:
        """Raises OSError where that can't be seen."""
        return path.exists()

    def get(self, key: str) -> Optional[Entry]:
        check_key(key)
        with self._locked():
            row = self._connection.execute(
                "SELECT key, value, created, modified FROM entries WHERE key = ?", (key,)
            ).fetchone()
            return Entry(*row) if row else None

    def list(self, prefix: str) -> Listing:
        check_prefix(prefix)
        with self._locked():
            rows = self._connection.execute(
                "SELECT key, value, created, modified FROM entries"
                " WHERE key >= ? AND substr(key, 1, ?) = ? ORDER BY key",
                (prefix, len(prefix), prefix),
            )
            return Listing(tuple(Entry(*row) for row in rows), self._counter("revision"))

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        check_transaction(compares, writes)
        with self._locked(), self._transaction():
            self._check_place()
            revision = self._counter("revision")
            if not all(self._modified(compare.key) == compare.modified for compare in compares):
                return Committed(False, revision)
            changed = [w for w in writes if isinstance(w, Put) or self._modified(w.key)]
            if changed:
                revision += 1
                for write in changed:
                    self._apply(write, revision)
                self._set_counter("revision", revision)
                self._condition.notify_all()
            return Committed(True, revision)

    def changes(self, prefix: str, after: int, wait_s: float) -> Changes:
        check_prefix(prefix)
        deadline = time.monotonic() + wait_s
        with self._locked():
            while True:
                compacted = self._counter("compacted")
                if after < compacted:
                    raise Compacted(f"changes up to {compacted} are gone")
                rows = self._connection.execute(
                    "SELECT key, value, revision FROM log WHERE revision > ?"
                    " AND substr(key, 1, ?) = ? ORDER BY revision, key",
                    (min(after, self._counter("revision")), len(prefix), prefix),
                ).fetchall()
                left_s = deadline - time.monotonic()
                if rows or left_s <= 0:
                    found = tuple(Change(*row) for row in rows)
                    return Changes(found, max(after, self._counter("revision")))
                self._condition.wait(left_s)

    def compact(self, revision: int) -> None:
        with self._locked(), self._transaction():
            upto = min(revision, self._counter("revision"))
            if upto > self._counter("compacted"):
                self._connection.execute("DELETE FROM log WHERE revision <= ?", (upto,))
                self._set_counter("compacted", upto)

    def condition(self) -> StoreCondition:
        return StoreCondition("sqlite")

    def close(self) -> None:
        """Whoever waits in `changes` gets StoreUnavailable, and so does every later call."""
        with self._condition:
            if not self._closed:
                self._closed = True
                self._connection.close()
                os.close(self._lock_file)
                self._condition.notify_all()

    def _take_lock(self) -> int:
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"{lock}: {error.strerror}",
                remedy=f"check the folder {self.path.parent} and its disk",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Conflict(
                f"{self.path} is in use by another process",
                remedy="one master runs per store; stop the other one first",
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(
                f"{lock} can't be locked: {error.strerror}",
                remedy="keep the store on a local disk",
            ) from error
        return descriptor

    def _open(self) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError), _translated(self.path):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _translated(self.path):
            connection = sqlite3.connect(
                str(self.path), isolation_level=None, check_same_thread=False, timeout=5
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise BrokenState(
                f"{self.path} is an SQLite file, but not a store of Hullmark's",
                remedy="name another file, or move this one away",
            )
        if version > SCHEMA_VERSION:
            raise BrokenState(
                f"{self.path} has version {version}; this Hullmark knows up to {SCHEMA_VERSION}",
                remedy="install the Hullmark that wrote it, or a newer one",
            )
        if tables and not self._has_its_tables(connection):
            raise sqlite3.DatabaseError("its tables are not those of a store")
        if not tables and 0 < self.path.stat().st_size < MIN_PAGE_BYTES:
            raise sqlite3.DatabaseError("it is shorter than a page")  # SQLite takes it for empty
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if not tables:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {_MARKS} COMMIT;")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    @staticmethod
    def _has_its_tables(connection: sqlite3.Connection) -> bool:
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        return found >= {"entries", "log", "counters"}

    def _check_place(self) -> None:
        """What is written to a file that was moved away, or replaced by a copy, would be lost at the next start."""
        if _place(self.path) != self._opened:
            raise StoreUnavailable(
                f"{self.path} is not the file any more that this process opened",
                remedy="put the right one there, then restart the master",
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._condition, _translated(self.path):
            yield

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _apply(self, write: Write, revision: int) -> None:
        value = write.value if isinstance(write, Put) else None
        if value is None:
            self._connection.execute("DELETE FROM entries WHERE key = ?", (write.key,))
        else:
            self._connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value, modified = excluded.modified",
                (write.key, value, revision, revision),
            )
        self._connection.execute("INSERT INTO log VALUES (?, ?, ?)", (revision, write.key, value))

    def _modified(self, key: str) -> int:
        row = self._connection.execute(
            "SELECT modified FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return int(row[0]) if row else 0

    def _counter(self, name: str) -> int:
        row = self._connection.execute("SELECT value FROM counters WHERE name = ?", (name,))
        return int(row.fetchone()[0])

    def _set_counter(self, name: str, value: int) -> None:
        self._connection.execute("UPDATE counters SET value = ? WHERE name = ?", (value, name))


def _place(path: Path) -> Optional[tuple[int, int]]:
    """Which file has this name; None: none has."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror}", remedy="check the disk and the file's owner"
        ) from error
    except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
        raise StoreUnavailable(
            f"{path}: {error}", remedy="check for a full or read-only disk, and the file's owner"
        ) from error
    except sqlite3.DatabaseError as error:
        raise BrokenState(
            f"{path} is damaged: {error}", remedy="move it away and restore a copy of it"
        ) from error
