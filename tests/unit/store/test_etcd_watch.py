"""What a watch of etcd gives to those who wait, on a stream that a test writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable, cast

import pytest

from hullmark.core import election
from hullmark.errors import StoreUnavailable
from hullmark.store import watch
from hullmark.store.dialect import encoded
from hullmark.store.gateway import Gateway
from hullmark.store.protocol import Change, Changes, Compacted
from hullmark.store.watch import Watch

SCOPE = "/hullmark/"


class Stream:
    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()

    def cut(self) -> None:
        self.messages.put(None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.messages.get, None)


class Etcd:
    """Has one revision, and streams that give what a test puts on them."""

    token = ""

    def __init__(self) -> None:
        self.streams: queue.Queue[Stream] = queue.Queue()

    def read(self, path: str, body: Mapping[str, Any]) -> Any:
        return {}

    @contextmanager
    def watch(self, body: Mapping[str, Any], silent_s: float) -> Iterator[Stream]:
        stream = Stream()
        stream.messages.put({"result": {"created": True, "header": {"revision": "1"}}})
        self.streams.put(stream)
        yield stream


def event(number: int) -> dict[str, Any]:
    key = encoded(f"{SCOPE}{number}".encode())
    return {"kv": {"key": key, "value": encoded(b"x"), "mod_revision": str(number)}}


def events(*numbers: int) -> dict[str, Any]:
    return {"result": {"events": [event(number) for number in numbers]}}


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


@pytest.fixture
def watching(etcd: Etcd) -> Iterator[Watch]:
    made = Watch(cast(Gateway, etcd), SCOPE, lambda: 1)
    yield made
    made.close()


def waiting(ask: Callable[[], Changes]) -> queue.Queue[object]:
    """What it gives or raises, once it does."""
    found: queue.Queue[object] = queue.Queue()

    def run() -> None:
        try:
            found.put(ask())
        except (Compacted, StoreUnavailable) as error:
            found.put(error)

    threading.Thread(target=run, daemon=True).start()
    return found


def test_who_waits_gets_all_changes_since(etcd: Etcd, watching: Watch) -> None:
    found = waiting(lambda: watching.changes(SCOPE, 1, 5.0))
    etcd.streams.get(timeout=5).messages.put(events(2, 3))
    wanted = tuple(Change(f"{SCOPE}{number}", b"x", number) for number in (2, 3))
    assert found.get(timeout=5) == Changes(wanted, 3)


def test_who_waits_while_more_comes_than_is_kept_is_told(
    etcd: Etcd, watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest changes alone would be a gap that nobody sees."""
    monkeypatch.setattr(watch, "KEPT_CHANGES", 3)
    found = waiting(lambda: watching.changes(SCOPE, 1, 5.0))
    etcd.streams.get(timeout=5).messages.put(events(2, 3, 4, 5, 6))
    assert isinstance(found.get(timeout=5), Compacted)
    assert [one.revision for one in watching.changes(SCOPE, 3, 1.0).changes] == [4, 5, 6]


def test_a_member_that_is_silent_is_left_before_a_standby_takes_over() -> None:
    """Else it would ask that member first, which was lost together with the leader, and take twice as long."""
    timing = election.Timing()
    assert timing.renew_s * 2 < watch.SILENT_S <= timing.ttl_s - timing.renew_s
