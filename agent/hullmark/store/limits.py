"""The limits of a transaction, checked alike by every implementation before it does anything."""

from __future__ import annotations

from collections.abc import Sequence

from hullmark.errors import Refused
from hullmark.store.protocol import (
    MAX_KEY_BYTES,
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    Compare,
    Put,
    Write,
)


def check_transaction(compares: Sequence[Compare], writes: Sequence[Write]) -> None:
    """Raises Refused where a limit is passed, a key is malformed, or a key is written twice."""
    operations = len(compares) + len(writes)
    if operations > MAX_OPERATIONS:
        raise Refused(f"a transaction of {operations} operations; allowed are {MAX_OPERATIONS}")
    for compare in compares:
        check_key(compare.key)
    size_bytes = sum(len(compare.key.encode()) for compare in compares)
    seen = set()
    for write in writes:
        check_key(write.key)
        if write.key in seen:
            raise Refused(f"key {write.key!r} is written twice in one transaction")
        seen.add(write.key)
        size_bytes += len(write.key.encode())
        size_bytes += len(write.value) if isinstance(write, Put) else 0
    if size_bytes > MAX_TRANSACTION_BYTES:
        raise Refused(f"a transaction of {size_bytes} bytes; allowed are {MAX_TRANSACTION_BYTES}")


def check_key(key: str) -> None:
    """Raises Refused for a key that is no absolute path of printable characters."""
    if not key.startswith("/") or not key.isprintable() or len(key.encode()) > MAX_KEY_BYTES:
        raise Refused(
            f"bad key {key[:80]!r}; a key begins with a slash, is printable, "
            f"and has at most {MAX_KEY_BYTES} bytes"
        )


def check_prefix(prefix: str) -> None:
    """Raises Refused for what no key begins with. The empty prefix is that of all keys."""
    if prefix:
        check_key(prefix)
