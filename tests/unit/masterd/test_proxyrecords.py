"""What a leader keeps of hosts' proxies: when it is written, when not, and what the next leader makes of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence

import pytest

from hullmark.errors import StaleEpoch, StoreUnavailable
from hullmark.masterd import proxyrecords
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.directories import AWAY_S, Directories
from hullmark.masterd.proxyrecords import ProxyRecords
from hullmark.masterd.view import decode
from hullmark.model.app import App, Network
from hullmark.model.hostlife import RemoveHostRequest
from hullmark.model.names import PROXIES
from hullmark.model.observed import HostProblem, Phase
from hullmark.model.records import ProxyRecord
from hullmark.model.snapshotfile import is_kept
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import MAX_OPERATIONS, Committed, Compare, Put, Store, Write
from tests.unit.masterd.leading import (
    ALICE,
    FACTS,
    cluster_on,
    enroll,
    lead,
    no_digest,
    prepared_store,
    request,
    until,
)
from tests.unit.masterd.test_directories import Proxied, hosts_of, service

SHOP = App("shop", {"web": service(2), "db": service(1)}, {"default": Network()})


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept but by a test."""
    monkeypatch.setattr(proxyrecords, "EVERY_S", 3600.0)


def kept(store: Store) -> dict[str, ProxyRecord]:
    """By host id, as the store has them."""
    entries = store.list(PROXIES).entries
    return {each.key[len(PROXIES) :]: decode(ProxyRecord, each.key, each.value) for each in entries}


async def shop_on_two(cluster: Cluster) -> tuple[Proxied, Proxied]:
    """Of two hosts that serve shop/web, the one that serves shop/db, and the other."""
    agents = await hosts_of(cluster, 2)
    await cluster.apply(request(SHOP, "r1"), ALICE, no_digest)
    for agent in agents:
        await agent.settle()
    serves, other = sorted(agents, key=lambda agent: -len(serving(agent)))
    await until(cluster, lambda: elsewhere(cluster, other) == {serves.host_id: 1}, "it serves")
    return serves, other


def serving(agent: Proxied) -> tuple[str, ...]:
    """Names of its containers, in order."""
    return tuple(sorted(agent.picture.state.instances))


def elsewhere(cluster: Cluster, agent: Proxied) -> dict[str, int]:
    """On which other hosts the agent is told that shop/db serves."""
    table = cluster.directories.table
    if table is None or agent.host_id not in table:
        return {}
    entries = [one for one in table[agent.host_id].services if one.name.service == "db"]
    return {share.host_id: share.serving for entry in entries for share in entry.elsewhere}


def run_of(
    test: Callable[[Cluster, ProxyRecords], Awaitable[None]],
) -> Callable[[Cluster], Awaitable[None]]:
    async def run(cluster: Cluster) -> None:
        await test(cluster, ProxyRecords(cluster._term, cluster.directories))

    return run


def test_kept_is_what_hosts_are_told_and_written_only_where_that_changes() -> None:
    store = prepared_store()

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        serves, other = await shop_on_two(cluster)
        assert await records.keep() == 2
        for agent, number in ((serves, 2), (other, 1)):
            assert len(serving(agent)) == number
            record = ProxyRecord(agent.facts.proxy_address, 7443, serving(agent))
            assert kept(store)[agent.host_id] == record
        assert await records.keep() == 0
        revision = store.list(PROXIES).revision
        for number in range(3):
            problem = HostProblem("code", f"something else {number}")
            await serves.report(serves.picture.state.instances, problems=(problem,))
            assert await records.keep() == 0
        assert store.list(PROXIES).revision == revision, "nothing of it is news"
        for phase, number in ((Phase.BACKOFF, 1), (Phase.RUNNING, 2)):
            await serves.obey(db=phase)
            assert await records.keep() == 1
            assert len(kept(store)[serves.host_id].serving) == number

    lead(run_of(test), store)


def test_the_next_leader_knows_what_a_host_serves_that_it_never_hears() -> None:
    store = prepared_store()
    found: list[Proxied] = []

    async def first(cluster: Cluster, records: ProxyRecords) -> None:
        found.extend(await shop_on_two(cluster))
        await records.keep()

    lead(run_of(first), store)
    assert followed(store, found) == {found[0].host_id: 1}
    for key in list(kept(store)):
        store.commit([], [Put(PROXIES + key, b'{"address":"","port":0}')])
    assert followed(store, found) == {}, "else it was not by the record"


def followed(store: Store, agents: list[Proxied]) -> dict[str, int]:
    """What the second host is told by the next leader, which hears nothing of the first, once that is lost."""
    told: dict[str, int] = {}

    async def run() -> None:
        cluster = cluster_on(store, lost_after_s=0.6, silent_after_s=0.5)
        await cluster.start()
        try:
            agent = Proxied(cluster, number_of(agents[1]))
            await agent.begin()
            await agent.obey()
            while cluster.directories.table is None:
                cluster.heard(agent.host_id, agent.run)
                await asyncio.sleep(0.05)
            told.update(elsewhere(cluster, agent))
        finally:
            await cluster.stop()

    asyncio.run(asyncio.wait_for(run(), 10))
    return told


def number_of(agent: Proxied) -> int:
    return int(agent.host_id[len("id-h") :])


def test_a_record_stays_until_its_host_reports_and_then_follows_it() -> None:
    """It came back, and nothing of what it served runs any more."""
    store = prepared_store()
    found: list[Proxied] = []

    async def first(cluster: Cluster, records: ProxyRecords) -> None:
        found.extend(await shop_on_two(cluster))
        await records.keep()

    async def second(cluster: Cluster, records: ProxyRecords) -> None:
        before = kept(store)
        assert await records.keep() == 0
        late, early = (Proxied(cluster, number_of(each)) for each in found)
        await early.begin()
        await early.obey()
        assert await records.keep() == 0
        await late.begin()
        await until(cluster, lambda: cluster.directories.table is not None, "both reported")
        assert await records.keep() == 1
        after = kept(store)
        assert after[late.host_id] == dataclasses.replace(before[late.host_id], serving=())
        assert after[early.host_id] == before[early.host_id]

    for test in (first, second):
        lead(run_of(test), store)


def test_what_a_removed_host_left_goes_with_it() -> None:
    store = prepared_store()

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        serves, other = await shop_on_two(cluster)
        await records.keep()
        change = dataclasses.replace(ALICE, request_id="r9")
        name = serves.host_id[len("id-") :]
        await cluster.hostlife.remove(name, RemoveHostRequest("r9", force=True), change)
        assert await records.keep() == 1
        assert kept(store).keys() == {other.host_id}

    lead(run_of(test), store)


def test_what_a_removed_host_left_goes_also_where_it_can_not_be_read() -> None:
    store = prepared_store()

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        serves, _ = await shop_on_two(cluster)
        await records.keep()
        view = cluster._term.view
        store.commit([], [Put(PROXIES + "id-gone", b"{")])
        await until(cluster, lambda: view.modified(PROXIES + "id-gone") > 0, "it is seen")
        assert await records.keep() == 1
        assert PROXIES + "id-gone" not in keys_of(store)
        assert PROXIES + serves.host_id in keys_of(store)
        assert await records.keep() == 0

    lead(run_of(test), store)


def keys_of(store: Store) -> set[str]:
    return {each.key for each in store.list(PROXIES).entries}


def test_a_proxy_that_stays_away_is_kept_no_longer_than_hosts_are_told_of_it() -> None:
    store = prepared_store()

    async def test(cluster: Cluster, _: ProxyRecords) -> None:
        serves, other = await shop_on_two(cluster)
        now = 1000.0
        told = Directories(cluster._term, lambda: now)
        records = ProxyRecords(cluster._term, told)
        assert await records.keep() == 0, "hosts are told nothing yet"
        await told.make()
        assert await records.keep() == 2
        serves.facts = FACTS
        await serves.report(serves.picture.state.instances, full=True)
        for later, left in ((AWAY_S - 1, {serves.host_id, other.host_id}), (2, {other.host_id})):
            now += later
            await told.make()
            await records.keep()
            assert kept(store).keys() == left

    lead(run_of(test), store)


def test_a_proxy_that_is_away_while_the_leader_changes_has_its_time_under_the_next() -> None:
    store = prepared_store()
    found: list[Proxied] = []

    async def first(cluster: Cluster, records: ProxyRecords) -> None:
        found.extend(await shop_on_two(cluster))
        await records.keep()

    async def second(cluster: Cluster) -> None:
        agents = [Proxied(cluster, number_of(each)) for each in found]
        agents[0].facts = FACTS
        for agent in agents:
            await agent.begin()
            await agent.settle()
        now = 1000.0
        told = Directories(cluster._term, lambda: now)
        for later, places in ((0.0, 2), (AWAY_S - 1, 2), (2.0, 1)):
            now += later
            await told.make()
            assert len(told.proxies or ()) == places

    lead(run_of(first), store)
    lead(second, store)


def test_of_many_changes_those_that_wait_longest_are_kept_first() -> None:
    store, count = prepared_store(), MAX_OPERATIONS + 20

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        agents = []
        for number in range(1, count + 1):
            await enroll(cluster, f"h{number}", f"{number:064}")
            agents.append(Proxied(cluster, number))
            await agents[-1].begin()
        await until(cluster, lambda: len(cluster.directories.proxies or ()) == count, "all known")
        assert await records.keep() == MAX_OPERATIONS - 1
        early = kept(store).keys()
        for agent in agents:
            if agent.host_id in early:
                agent.facts = dataclasses.replace(agent.facts, proxy_port=8443)
                await agent.report({}, full=True)
        await cluster.directories.make()
        assert await records.keep() == MAX_OPERATIONS - 1
        assert len(kept(store)) == count, "no change of others comes before"
        while await records.keep():
            pass
        assert sum(record.port == 8443 for record in kept(store).values()) == len(early)

    lead(run_of(test), store)


def test_whoever_no_longer_leads_keeps_nothing() -> None:
    store = prepared_store()

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        serves, _ = await shop_on_two(cluster)
        await records.keep()
        before = kept(store)
        await serves.obey(db=Phase.BACKOFF)
        other = cluster_on(store)
        await other.start()
        try:
            with pytest.raises(StaleEpoch):
                await records.keep()
        finally:
            await other.stop()
        assert kept(store) == before

    lead(run_of(test), store)


class Faulty(MemoryStore):
    """A store that takes nothing of proxies while it is `away`, and counts what it was asked to take meanwhile."""

    away = False
    tries = 0

    def commit(self, compares: Sequence[Compare], writes: Sequence[Write]) -> Committed:
        if self.away and any(write.key.startswith(PROXIES) for write in writes):
            self.tries += 1
            raise StoreUnavailable("it is away")
        return super().commit(compares, writes)


class Heard:
    """In place of the log."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def warning(self, message: str, why: str) -> None:
        self.words.append(f"{message}: {why}")

    def info(self, message: str, tries: int) -> None:
        assert tries > 5
        self.words.append(message)


def test_a_store_that_is_away_for_a_while_has_it_later_and_both_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxyrecords, "EVERY_S", 0.02)
    away, over = "is not kept yet: it is away", "is kept again"
    heard = Heard()
    monkeypatch.setattr(proxyrecords, "_log", heard)
    store = Faulty()
    for entry in prepared_store().list("/").entries:
        store.commit([], [Put(entry.key, entry.value)])

    async def test(cluster: Cluster) -> None:
        serves, _ = await shop_on_two(cluster)
        await until(cluster, lambda: serves.host_id in kept(store), "it is kept first")
        store.away = True
        await serves.obey(web=Phase.BACKOFF, db=Phase.BACKOFF)
        await until(cluster, lambda: store.tries > 5, "it is tried again and again")
        assert heard.words == [f"what is known of proxies {away}"]
        store.away = False
        await until(cluster, lambda: kept(store)[serves.host_id].serving == (), "it is kept")
        await until(cluster, lambda: len(heard.words) > 1, "it is told")

    lead(test, store)
    assert heard.words == [f"what is known of proxies {word}" for word in (away, over)]


def test_a_record_of_a_newer_version_is_read_and_a_snapshot_has_it() -> None:
    text = b'{"address":"192.0.2.2","port":7443,"serving":["a.b.1.g1"],"weight":{"x":1}}'
    found = decode(ProxyRecord, PROXIES + "id-h2", text)
    assert found == ProxyRecord("192.0.2.2", 7443, ("a.b.1.g1",))
    assert decode(ProxyRecord, PROXIES, b'{"address":"192.0.2.2","port":7443}').serving == ()
    assert is_kept(PROXIES + "id-h2")


@pytest.mark.parametrize("text", [b'{"address":"192', b'{"address":1,"port":"x"}'])
def test_a_record_that_can_not_be_read_keeps_nobody_from_leading(text: bytes) -> None:
    store = prepared_store()

    async def test(cluster: Cluster, records: ProxyRecords) -> None:
        serves, _ = await shop_on_two(cluster)
        assert await records.keep() == 2
        key = PROXIES + serves.host_id
        store.commit([], [Put(key, text)])
        await until(cluster, lambda: serves.host_id not in cluster._term.view.proxies, "it is seen")
        assert await records.keep() == 1
        assert kept(store)[serves.host_id].serving == serving(serves)
        store.commit([], [Put(key, text)])

    async def following(cluster: Cluster, records: ProxyRecords) -> None:
        assert cluster.is_leader
        assert len(cluster._term.view.proxies) == 1

    lead(run_of(test), store)
    lead(run_of(following), store)
