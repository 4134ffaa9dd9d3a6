"""SQLite and memory, step by step: the same calls give the same answers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hullmark.errors import Refused
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Compacted, Compare, Delete, Put, Store
from hullmark.store.sqlite import SqliteStore

KEYS = st.sampled_from(
    ["/a", "/a/", "/a/b", "/a%", "/a_", "/aé", "/b", "/b\U0001f6a2", "bad", "/\n"]
)
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/a_", "/a%", "/b", "/none", "bad"])
VALUES = st.binary(max_size=4)
REVISIONS = st.integers(0, 30)
WRITES = st.one_of(st.builds(Put, KEYS, VALUES), st.builds(Delete, KEYS))
COMPARES = st.builds(Compare, KEYS, REVISIONS)


def outcome(call: Callable[[Store], Any], store: Store) -> Any:
    try:
        return call(store)
    except (Refused, Compacted) as error:
        return type(error), str(error)


class BothStores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.sqlite"
        self.memory = MemoryStore()
        self.sqlite = SqliteStore(self.path)

    def both(self, call: Callable[[Store], Any]) -> Any:
        expected = outcome(call, self.memory)
        assert outcome(call, self.sqlite) == expected
        return expected

    @rule(compares=st.lists(COMPARES, max_size=2), writes=st.lists(WRITES, max_size=4))
    def commit(self, compares: list[Compare], writes: list[Any]) -> None:
        self.both(lambda store: store.commit(compares, writes))

    @rule(key=KEYS, writes=st.lists(WRITES, max_size=3))
    def commit_with_a_compare_that_holds(self, key: str, writes: list[Any]) -> None:
        entry = self.both(lambda store: store.get(key))
        if not isinstance(entry, tuple):
            compare = Compare(key, entry.modified if entry else 0)
            self.both(lambda store: store.commit([compare], writes))

    @rule(prefix=PREFIXES, after=REVISIONS)
    def changes(self, prefix: str, after: int) -> None:
        self.both(lambda store: store.changes(prefix, after, 0))

    @rule(revision=REVISIONS)
    def compact(self, revision: int) -> None:
        self.both(lambda store: store.compact(revision))

    @rule(prefix=PREFIXES)
    def listing(self, prefix: str) -> None:
        self.both(lambda store: store.list(prefix))

    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        self.sqlite = SqliteStore(self.path)

    @invariant()
    def hold_the_same(self) -> None:
        self.both(lambda store: store.list(""))

    def teardown(self) -> None:
        self.sqlite.close()
        self.folder.cleanup()


BothStores.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestBothStores = BothStores.TestCase
