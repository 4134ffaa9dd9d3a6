"""What HAProxy answers, as 2.6.12 does."""

from __future__ import annotations

import os
from pathlib import Path

from hullmark.engine.haproxyabilities import abilities_of
from hullmark.engine.haproxyprocess import replaced, started_at
from hullmark.engine.haproxyruntime import Processes, Running, changes_of, entries_in, processes_in
from hullmark.engine.haproxytraffic import (
    containers_of,
    member_of,
    peers_of,
    short_of,
    strangers_of,
    traffic_of,
)
from hullmark.engine.haproxytuning import server_commands
from hullmark.model.directory import ServiceName
from hullmark.model.proxy import ContainerLook, ContainerPort, Down, PeerLook, PortTraffic

SHOW_PROC = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
6278            master          2 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u3
# workers
6284            worker          0               0d00h00m01s     2.6.12-1+deb12u3
# old workers
6270            worker          1               0d00h00m09s     2.6.12-1+deb12u3
6271            worker          2               0d00h00m09s     2.6.12-1+deb12u3
# programs

"""
CHECKED = "10.0.0.2:80 check inter 1h"
CALLED = "192.0.2.2:7443 ssl verify required track peer/b"


SHOW_PROC_2_4 = """\
#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>
20077           master          0               1               0d00h00m02s     2.4.30-0ubuntu0.22.04.4
# workers
20450           worker          1               0               0d00h00m00s     2.4.30-0ubuntu0.22.04.4
# old workers
20086           worker          [was: 1]        1               0d00h00m02s     2.4.30-0ubuntu0.22.04.4
# programs

"""


def test_processes_are_told_apart() -> None:
    assert processes_in(SHOW_PROC) == Processes(6278, 6284, (6270, 6271), 1)
    assert processes_in(SHOW_PROC_2_4) == Processes(20077, 20450, (20086,))
    assert processes_in("") == Processes()


def test_tables_are_read_and_what_ended_goes_first() -> None:
    assert entries_in("0x55d1 a@b own:x\n0x55d2 1.2.3.4@c/d\n") == {
        "a@b": "own:x",
        "1.2.3.4@c/d": "",
    }
    assert entries_in("Unknown map identifier. Please use #<id> or <file>.\n") == {}
    table = Path("/f/admissions.map")
    assert list(changes_of(table, "map", {"a": "1", "b": "2"}, {"b": "3", "c": "4"})) == [
        "del map /f/admissions.map a",
        "del map /f/admissions.map b",
        "add map /f/admissions.map b 3",
        "add map /f/admissions.map c 4",
    ]
    assert list(changes_of(table, "acl", {}, {"x": ""})) == ["add acl /f/admissions.map x"]


def test_servers_come_before_others_go() -> None:
    running = {"svc:a:b:1": {"old": Running(1, False), "kept": Running(1, False)}}
    wanted = {"svc:a:b:1": {"kept": (CHECKED, 0), "new": (CHECKED, 1), "peer": (CALLED, 2)}}
    assert list(server_commands(running, wanted)) == [
        "set server svc:a:b:1/kept weight 0",
        "add server svc:a:b:1/new 10.0.0.2:80 check inter 1h weight 1",
        "enable health svc:a:b:1/new",
        "enable server svc:a:b:1/new",
        "add server svc:a:b:1/peer 192.0.2.2:7443 ssl verify required track peer/b weight 2",
        "enable server svc:a:b:1/peer",
        "disable server svc:a:b:1/old",
        "del server svc:a:b:1/old",
    ]


def test_a_version_that_takes_none_gives_nothing_to_those_that_are_to_go() -> None:
    running = {"svc:a:b:1": {"old": Running(1, False), "kept": Running(1, True)}}
    wanted = {"svc:a:b:1": {"kept": (CHECKED, 1)}}
    old = abilities_of("HAProxy version 2.4.22-f8e3218 2023/02/14")
    assert list(server_commands(running, wanted, old)) == [
        "enable server svc:a:b:1/kept",
        "disable server svc:a:b:1/old",
    ]


def test_a_version_that_takes_none_is_told_where_one_is_now_and_waits_for_those_that_serve() -> (
    None
):
    old = abilities_of("HAProxy version 2.4.22-f8e3218 2023/02/14")
    running = {"svc:a:b:1": {"one-": Running(1, False, "10.0.0.1")}}
    wanted = {"svc:a:b:1": {"one-": (CHECKED, 1), "weak-": (CHECKED, 0)}}
    assert list(server_commands(running, wanted, old)) == [
        "set server svc:a:b:1/one- addr 10.0.0.2"
    ]
    same = {"svc:a:b:1": {"one-": ("[2001:db8::2]:80 check", 1)}}
    running = {"svc:a:b:1": {"one-": Running(1, False, "2001:db8:0::2")}}
    assert list(server_commands(running, same, old)) == []


def test_a_server_with_connections_is_asked_for_again_until_it_goes() -> None:
    running = {"svc:a:b:1": {"old": Running(1, True)}, "peer": {"b": Running(1, False)}}
    assert list(server_commands(running, {"svc:a:b:1": {}})) == ["del server svc:a:b:1/old"]
    wanted = {"svc:a:b:1": {"old": (CHECKED, 1)}}
    assert list(server_commands(running, wanted)) == ["enable server svc:a:b:1/old"]


def row(backend: str, server: str, kind: str, **columns: object) -> dict[str, str]:
    found = {"pxname": backend, "svname": server, "type": kind, "status": "UP", "check_status": ""}
    return {**found, **{key: str(value) for key, value in columns.items()}}


def test_traffic_is_told_by_service_and_port() -> None:
    host = "b" * 32
    rows = [
        row("svc:shop:web:80", "FRONTEND", "0", scur=1, stot=5, bin=10, bout=20, dreq=0),
        row("ask:shop:web:80", "FRONTEND", "0", scur=0, stot=3, bin=1, bout=2, dreq=1, dses=1),
        row("svc:shop:web:80", "BACKEND", "1", qtime=3, ctime=4, wretr=5, wredis=6, econ=7),
        row(
            "svc:shop:web:80",
            "2-g7-abc-10.0.0.2",
            "2",
            weight=1,
            status="DOWN",
            check_status="* L4CON",
        ),
        row("svc:shop:web:80", "1-g7-abd-10.0.0.3", "2", weight=1, status="UP 1/2"),
        row("svc:shop:web:80", "3-g7-abe-10.0.0.4", "2", weight=0, status="DRAIN"),
        row("svc:shop:web:80", f"{host}-192.0.2.2-7443", "2", weight=1, status="DOWN"),
        row("peer", f"{host}-192.0.2.2-7443", "2", weight=1, status="DOWN", check_status="L4TOUT"),
        row("tls", "FRONTEND", "0", stot=9),
    ]
    assert traffic_of(rows, {"svc:shop:web:80": "10.214.0.1"}) == (
        PortTraffic(
            ServiceName("shop", "web"),
            80,
            "10.214.0.1",
            up=1,
            members=3,
            open=1,
            connections=8,
            bytes_in=11,
            bytes_out=22,
            queue_ms=3,
            connect_ms=4,
            retries=5,
            redispatches=6,
            errors=7,
            refused=2,
            down=(Down(host, "L4TOUT"), Down("shop.web.2.g7", "L4CON")),
        ),
    )


def test_strangers_are_those_that_came_to_no_session() -> None:
    """Whichever HAProxy knows more of: handshakes that failed, or all that came and neither were let in nor are open now."""
    others = [row("svc:shop:web:80", "FRONTEND", "0", conn_tot=99), row("tls", "BACKEND", "1")]
    assert strangers_of(others) == 0
    counts = {"conn_tot": 50, "stot": 20, "scur": 4}
    assert strangers_of([*others, row("tls", "FRONTEND", "0", **counts)]) == 26
    many = {**counts, "ssl_failed_handshake": 29}
    assert strangers_of([*others, row("tls", "FRONTEND", "0", **many)]) == 29
    none = {"conn_tot": 20, "stot": 20, "scur": 4, "ssl_failed_handshake": 0}
    assert strangers_of([row("tls", "FRONTEND", "0", **none)]) == 0


def test_a_server_is_a_container_or_a_host() -> None:
    assert member_of("svc:shop:web:80", "12-g3-abc-10.0.0.2") == "shop.web.12.g3"
    assert member_of("svc:shop:web:80", "12ab-192.0.2.2-7443") == "12ab"


MAPS = """\
55d0-55d1 r-xp 00000000 fe:01 1 /usr/sbin/haproxy (deleted)
7f00-7f01 r-xp 00000000 fe:01 2 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f02-7f03 rw-s 00000000 00:01 3 /dev/zero (deleted)
7f04-7f05 r-xp 00000000 fe:01 4 /usr/lib/x86_64-linux-gnu/libc.so.6
"""


def test_when_a_process_began_is_no_matter_of_the_clock(tmp_path: Path) -> None:
    """A clock that was set right made another process of the same one, and an outage of that."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/stat").write_text(
        f"7 (ha) proxy)) S {' '.join(map(str, range(4, 22)))} 3141592 0 0"
    )
    assert started_at(7, tmp_path) == 3141592.0
    assert (started_at(8, tmp_path), started_at(0, tmp_path)) == (0.0, 0.0)
    assert started_at(os.getpid()) > 0


def test_a_replaced_program_or_library_is_seen(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/maps").write_text(MAPS)
    found = replaced([7, 8], tmp_path)
    assert found == ("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/sbin/haproxy")


def test_a_host_answers_or_not_once_that_is_settled() -> None:
    looks = [
        ("UP", "L7OK", True),
        ("UP", "* L7OK", True),
        ("DOWN", "* L4TOUT", False),
        ("UP", "* INI", None),  # a worker that began
        ("UP 2/3", "L4TOUT", None),
    ]
    rows = [
        row(
            "peer", f"h{number}-192.0.2.2-7443", "2", status=status, check_status=came_to, lastchg=9
        )
        for number, (status, came_to, _) in enumerate(looks)
    ]
    others = [row("svc:shop:web:80", "h9-192.0.2.2-7443", "2", status="DOWN")]
    assert peers_of([*rows, *others]) == tuple(
        PeerLook(f"h{number}", answers, 9, came_to.lstrip("* "))
        for number, (_, came_to, answers) in enumerate(looks)
    )


def test_a_container_answers_or_not_where_it_may_be_given_connections() -> None:
    backend = "svc:shop:web:80"

    def server(name: str, status: str, **columns: object) -> dict[str, str]:
        return row(backend, name, "2", **{"weight": 1, "status": status, **columns})

    rows = [
        row(backend, "BACKEND", "1", act=1, status="UP"),
        server("1-g2-abc-10.0.0.2", "DOWN", check_status="L4CON"),
        server("2-g2-abd-10.0.0.3", "UP", check_status="* L4OK"),
        server("3-g2-abe-10.0.0.4", "UP 1/2", check_status="L4CON"),
        server("4-g2-abf-10.0.0.5", "DOWN", check_status="L4CON", weight=0),
        server("5-g2-aba-10.0.0.6", "MAINT", check_status="L4CON"),
        server("h2-192.0.2.2-7443", "DOWN (via peer/h2)", check_status=""),
    ]
    assert containers_of(rows) == (
        ContainerLook(ContainerPort("shop.web.1.g2", 80), False, "L4CON"),
        ContainerLook(ContainerPort("shop.web.2.g2", 80), True, "L4OK"),
        ContainerLook(ContainerPort("shop.web.3.g2", 80), None, "L4CON"),
    )
    assert short_of(rows[:1], {backend: 2}) == [backend]
    assert short_of(rows[:1], {backend: 1}) == []
