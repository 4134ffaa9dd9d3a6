"""What is found of a proxy whose files, or whose worker, are somebody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional, cast

import pytest

from hullmark.agentd.outbox import Outbox
from hullmark.agentd.proxywatch import SELDOM, ProxyWatch
from hullmark.errors import Refused
from hullmark.model.audit import Entry, Outcome
from hullmark.model.proxy import ProxyLook

UP = ProxyLook(up=True, pid=7, worker=8, started_at=1.0, loaded="s1")


class FakeHaproxy:
    """`own`: the worker that was loaded from here last. `is_stubborn`: another is not taken for it."""

    def __init__(self) -> None:
        self.seen = UP
        self.own = UP.worker
        self.structure = "s1"
        self.changed: tuple[str, ...] = ()
        self.written: tuple[str, ...] = ()
        self.is_another_main = self.is_stubborn = False
        self.raises: Optional[Exception] = None
        self.restored = self.reloaded = 0

    def look(self) -> ProxyLook:
        return self.seen

    def wanted(self) -> str:
        return self.structure

    def tampered(self) -> tuple[str, ...]:
        return self.changed

    def touched(self) -> tuple[str, ...]:
        return self.written

    def is_foreign(self, seen: ProxyLook) -> bool:
        return seen.worker != self.own

    def is_started(self, seen: ProxyLook) -> bool:
        return self.is_another_main

    def restore(self) -> None:
        self.restored += 1
        self.changed = ()

    def load_again(self) -> None:
        self.reloaded += 1
        if self.raises is not None:
            raise self.raises
        self.seen = replace(self.seen, worker=self.seen.worker + 1)
        if not self.is_stubborn:
            self.own, self.written = self.seen.worker, ()

    def reload_by_somebody_else(self) -> None:
        self.seen = replace(self.seen, worker=self.seen.worker + 1)


class Bed:
    def __init__(self) -> None:
        self.haproxy = FakeHaproxy()
        self.records: list[Entry] = []
        outbox = Outbox("host box", lambda: None)
        self.watch = ProxyWatch(cast(Any, self.haproxy), self.records.append, outbox)
        self.watch.look()

    @property
    def told(self) -> list[tuple[str, Outcome]]:
        return [(one.kind, one.outcome) for one in self.records]


@pytest.fixture
def bed() -> Bed:
    return Bed()


TAMPERED = ("proxy.tampered", Outcome.FAILURE)
RELOADED = ("proxy.reloaded", Outcome.SUCCESS)


def test_an_own_worker_is_left_alone(bed: Bed) -> None:
    _, stale = bed.watch.look()
    assert (stale, bed.haproxy.reloaded, bed.told) == (False, 0, [])


def test_a_worker_that_somebody_else_loaded_is_replaced_and_no_trouble(bed: Bed) -> None:
    bed.haproxy.reload_by_somebody_else()
    _, stale = bed.watch.look()
    assert stale, "it is told everything again"
    _, stale = bed.watch.look()
    assert (stale, bed.haproxy.reloaded, bed.told) == (False, 1, [RELOADED])
    assert bed.watch.troubles() == ()


def test_who_wrote_and_put_back_what_was_loaded_is_recorded_and_a_trouble(bed: Bed) -> None:
    bed.haproxy.reload_by_somebody_else()
    bed.haproxy.written = ("haproxy.cfg",)
    _, stale = bed.watch.look()
    assert (stale, bed.haproxy.reloaded, bed.told) == (True, 1, [TAMPERED])
    assert "haproxy.cfg" in bed.records[0].reason
    assert len(bed.watch.troubles()) == 1


def test_it_is_found_also_before_an_own_change(bed: Bed) -> None:
    bed.haproxy.reload_by_somebody_else()
    bed.haproxy.written = ("haproxy.cfg",)
    assert bed.watch.mend_files()
    assert (bed.haproxy.reloaded, bed.told) == (1, [TAMPERED])


def test_files_that_were_only_written_again_are_no_trouble(bed: Bed) -> None:
    bed.haproxy.written = ("haproxy.cfg",)
    _, stale = bed.watch.look()
    assert (stale, bed.haproxy.reloaded, bed.told) == (False, 0, [])


def test_files_changed_while_no_agent_ran_are_recorded_before_anything_is_told(bed: Bed) -> None:
    bed.haproxy.structure = ""
    bed.haproxy.changed = ("haproxy.cfg",)
    bed.watch.look()
    bed.watch.mend_files()
    assert (bed.haproxy.restored, bed.told) == (1, [TAMPERED])


def test_a_proxy_that_its_service_started_is_loaded_anew_and_told_of_by_that_alone(
    bed: Bed,
) -> None:
    bed.haproxy.seen = replace(UP, pid=9, worker=10, started_at=2.0)
    bed.haproxy.is_another_main = True
    bed.watch.look()
    assert bed.haproxy.reloaded == 1
    assert [kind for kind, _ in bed.told] == ["proxy.restarted"]


def test_what_befalls_it_again_is_recorded_again(bed: Bed) -> None:
    for _ in range(5):
        bed.haproxy.reload_by_somebody_else()
        bed.haproxy.written = ("haproxy.cfg",)
        bed.watch.look()
    assert (bed.haproxy.reloaded, bed.told) == (5, [TAMPERED] * 5), "at every look"


def test_a_worker_that_cannot_be_replaced_is_recorded_once_and_tried_less_and_less(
    bed: Bed,
) -> None:
    bed.haproxy.reload_by_somebody_else()
    bed.haproxy.written = ("haproxy.cfg",)
    bed.haproxy.raises = Refused("it does not start")
    with pytest.raises(Refused):
        bed.watch.look()
    for _ in range(4 * SELDOM - 1):
        try:
            bed.watch.look()
        except Refused:
            continue
    assert bed.haproxy.reloaded < 12
    assert bed.told == [TAMPERED]
    bed.haproxy.raises = None
    for _ in range(2 * SELDOM):
        bed.watch.look()
    assert not bed.haproxy.is_foreign(bed.haproxy.seen)
    bed.haproxy.reload_by_somebody_else()
    bed.watch.look()
    assert not bed.haproxy.is_foreign(bed.haproxy.seen), "another time it is at once again"


def test_a_worker_that_is_never_taken_for_its_own_has_no_reload_at_every_look(bed: Bed) -> None:
    bed.haproxy.is_stubborn = True
    bed.haproxy.reload_by_somebody_else()
    for _ in range(4 * SELDOM):
        bed.watch.look()
    assert bed.haproxy.reloaded < 12
