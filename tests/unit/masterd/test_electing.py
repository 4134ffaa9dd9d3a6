"""Masters over one store in memory: one leads, the other follows it, and each goes on living."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Optional

import pytest

from hullmark.errors import Forbidden, OutcomeUnknown, StaleEpoch, StoreUnavailable
from hullmark.masterd.cluster import Cluster, Settings
from hullmark.masterd.view import encode
from hullmark.model.epoch import Epoch
from hullmark.model.names import LEADER_KEY, PULSE_KEY
from hullmark.model.records import LeaderRecord
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put
from tests.unit.masterd.leading import ALICE, app, no_digest, prepared_store, request

TTL_S = 0.6


class Cuttable:
    """One master's way to the store; cut, nothing comes through. `holds`: what is sent while it is there waits for it.
    `keeps`: the next pulse alone waits for it, and is lost."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.cut = self.refusing = False
        self.holds: Optional[threading.Event] = None
        self.keeps: Optional[threading.Event] = None

    def __getattr__(self, name: str):
        def call(*arguments):
            if self.cut:
                raise StoreUnavailable("the cable is cut")
            if self.refusing:
                raise Forbidden("etcd refuses: authentication failed")
            pulses = name == "commit" and arguments[1][0].key == PULSE_KEY
            if self.holds is not None and pulses:
                held, self.holds, self.cut = self.holds, None, True
                held.wait(10.0)
                return getattr(self._store, name)(*arguments)
            if self.keeps is not None and pulses:
                kept, self.keeps = self.keeps, None
                kept.wait(10.0)
                raise OutcomeUnknown("no answer in time")
            return getattr(self._store, name)(*arguments)

        return call


def master(store, name: str) -> Cluster:
    return Cluster(
        store,
        name,
        f"{name}:7441",
        Settings(
            shared=True,
            leader_ttl_s=TTL_S,
            store_name="etcd",
            agents_urls=(f"https://{name}:7441",),
            api_urls=(f"https://{name}:7442",),
        ),
        check=lambda app: (),
        shown=lambda app: {"name": app.name},
    )


async def eventually(condition: Callable[[], bool], what: str, within_s: float = 15.0) -> float:
    clock = asyncio.get_running_loop().time
    began = clock()
    while not condition():
        assert clock() - began < within_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.005)
    return clock() - began


def pair(test: Callable[[Cluster, Cluster, Cuttable], Awaitable[None]]) -> None:
    """Run a test with m1, which leads, and m2, which follows it; m1's way to the store can be cut."""

    async def run() -> None:
        store = prepared_store()
        way = Cuttable(store)
        first, second = master(way, "m1"), master(store, "m2")
        await first.start()
        await eventually(lambda: first.is_leader, "m1 leads")
        await second.start()
        await eventually(lambda: second.why_not == "m1 leads", "m2 follows")
        await eventually(lambda: len(second.masters()) == 2, "m2 sees both")
        try:
            await test(first, second, way)
        finally:
            way.cut = False
            await second.stop()
            await first.stop()

    asyncio.run(run())


def test_a_standby_says_who_leads_and_changes_nothing() -> None:
    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        assert (first.role, second.role) == ("leader", "standby")
        assert second.leader_seen == first.leader_record
        assert second.read_only == ""
        assert second.agents_urls() == ("https://m2:7441", "https://m1:7441")
        with pytest.raises(StaleEpoch, match="m1 leads"):
            await second.step_down("asked")
        await asyncio.sleep(TTL_S * 2)
        assert first.is_leader, "pulses keep it"

    pair(test)


def test_a_leader_that_steps_down_is_followed_at_once_and_goes_on_as_standby() -> None:
    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        await first.apply(request(app(), "r1"), ALICE, no_digest)
        await first.step_down("asked")
        assert await eventually(lambda: second.is_leader, "m2 leads") < 0.5
        assert second.leader_record.epoch == Epoch(1, 2)
        answer = await second.apply(request(app(), "r1"), ALICE, no_digest)
        assert answer.generation == 1, "the same request has the same answer"
        await eventually(lambda: first.why_not == "m2 leads", "m1 follows")
        assert first.app_list().apps[0].name == "shop"
        told = {event.kind: event.message for event in second.events().events}
        assert told["master.stopped"] == "epoch 1.1: asked"
        await second.step_down("and back")
        await eventually(lambda: first.is_leader, "m1 leads again")

    pair(test)


def test_a_leader_that_lost_the_store_stops_by_itself_and_shows_what_it_knew() -> None:
    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        await first.apply(request(app(), "r1"), ALICE, no_digest)
        way.cut = True
        await eventually(lambda: not first.is_leader, "m1 stops")
        await eventually(lambda: second.is_leader, "m2 leads")
        await eventually(lambda: first.role == "read-only", "m1 is read-only")
        assert "cable" in first.read_only
        assert first.readable
        assert first.stale_s > 0
        assert first.app_list().apps[0].name == "shop"
        with pytest.raises((StaleEpoch, StoreUnavailable)):
            await first.apply(request(app(image="web:2"), "r2"), ALICE, no_digest)
        way.cut = False
        await eventually(lambda: first.role == "standby", "m1 follows")
        assert first.why_not == "m2 leads"

    pair(test)


def test_a_leader_whose_record_is_another_s_writes_nothing_more() -> None:
    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        usurper = LeaderRecord(Epoch(1, 9), "m3", "elsewhere", 0.0, "ffff")
        way._store.commit([], [Put(LEADER_KEY, encode(usurper))])
        with pytest.raises(StaleEpoch):
            await first.apply(request(app(), "r1"), ALICE, no_digest)
        # m3 shows no life: one of the two follows it, with a later term.
        leaders = [first, second]
        await eventually(lambda: any(one.is_leader for one in leaders), "somebody leads")
        leader: Optional[Cluster] = next(one for one in leaders if one.is_leader)
        assert leader is not None
        assert leader.leader_record.epoch == Epoch(1, 10)

    pair(test)


def test_a_leader_that_hears_far_fewer_hosts_than_its_standby_hands_over() -> None:
    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        for name in ("h1", "h2", "h3"):
            second.knocked(name)
        second.knocked("")
        assert second._hears() == 3
        first._bureau.term.began_at -= 60.0
        await eventually(lambda: second.is_leader, "m2 leads", 8.0)

    pair(test)


def alone(test: Callable[[Cluster, Cuttable], Awaitable[None]]) -> None:
    """Run a test with m1, which leads, and no other."""

    async def run() -> None:
        way = Cuttable(prepared_store())
        only = master(way, "m1")
        await only.start()
        await eventually(lambda: only.is_leader, "m1 leads")
        try:
            await test(only, way)
        finally:
            await only.stop()

    asyncio.run(run())


def test_a_late_answer_of_a_former_term_does_not_end_a_later_one() -> None:
    async def test(only: Cluster, way: Cuttable) -> None:
        held = threading.Event()
        way.holds = held
        await eventually(lambda: way.cut, "a pulse is held, and nothing else gets through")
        await eventually(lambda: not only.is_leader, "its deadline passes")
        way.cut = False
        await eventually(lambda: only.is_leader, "it leads again")
        epoch = only.leader_record.epoch
        held.set()  # the pulse of the term before is refused only now
        await asyncio.sleep(TTL_S / 2)
        assert only.is_leader
        assert only.leader_record.epoch == epoch

    alone(test)


def test_a_pulse_that_one_member_of_the_store_keeps_is_sent_again() -> None:
    """Else each leader whose member falls silent would lose the lead."""

    async def test(only: Cluster, way: Cuttable) -> None:
        epoch, held = only.leader_record.epoch, threading.Event()
        way.keeps = held
        await eventually(lambda: way.keeps is None, "a pulse is kept")
        await asyncio.sleep(TTL_S * 1.5)
        held.set()
        assert only.is_leader
        assert only.leader_record.epoch == epoch

    alone(test)


def test_a_standby_that_the_store_refused_for_a_while_follows_again() -> None:
    """As while etcd's password is changed on one side only."""

    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        await first.step_down("a test")
        await eventually(lambda: second.is_leader and first.why_not == "m2 leads", "m2 leads")
        way.refusing = True
        await asyncio.sleep(0.1)
        await second.apply(request(app("early"), "r-early"), ALICE, no_digest)
        await asyncio.sleep(0.1)  # what waited already has it, and asks anew
        await second.apply(request(app("late"), "r-late"), ALICE, no_digest)
        await asyncio.sleep(0.1)
        way.refusing = False
        await eventually(lambda: "late" in first.snapshot().apps, "m1 knows the app")

    pair(test)


@pytest.mark.parametrize("leads", [True, False])
def test_a_loop_of_the_election_that_failed_is_told(leads: bool) -> None:
    """A master that could never lead again must not look like a standby."""

    async def test(first: Cluster, second: Cluster, way: Cuttable) -> None:
        broken = first if leads else second
        lost = asyncio.ensure_future(broken.lost())
        await asyncio.sleep(0.05)
        assert not lost.done()
        broken.turned.append(fails)
        other = second if leads else first
        if leads:
            with contextlib.suppress(ZeroDivisionError):
                await broken.step_down("a test")
        else:
            await other.step_down("a test")
        assert "failed" in await asyncio.wait_for(lost, 5.0)

    pair(test)


def fails() -> None:
    raise ZeroDivisionError
