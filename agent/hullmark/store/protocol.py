"""The Store protocol: a small key-value store with revisions, shaped after etcd v3.

One revision counter for the whole store; every successful transaction that writes raises it by one, and
all that it wrote carry that revision. All calls block and may be made from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Protocol, Union

from hullmark.model.redundancy import StoreCondition

MAX_OPERATIONS = 100
"""Compares plus writes of one transaction; etcd's default is 128 of each, less a reserve."""

MAX_TRANSACTION_BYTES = 1 << 20
"""Keys and values of one transaction; etcd's default request limit is 1.5 MiB, less a reserve."""

MAX_KEY_BYTES = 512


@dataclass(frozen=True)
class Entry:
    """`created` and `modified` are the revisions in which the key appeared and last changed."""

    key: str
    value: bytes
    created: int
    modified: int


@dataclass(frozen=True)
class Compare:
    """True while the key's `modified` revision is this; 0 means: the key doesn't exist."""

    key: str
    modified: int


@dataclass(frozen=True)
class Put:
    key: str
    value: bytes


@dataclass(frozen=True)
class Delete:
    """Deletes the key; nothing happens if there is none."""

    key: str


Write = Union[Put, Delete]


@dataclass(frozen=True)
class Committed:
    """`succeeded` False: a compare did not hold and nothing was written. `revision` is the store's
    revision after the transaction."""

    succeeded: bool
    revision: int


@dataclass(frozen=True)
class Listing:
    """All entries under a prefix, by key, as they stood at `revision`."""

    entries: tuple[Entry, ...]
    revision: int


@dataclass(frozen=True)
class Change:
    """`value` None: the key was deleted at `revision`."""

    key: str
    value: Optional[bytes]
    revision: int


@dataclass(frozen=True)
class Changes:
    """Changes in order of revision, within one by key; none if the wait ran out. Resume from `revision`."""

    changes: tuple[Change, ...]
    revision: int


class Compacted(Exception):
    """The changes asked for are gone. List again, then watch from the listing's revision."""


class Store(Protocol):
    """One of three things goes wrong:

    Refused           a "no": a limit of this module is passed, a key or a prefix could never be one (a key is an absolute
                      path of printable characters), or the store does not let this user do it. Nothing was written
    StoreUnavailable  nobody answers, or who answers has no quorum. Nothing was written
    OutcomeUnknown    a transaction was sent and no answer came. It may have happened, or may still happen: the caller
                      reads to find out that it did; that it did not can't be found out by reading
    """

    def get(self, key: str) -> Optional[Entry]: ...

    def list(self, prefix: str) -> Listing: ...

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        """One transaction: all of `writes` (Put or Delete, each key at most once) if every compare
        holds, else none. Durable when it returns."""
        ...

    def changes(self, prefix: str, after: int, wait_s: float) -> Changes:
        """Changes under the prefix after revision `after`; waits up to `wait_s` for the first.
        Raises Compacted where `after` is older than what is kept."""
        ...

    def compact(self, revision: int) -> None:
        """Forget changes up to and including this revision. Current entries stay."""
        ...

    def condition(self) -> StoreCondition:
        """How the store stands, for people and for alerts. Never raises; takes a few seconds at most."""
        ...

    def close(self) -> None: ...
