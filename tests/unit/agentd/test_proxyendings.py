"""What becomes of open connections when a right to them is withdrawn: ended once, told once for each reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, Optional, cast

import pytest

from hullmark.agentd.outbox import Outbox
from hullmark.agentd.proxyendings import AGAIN_S, TOLD_MOST, Endings
from hullmark.errors import ProxyUnavailable
from hullmark.model.audit import Entry
from hullmark.model.proxyconnection import Connection
from tests.unit.core.proxyworld import DB_ENTRY, DIRECTORY, SIGHT, THERE, seen

NO_USE = seen(services=(DIRECTORY.services[0], replace(DB_ENTRY, users=())))
GONE = replace(NO_USE, directory=replace(NO_USE.directory, peers=()))
ASKING = Connection(0, "0x1", "ask:shop:db:5432", "svc:shop:db:5432", "172.22.0.2:4000")
OTHER = Connection(0, "0x2", "svc:shop:db:5432", "svc:shop:db:5432", "172.21.0.2:4000")


class FakeHaproxy:
    """`fails_after`: that many connections have ended then."""

    def __init__(self, *connections: Connection) -> None:
        self.open = list(connections)
        self.looks: list[Collection[str]] = []
        self.fails_after: Optional[int] = None

    def connections(self, hosts: Collection[str]) -> Iterator[Connection]:
        self.looks.append(hosts)
        return iter(tuple(self.open))

    def end(self, connections: Iterable[Connection]) -> Iterator[Connection]:
        for number, one in enumerate(connections):
            if number == self.fails_after:
                raise ProxyUnavailable("away")
            self.open.remove(one)
            yield one


class Bed:
    def __init__(self, *connections: Connection) -> None:
        self.haproxy = FakeHaproxy(*connections)
        self.records: list[Entry] = []
        self.outbox = Outbox("host box", lambda: None)
        self.now = 100.0
        self.endings = Endings(
            cast(Any, self.haproxy), self.records.append, self.outbox, lambda: self.now
        )

    @property
    def told(self) -> list[str]:
        return [one.reason for one in self.records]


def test_nothing_is_asked_where_nothing_was_withdrawn() -> None:
    bed = Bed(ASKING, OTHER)
    bed.endings.follow(SIGHT)
    assert len(bed.haproxy.looks) == 1, "once, for what was withdrawn before it began"
    bed.endings.follow(SIGHT)
    bed.endings.follow(seen(members=SIGHT.members[:2]))
    bed.endings.follow(seen(published=()))
    assert (len(bed.haproxy.looks), bed.haproxy.open, bed.told) == (1, [ASKING, OTHER], [])


def test_what_was_withdrawn_ends_and_is_told_in_one_line_for_each_reason() -> None:
    many = [replace(ASKING, key=f"0x{number}") for number in range(3, 100)]
    asked = replace(OTHER, server=f"{THERE}-192.0.2.2-7443")
    bed = Bed(*many, OTHER, asked)
    bed.endings.follow(SIGHT)
    bed.endings.follow(GONE)
    assert bed.haproxy.open == [OTHER]
    assert bed.told == [
        "97 open connections ended: zoo/web may no longer call shop/db",
        f"1 open connection ended: host {THERE} was removed from the cluster, and was called for shop/db",
    ]
    (first, second) = bed.records
    assert (first.kind, first.subject, first.fields) == (
        "proxy.ended",
        "proxy",
        {"connections": "97"},
    )
    assert [one.message for one in bed.outbox.peek()] == [first.reason, second.reason]


def test_an_agent_that_begins_ends_what_was_withdrawn_meanwhile() -> None:
    bed = Bed(ASKING, OTHER)
    bed.endings.follow(NO_USE)
    assert (bed.haproxy.open, len(bed.told)) == ([OTHER], 1)


def test_a_proxy_that_is_away_is_asked_again_and_what_did_end_is_told() -> None:
    bed = Bed(ASKING, replace(ASKING, key="0x3"))
    bed.endings.follow(SIGHT)
    bed.haproxy.fails_after = 1
    with pytest.raises(ProxyUnavailable):
        bed.endings.follow(NO_USE)
    assert [words.split()[0] for words in bed.told] == ["1"]
    bed.haproxy.fails_after = None
    bed.endings.follow(NO_USE)
    assert (bed.haproxy.open, [words.split()[0] for words in bed.told]) == ([], ["1", "1"])


def test_what_was_withdrawn_ends_though_not_all_is_in_force_and_again_once_it_is() -> None:
    bed = Bed(ASKING, OTHER)
    bed.endings.follow_withdrawn(SIGHT)
    bed.endings.follow(SIGHT)
    assert bed.haproxy.open == [ASKING, OTHER]
    bed.endings.follow_withdrawn(NO_USE)
    assert bed.haproxy.open == [OTHER]
    bed.haproxy.open.append(ASKING)  # by what could not be told
    bed.endings.follow(NO_USE)
    assert (bed.haproxy.open, len(bed.told)) == ([OTHER], 2)


def test_who_was_let_in_by_a_former_worker_a_moment_later_ends_too() -> None:
    bed = Bed(OTHER)
    bed.endings.follow(SIGHT)
    bed.endings.follow(NO_USE)
    bed.endings.follow(GONE)
    bed.haproxy.open += [ASKING, replace(OTHER, server=f"{THERE}-192.0.2.2-7443")]
    bed.endings.follow(GONE)
    assert len(bed.haproxy.looks) == 3
    bed.now += AGAIN_S
    bed.endings.follow(GONE)
    assert (bed.haproxy.open, len(bed.told)) == ([OTHER], 2)
    bed.now += AGAIN_S
    bed.endings.follow(GONE)
    assert len(bed.haproxy.looks) == 4, "that was all"


def test_many_reasons_are_summed_up() -> None:
    hosts = [f"{number:032x}" for number in range(TOLD_MOST + 5)]
    peers = tuple(replace(DIRECTORY.peers[0], host_id=host) for host in hosts)
    bed = Bed(*(replace(OTHER, server=f"{host}-192.0.2.2-7443") for host in hosts))
    bed.endings.follow(seen(peers=peers))
    bed.endings.follow(seen(peers=()))
    assert len(bed.told) == TOLD_MOST + 1
    assert bed.told[-1] == "5 open connections ended: 5 more of their kind"
