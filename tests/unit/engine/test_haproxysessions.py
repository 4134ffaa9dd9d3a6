"""What HAProxy says of open connections, as 2.6.12 and 3.0.11 do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from hullmark.engine.haproxyruntime import Processes
from hullmark.engine.haproxysessions import (
    AT_ONCE,
    calls_in,
    connections_in,
    connections_of,
    end,
    seen_in,
)
from hullmark.model.proxyconnection import Connection

THERE, THIRD = "b" * 32, "c" * 32
TAIL = "ts=00 epoch=0 age=0s calls=2 rate=2 cpu=0 lat=0 rq[f=808000h,i=0,an=00h] rp[f=80008000h]"
SHOW_SESS = f"""\
0x55a1619c21c0: proto=tcpv4 src=172.22.0.2:58440 fe=ask:shop:db:5432 be=svc:shop:db:5432 srv=1-g3-abcdef-10.0.0.1 {TAIL}
0x7fe3f1ffc800: proto=tcpv4 src=192.0.2.2:34450 fe=tls be=own:shop:db:5432 srv=<none> {TAIL}
0x55a161ad9b20: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> {TAIL}
"""
ASKED = Connection(
    0,
    "0x55a1619c21c0",
    "ask:shop:db:5432",
    "svc:shop:db:5432",
    "172.22.0.2:58440",
    "1-g3-abcdef-10.0.0.1",
)
CAME = Connection(0, "0x7fe3f1ffc800", "tls", "own:shop:db:5432", "192.0.2.2:34450", "<none>")
SHOW_TABLE = f"""\
# table: calls, type: string, size:20000, used:2
0x55a16192d610: key={THERE}/17/192.0.2.2:34450 use=1 exp=4496
0x7fe3f1fc88c0: key={THIRD}/18/192.0.2.3:34450 use=1 exp=4497 shard=0
0x7fe3f1fc8990: key={THIRD}/16/192.0.2.3:34449 use=0 exp=97 shard=0
"""


def whole(key: str, number: int, place: str, frontend: str) -> str:
    return f"""\
{key}: [29/Nov/2026:23:40:48.162783] id={number} proto=tcpv4 source={place}
  flags=0x4a, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=0x55a1618fa350, pend_pos=(nil) waiting=0 epoch=0
  frontend={frontend} (id=2 mode=tcp), listener=? (id=1) addr=127.0.0.1:18080
  backend=svc:shop:web:80 (id=5 mode=tcp) addr=127.0.0.1:55632
"""


ASKED_WHOLE = whole(ASKED.key, 7, ASKED.place, ASKED.frontend)
CAME_WHOLE = whole(CAME.key, 17, CAME.place, CAME.frontend)
NONE = "No such session (use 'show sess').\n"


class FakeSockets:
    """`answers` by the first words of a command; what is asked for is kept."""

    def __init__(self, answers: dict[str, str], former: tuple[int, ...] = ()) -> None:
        self.answers = answers
        self.former = former
        self.asked: list[tuple[int, str]] = []

    def processes(self) -> Processes:
        return Processes(1, 2, self.former)

    def tell_worker(self, worker: int, command: str) -> str:
        self.asked.append((worker, command))
        return self.answers.get(command, "")

    def tell_all(self, worker: int, commands: Sequence[str]) -> str:
        return "\n".join(self.tell_worker(worker, one) for one in commands)


def told(**answers: str) -> FakeSockets:
    given = {"show sess": SHOW_SESS, "show table calls": SHOW_TABLE}
    looks = {f"show sess {ASKED.key}": ASKED_WHOLE, f"show sess {CAME.key}": CAME_WHOLE}
    return FakeSockets({**given, **looks, **answers})


def found(sockets: FakeSockets, *hosts: str) -> list[Connection]:
    return list(connections_of(cast(Any, sockets), hosts))


def test_what_is_open_is_read() -> None:
    assert list(connections_in(SHOW_SESS)) == [ASKED, CAME]
    assert calls_in(SHOW_TABLE) == {
        "17": (THERE, "192.0.2.2:34450"),
        "18": (THIRD, "192.0.2.3:34450"),
    }, "one that has ended is in the table for a moment"
    assert seen_in(f"\n{ASKED_WHOLE}\n{NONE}\n{CAME_WHOLE}")[CAME.key] == Connection(
        0, CAME.key, "tls", "", CAME.place, number="17"
    )


def test_whose_a_connection_is_is_asked_only_where_it_may_be_nobodys() -> None:
    sockets = told()
    assert found(sockets, THERE, THIRD) == [ASKED, CAME]
    assert [command for _, command in sockets.asked] == ["show sess", "show table calls"]
    (_, came) = found(sockets, THIRD)
    assert (came.host, came.number) == (THERE, "17")
    (_, came) = found(sockets, THERE)
    assert (came.host, came.number) == ("", ""), "another one is that host's"


def test_those_from_the_same_place_are_looked_at_first_and_then_no_more() -> None:
    others = [
        replace(CAME, key=f"0x{number:x}", place=f"192.0.2.9:{number}") for number in range(200)
    ]
    lines = "".join(
        f"{one.key}: proto=tcpv4 src={one.place} fe=tls be=own:shop:db:5432 srv=<none> {TAIL}\n"
        for one in others
    )
    sockets = told(**{"show sess": lines + SHOW_SESS})
    hosts = {one.host for one in found(sockets, THIRD)}
    assert hosts == {"", THERE}
    looks = [command for _, command in sockets.asked if command.startswith("show sess 0x")]
    assert looks[0] == f"show sess {CAME.key}"
    assert len(looks) == AT_ONCE


def test_one_that_is_told_to_come_from_elsewhere_is_found_all_the_same() -> None:
    elsewhere = replace(CAME, place="198.51.100.7:1")
    sess = SHOW_SESS.replace(CAME.place, elsewhere.place)
    look = whole(CAME.key, 17, elsewhere.place, "tls")
    sockets = told(**{"show sess": sess, f"show sess {CAME.key}": look})
    assert found(sockets, THIRD)[1].host == THERE


def test_former_workers_are_asked_too() -> None:
    sockets = FakeSockets(told().answers, (41, 42))
    assert [one.worker for one in found(sockets, THERE, THIRD)] == [0, 0, 41, 41, 42, 42]


def test_what_is_another_by_now_is_not_ended() -> None:
    """The same place in memory, a moment later."""
    came = replace(CAME, host=THERE, number="17")
    begin = ("show sess", "shutdown session")
    for look, is_ended in (
        (CAME_WHOLE, True),
        (whole(CAME.key, 18, CAME.place, "tls"), False),
        (whole(CAME.key, 17, "192.0.2.3:34450", "tls"), False),
        (whole(CAME.key, 17, CAME.place, "svc:shop:db:5432"), False),
        (NONE, False),
    ):
        sockets = told(**{f"show sess {CAME.key}": look})
        assert list(end(cast(Any, sockets), [came])) == ([came] if is_ended else [])
        ended = [(0, f"{words} {CAME.key}") for words in begin[: 1 + is_ended]]
        assert sockets.asked == ended


def test_each_is_ended_in_the_worker_that_has_it() -> None:
    sockets = told()
    many = [replace(ASKED, worker=worker) for worker in (0, 41) for _ in range(60)]
    assert len(list(end(cast(Any, sockets), many))) == 120
    ended = [worker for worker, words in sockets.asked if words.startswith("shutdown")]
    assert (ended.count(0), ended.count(41)) == (60, 60)
