"""Instances that are about to be stopped."""

from __future__ import annotations

import threading
from typing import Callable

import pytest

from hullmark.agentd.draining import APPLIED_S, SIGNALLED_S, Draining
from hullmark.errors import ProxyUnavailable
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Member

WEB = InstanceId("shop", "web", 1, 3)
MEMBER = Member(WEB, "id1", serving=True)
STARTED = 100.0


class Pause:
    """Stands in for a condition: each wait passes a moment, and then what is due happens."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None: ...

    def wait(self, seconds: float) -> bool:
        return self._bed.passes(seconds)


class Bed:
    """One container with `open` connections; `then` happens at the next wait."""

    def __init__(self, drain_s: float = 5.0) -> None:
        self.now = 50.0
        self.open: Callable[[], int] = lambda: 0
        self.woken = 0
        self.then: list[Callable[[], None]] = []
        self.draining = Draining(
            self._woken,
            lambda _name: drain_s,
            lambda _member: self.open(),
            lambda _id: STARTED,
            lambda: self.now,
        )
        self.draining._condition = Pause(self)  # type: ignore[assignment]

    def _woken(self) -> None:
        self.woken += 1

    def passes(self, seconds: float) -> bool:
        if self.then:
            self.then.pop(0)()
            return True
        self.now += seconds
        return False

    def told(self) -> None:
        """The proxy's loop does what it does when it is woken."""
        self.draining.in_force([MEMBER], self.draining.marked)

    def stop(self, *, wait: bool = True) -> float:
        """Seconds until the stop itself."""
        began = self.now
        with self.draining.leaving(WEB, "id1", wait=wait):
            return self.now - began


@pytest.fixture
def bed() -> Bed:
    made = Bed()
    made.draining.in_force([MEMBER])
    return made


def test_a_stop_waits_for_the_last_connection(bed: Bed) -> None:
    left = [2, 1, 0]
    bed.open = lambda: left.pop(0)
    bed.then = [bed.told]
    assert 0 < bed.stop() < 1
    assert left == []
    assert bed.woken == 2, "when it begins to leave, and when it has ended"


def test_it_waits_no_longer_than_the_service_says(bed: Bed) -> None:
    bed.open = lambda: 1
    bed.then = [bed.told]
    assert bed.stop() == pytest.approx(5.0, abs=0.2)


def test_nothing_is_waited_for_where_that_is_said(bed: Bed) -> None:
    bed.open = lambda: 1
    assert bed.stop(wait=False) == 0
    assert Bed(drain_s=0.0).stop() == 0


def test_a_host_whose_proxy_is_down_or_does_not_know_it_waits_for_nothing(bed: Bed) -> None:
    bed.open = lambda: 1
    bed.draining.in_force(None)
    assert bed.stop() == 0
    bed.draining.in_force([])
    assert bed.stop() == 0


def test_a_proxy_that_is_not_told_in_time_holds_nothing_up(bed: Bed) -> None:
    bed.open = lambda: 1
    assert bed.stop() == pytest.approx(APPLIED_S)


def test_a_proxy_that_ends_meanwhile_ends_the_wait(bed: Bed) -> None:
    bed.open = lambda: 1
    bed.then = [bed.told, lambda: bed.draining.in_force(None)]
    assert bed.stop() < 1


def test_a_proxy_that_cannot_be_asked_ends_the_wait(bed: Bed) -> None:
    def asked() -> int:
        raise ProxyUnavailable("no answer")

    bed.open = asked
    bed.then = [bed.told]
    assert bed.stop() < 1


def test_it_leaves_for_as_long_as_it_is_being_stopped(bed: Bed) -> None:
    with bed.draining.leaving(WEB, "id1", wait=False):
        assert bed.draining.marked == {"id1"}
        assert bed.draining.ended == {}
    assert not bed.draining.marked
    assert bed.draining.ended == {"id1": STARTED}


def test_one_that_could_not_be_stopped_stays(bed: Bed) -> None:
    with pytest.raises(ValueError, match="the engine"), bed.draining.leaving(WEB, "id1"):
        raise ValueError("the engine refuses")
    assert not bed.draining.marked
    assert bed.draining.ended == {}


def test_who_was_sent_a_signal_is_about_to_end(bed: Bed) -> None:
    bed.draining.signalled("id1", "1")
    assert not bed.draining.marked, "SIGHUP"
    bed.draining.signalled("id1", "15")
    assert bed.draining.marked == {"id1"}
    bed.draining.has_ended("id1")
    assert not bed.draining.marked
    assert bed.draining.ended == {"id1": STARTED}
    bed.draining.signalled("id2", "SIGTERM")
    bed.now += SIGNALLED_S + 1
    assert not bed.draining.marked, "it did not mind"


def test_an_end_is_remembered_until_a_look_has_seen_it(bed: Bed) -> None:
    bed.draining.has_ended("id1")
    bed.draining.forget({"id1": STARTED})
    assert bed.draining.ended == {"id1": STARTED}, "the look was before that"
    bed.draining.forget({"id1": STARTED + 1})
    assert bed.draining.ended == {}


def test_the_loop_frees_who_waits() -> None:
    """With a real condition: no deadlock between the loop and a stop."""
    woken, stopped = threading.Event(), threading.Event()
    draining = Draining(woken.set, lambda _: 60.0, lambda _: 0, lambda _: STARTED)
    draining.in_force([MEMBER])

    def stop() -> None:
        with draining.leaving(WEB, "id1"):
            stopped.set()

    thread = threading.Thread(target=stop)
    thread.start()
    assert woken.wait(10)
    draining.in_force([MEMBER], draining.marked)
    assert stopped.wait(10)
    thread.join()


def test_a_question_that_hangs_holds_up_nobody_else() -> None:
    bed = Bed(drain_s=0.01)
    bed.draining._asking.acquire()
    assert bed.draining._left(MEMBER, bed.now + 0.01) is None
    bed.draining._asking.release()
    assert bed.draining._left(MEMBER, bed.now + 0.01) == 0
