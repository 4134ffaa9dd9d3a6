"""Which ways a real proxy lets connections take: between containers, between hosts, from outside."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.engine import haproxyconfig
from hullmark.engine.haproxyconfig import HANDSHAKE_S, MOST_STRANGE, MOST_TOLD, TOLD_S
from hullmark.engine.haproxyruntime import SERVERS, Sockets
from hullmark.model.app import ClientAddress
from hullmark.model.directory import (
    Admission,
    Directory,
    OtherEntry,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.proxyplan import CHECK_LABEL, PEER, server_name_of
from hullmark.pki.authority import Authority, create_authority
from tests.cluster import wait_until
from tests.integration.proxyhosts import (
    ONE,
    PATIENCE_S,
    TWO,
    Container,
    Host,
    agent_pem,
    call_tls,
    get,
    is_echoing,
    proxy_header,
    proxy_pem,
    several,
    two_hosts,
    within,
)
from tests.load import Load
from tests.proxy import RANGE, abilities

THIRD = "c" * 32
WEB = ServiceName("shop", "web.v1")
SEEN = ServiceName("shop", "seen")
READ = ServiceName("shop", "read")
WEB_AT, SEEN_AT, READ_AT = "10.214.0.1", "10.214.0.2", "10.214.0.3"
CALLER = ServiceName("zoo", "caller")


class World:
    """Two hosts with an instance each of three services, which differ in how they learn who called, and on the first a caller: `friend` on
    their network, and `stranger` of another app."""

    def __init__(self, one: Host, two: Host, authority: Authority) -> None:
        self.one, self.two, self.authority = one, two, authority
        self.servers: dict[tuple[str, str], Container] = {}
        for host in (one, two):
            host.admit(authority)
            host.add_bridge("shop", "front", "br-front", "172.20.0.0/24")
            host.add_bridge("zoo", "default", "br-zoo", "172.21.0.0/24")
            for slot, name in enumerate((WEB, SEEN, READ), start=2):
                options = ("proxy",) if name == SEEN else ()
                made = host.add_container(
                    "shop", name.service, 1, *options, front=f"172.20.0.{slot}"
                )
                self.servers[host.host_id, name.service] = made
        self.friend = one.add_container("shop", "friend", 1, front="172.20.0.9")
        self.stranger = one.add_container("zoo", "caller", 1, default="172.21.0.9")
        self.apply()
        for host in (one, two):
            wait_until(host.is_well, f"all that {host.network.name} calls answer", 10)

    def apply(self, **changes: Any) -> None:
        for host in (self.one, self.two):
            host.apply(self.directory(host, **changes))

    def directory(
        self,
        host: Host,
        users: tuple[ServiceName, ...] = (),
        others: tuple[OtherEntry, ...] = (),
    ) -> Directory:
        other = self.two if host is self.one else self.one
        share = (Share(other.host_id, 1),)
        networks: dict[str, tuple[str, ...]] = {"front": ()}
        web = ServiceEntry(WEB, WEB_AT, (80,), share, networks, users)
        seen = ServiceEntry(SEEN, SEEN_AT, (80,), share, networks, users, ClientAddress.PROXY)
        read = ServiceEntry(READ, READ_AT, (80,), share, networks, users, ClientAddress.FORWARDED)
        admissions = tuple(Admission(other.host_id, name, ("out",)) for name in (WEB, SEEN, READ))
        published = tuple(
            PublishedEntry(port, "", name, 80)
            for port, name in ((8001, WEB), (8002, SEEN), (8003, READ))
        )
        return Directory(
            range=RANGE,
            addresses=(WEB_AT, SEEN_AT, READ_AT, *(one.address for one in others)),
            services=(web, seen, read),
            published=published,
            peers=(Peer(other.host_id, "other", other.address, 7443),),
            admissions=admissions,
            others=others,
        )

    def server(self, host: Host, name: ServiceName) -> Container:
        return self.servers[host.host_id, name.service]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    with two_hosts(tmp_path_factory.mktemp("pki")) as parts:
        yield World(*parts)


@pytest.fixture
def keys(tmp_path: Path, world: World) -> Path:
    """Of host two's proxy, as somebody has who is on that host."""
    path = tmp_path / "two.pem"
    path.write_bytes((world.two.proxy.folder / "proxy.pem").read_bytes())
    return path


def refused(call) -> None:
    with pytest.raises((OSError, ValueError)):
        call()


def test_a_service_address_reaches_containers_here_and_on_other_hosts(world: World) -> None:
    names = list(several(10, lambda: world.friend.get(WEB_AT, 80)))
    assert names == ["shop/web.v1.1"] * 10
    wait_until(lambda: len(counted(world.one, by="unknown")) == 10, "all are logged", 5)
    servers = [one["server"] for one in counted(world.one, by="unknown")]
    here = world.server(world.one, WEB).container_id[:12]
    assert sum(here in one for one in servers) == 5
    assert sum(one.startswith(TWO) for one in servers) == 5
    wait_until(lambda: len(counted(world.two)) == 5, "the other host logged its part", 5)


def counted(host: Host, by: str = ONE) -> list[dict[str, Any]]:
    """Connections to the web service in the host's log."""
    return host.proxy.records(subject="shop/web.v1", by=by, outcome="success")


def test_a_neighbour_that_routes_service_addresses_here_finds_nothing(world: World) -> None:
    world.two.ip(f"address delete {WEB_AT}/32 dev lo")
    world.two.ip(f"route replace {WEB_AT}/32 via {world.one.address}")
    try:
        with pytest.raises(ConnectionRefusedError):
            within(world.two.network.path, lambda: get(WEB_AT, 80))
    finally:
        world.two.ip(f"route delete {WEB_AT}/32")
        world.two.apply()
    assert world.friend.get(WEB_AT, 80)


def test_another_app_is_refused_and_recorded_unless_it_says_that_it_uses_it(world: World) -> None:
    worker = world.one.haproxy.look().worker
    refused(lambda: world.stranger.get(WEB_AT, 80))
    seen = {"outcome": "refused", "subject": "shop/web.v1", "by": "unknown"}
    wait_until(lambda: world.one.proxy.records(**seen), "it is recorded", 5)
    (record,) = world.one.proxy.records(**seen)
    assert (record["origin"], record["kind"]) == ("172.21.0.9", "proxy.connection")
    world.apply(users=(CALLER,))
    assert world.stranger.get(WEB_AT, 80)["name"] == "shop/web.v1.1"
    world.apply()
    refused(lambda: world.stranger.get(WEB_AT, 80))
    assert world.one.haproxy.look().worker == worker, "who may call is told to the running one"


def test_who_calls_what_has_nothing_to_do_with_this_host_is_refused_and_recorded(
    world: World,
) -> None:
    """Also a container of whichever app on its own bridge; from outside there is nothing."""
    far = OtherEntry(ServiceName("far", "db"), "10.214.0.9", (80,))
    world.apply(others=(far,))
    for caller, address in ((world.stranger, "172.21.0.9"), (world.friend, "172.20.0.9")):
        refused(lambda: caller.get(far.address, 80))  # noqa: B023
        seen = {"outcome": "refused", "subject": "far/db", "origin": address, "by": "unknown"}
        wait_until(partial(world.one.proxy.records, **seen), "it is recorded", 5)
    (port,) = [one for one in world.one.haproxy.traffic().ports if one.name == far.name]
    assert (port.refused, port.members, port.address) == (2, 0, far.address)
    with pytest.raises(ConnectionRefusedError):
        within(world.one.network.path, lambda: get(far.address, 80))
    world.apply()


def test_each_line_of_the_log_is_json_with_the_fields_of_audit_records(world: World) -> None:
    world.friend.get(READ_AT, 80)
    wait_until(lambda: world.one.proxy.records(subject="shop/read"), "it is logged", 5)
    lines = [line for line in world.one.proxy.lines() if "{" in line]
    assert len(world.one.proxy.records()) == len(lines)
    needed = {"at", "log", "kind", "stage", "outcome", "by", "actor", "origin", "subject"}
    for record in world.one.proxy.records():
        assert needed <= set(record)
        assert record["log"] == f"host:{ONE}"
        assert record["outcome"] in ("success", "failure", "refused")


def test_what_is_no_request_is_logged_as_a_failure_of_its_service(world: World) -> None:
    """A load balancer's look at a port that is read as HTTP, or a browser that connects beforehand, was refused by nobody."""

    def said(words: bytes) -> None:
        with socket.create_connection((world.one.address, 8003), timeout=PATIENCE_S) as link:
            link.sendall(words)
            link.shutdown(socket.SHUT_WR)
            while link.recv(4096):
                pass

    before = len(world.one.proxy.records(port=8003))
    refusals = len(world.one.proxy.records(outcome="refused"))
    told = (b"", b"x", b"\0\1\2 garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost")
    for words in told:
        said(words)
    wait_until(
        lambda: len(world.one.proxy.records(port=8003)) == before + len(told), "all are logged", 5
    )
    found = world.one.proxy.records(port=8003)[before:]
    for record in found:
        assert (record["subject"], record["service_port"]) == ("shop/read", "80")
        assert (record["outcome"], record["origin"]) == ("failure", "192.0.2.1")
    assert [record["status"] for record in found] == [400] * len(told)
    assert len(world.one.proxy.records(outcome="refused")) == refusals


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "HTTP/1.1 405 "),
        *(
            (f"GET / HTTP/1.1\r\nHost: a\r\n{name}: 203.0.113.9\r\n\r\n", "192.0.2.1")
            for name in ("X_Forwarded_For", "X_Forwarded-For", "x-forwarded_for")
        ),
    ],
)
def test_nobody_is_told_an_address_that_a_client_made_up(
    world: World, head: str, told: str
) -> None:
    """What would follow CONNECT is a tunnel, which a proxy doesn't read."""
    forged = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    with socket.create_connection((world.one.address, 8003), timeout=PATIENCE_S) as link:
        link.sendall(head.encode())
        answer = link.recv(65536)
        with contextlib.suppress(OSError):
            link.sendall(forged.encode())
            answer += link.recv(65536)
    assert told in answer.decode()
    assert "203.0.113.9" not in answer.decode()


def test_the_clients_address_is_logged_and_passed_on_where_asked(world: World) -> None:
    """From outside to a published port, also by way of another host. What a client says of itself is dropped."""
    outside = "192.0.2.1"
    for port, told in ((8002, {"proxy": outside}), (8003, {"forwarded": [outside]})):

        def call(port: int = port) -> dict[str, Any]:
            return get(world.one.address, port, X_Forwarded_For="203.0.113.9")

        answers = [call() for _ in range(8)]
        assert all(one[key] == told[key] for one in answers for key in told), answers

        def servers(port: int = port) -> set[str]:
            called = {"address": world.one.address, "port": port}
            records = world.one.proxy.records(origin=outside, outcome="success", **called)
            return {one["server"].partition("-")[0] for one in records}

        wait_until(lambda: servers() == {"1", TWO}, "here and elsewhere", 5)
    assert get(world.one.address, 8001, X_Forwarded_For="203.0.113.9")["proxy"] == ""
    wait_until(lambda: world.two.proxy.records(by=ONE, origin=outside), "also over there", 5)


def test_the_address_of_a_caller_in_a_container_is_passed_on_too(world: World) -> None:
    assert {world.friend.get(SEEN_AT, 80)["proxy"] for _ in range(6)} == {"172.20.0.9"}


def place(host: Host) -> tuple[str, int]:
    return (host.address, 7443)


def test_an_admitted_host_is_served(world: World, keys: Path) -> None:
    asked = server_name_of(WEB, 80, ONE)
    assert call_tls(place(world.one), keys, asked)["name"] == "shop/web.v1.1"


@pytest.mark.parametrize(
    "asked",
    [
        server_name_of(WEB, 81, ONE),
        server_name_of(ServiceName("shop", "web"), 80, ONE),
        server_name_of(WEB, 80, TWO),
        "own:shop:web.v1:80",
        'x","outcome":"success',
        "localhost",
    ],
)
def test_a_host_is_refused_what_it_was_not_admitted_for(world: World, keys: Path, asked) -> None:
    before = len(world.one.proxy.records(by=TWO, outcome="refused"))
    refused(lambda: call_tls(place(world.one), keys, asked))
    wait_until(
        lambda: len(world.one.proxy.records(by=TWO, outcome="refused")) > before,
        "the refusal is recorded",
        5,
    )
    assert world.one.proxy.records(by=TWO, outcome="refused")[-1]["server_name"] == asked


def refusals(host: Host) -> int:
    return len(host.proxy.records(outcome="refused")) + len(own_words(host))


def own_words(host: Host) -> list[str]:
    """What HAProxy says in its own words of connections to the TLS port that ended before it was known who calls."""
    return [line for line in host.proxy.lines() if " tls/1: " in line]


def has_more_refused(host: Host, before: int) -> bool:
    return refusals(host) > before


def test_who_is_no_proxy_of_an_admitted_host_is_refused(world: World, tmp_path: Path) -> None:
    stranger = create_authority(tmp_path / "authority", "c1", time.time())
    pems = {
        "another host": proxy_pem(world.authority, THIRD),
        "the host's agent": agent_pem(world.authority, TWO),
        "another cluster's": proxy_pem(stranger, TWO),
    }
    asked = server_name_of(WEB, 80, ONE)
    for who, pem in pems.items():
        path = tmp_path / "some.pem"
        path.write_bytes(pem)
        before = refusals(world.one)
        with pytest.raises((OSError, ValueError)):
            call_tls(place(world.one), path, asked)
        wait_until(partial(has_more_refused, world.one, before), f"{who} is recorded as refused", 5)
    refused(lambda: call_tls(place(world.one), None, asked))


def test_strangers_without_end_are_logged_in_part_and_keep_no_host_out(
    world: World, keys: Path, tmp_path: Path
) -> None:
    """By the address that they come from, not by the one that they name. A host that comes from there, too, is served and looked at as before.
    A version that can't tell of them so says each in its own words."""

    def told(address: str) -> list[dict[str, Any]]:
        return world.one.proxy.records(subject="tls", origin=address)

    def come(count: int) -> None:
        for number in range(count):
            knock(place(world.one), foreign, number)
            if number % 10 == 0:
                answer = call_tls(place(world.one), keys, server_name_of(WEB, 80, ONE))
                assert answer["name"] == "shop/web.v1.1"

    foreign = tmp_path / "foreign.pem"
    authority = create_authority(tmp_path / "authority", "c1", time.time())
    foreign.write_bytes(proxy_pem(authority, TWO))
    there, here = world.two.address, "192.0.2.1"
    assert told(there) == []
    said = len(own_words(world.one))
    known = world.one.haproxy.traffic().strangers
    within(world.two.network.path, lambda: come(6 * MOST_TOLD))
    before = len(told(here))
    knock(place(world.one), foreign, 0)
    if abilities().tells_of_failures:
        wait_until(lambda: len(told(here)) > before, "another address is told of", 5)
        assert sorted(one["failures"] for one in told(there)) == list(range(1, MOST_TOLD + 1))
        assert len({one["reason"] + one["tls"] for one in told(there)}) == len(WAYS_TO_FAIL)
        said_since = 0
    else:
        said_since = 6 * MOST_TOLD + 1
    wait_until(lambda: len(own_words(world.one)) - said == said_since, "each is told of", 5)
    assert told("198.51.100.7") == []
    assert world.one.haproxy.traffic().strangers - known == 6 * MOST_TOLD + 1
    assert [one.answers for one in world.two.haproxy.peers()] == [True]


@pytest.fixture
def patient(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who says nothing is heard out for longer than 500 connections take to be made on a machine that has other work."""
    with monkeypatch.context() as patch:
        patch.setattr(haproxyconfig, "HANDSHAKE_S", 120)
        world.apply()
        yield
    world.apply()


@pytest.mark.usefixtures("patient")
def test_silence_of_one_address_takes_few_connections_and_none_of_a_hosts(
    world: World, keys: Path
) -> None:
    """A host is known by its address, and whoever comes from elsewhere by its certificate, once it has shown it."""

    def is_served() -> bool:
        answer = call_tls(place(world.one), keys, server_name_of(WEB, 80, ONE))
        return bool(answer["name"] == "shop/web.v1.1")

    there, host = world.friend.path, world.two.network.path
    many = MOST_STRANGE + 50
    known = world.one.haproxy.traffic().strangers
    with within(there, lambda: Links(world.one, many)) as links:
        wait_until(lambda: links.held() == MOST_STRANGE, "those beyond are ended", 10)
        with pytest.raises((OSError, ValueError)):
            within(there, is_served)
        with within(host, lambda: Links(world.one, many)) as of_host:
            assert within(host, is_served)
            assert of_host.held() == many
        assert links.held() == MOST_STRANGE
    counted = partial(strangers_since, world.one, known)
    wait_until(lambda: counted() == 2 * many + 1, "all of them are counted", 10)
    # Where all of them might be lines of the log, it is let in once they are no longer among the newest.
    wait_until(lambda: within(there, lambda: succeeds(is_served)), "it is let in", 2 * TOLD_S)
    with within(there, lambda: Links(world.one, many)) as links:
        assert within(there, is_served)
        assert links.held() == many


def test_a_host_that_was_removed_is_a_stranger_whatever_certificate_it_has(
    world: World, keys: Path
) -> None:
    """It is not kept out of the count of who may hold how many connections, nor told that all is well here."""
    gone = world.one.add_container("shop", "gone", 1, front="172.20.0.78")
    told = world.one.sight.directory
    before = len(world.one.proxy.records(by=TWO, outcome="refused"))
    try:
        world.one.apply(replace(told, admissions=(), peers=()))
        for asked in (server_name_of(WEB, 80, ONE), f"{CHECK_LABEL}.{ONE}"):
            refused(partial(within, gone.path, partial(call_tls, place(world.one), keys, asked)))
        wait_until(
            lambda: len(world.one.proxy.records(by=TWO, outcome="refused")) >= before + 2,
            "both are recorded",
            5,
        )
        with within(gone.path, lambda: Links(world.one, MOST_STRANGE + 50)) as links:
            wait_until(lambda: links.held() <= MOST_STRANGE, "those beyond are ended", 5)
    finally:
        world.one.apply(told)
        wait_until(world.two.is_well, "it is heard again", 10)


def succeeds(call: Callable[[], bool]) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return call()
    return False


def test_a_stranger_without_end_fills_no_log_whatever_the_version_can_leave_out(
    world: World, keys: Path
) -> None:
    """It names others' addresses, one after the other, and is told of by its own, or cut off before there is a line."""
    many, at = 4 * MOST_STRANGE, place(world.one)
    stranger = world.one.add_container("shop", "other", 1, front="172.20.0.77")
    known, lines = world.one.haproxy.traffic().strangers, len(world.one.proxy.lines())

    def come() -> None:
        for number in range(many):
            address = f"203.0.113.{number % 250 + 1}"
            said = proxy_header(address, world.one.address) + b"GET / HTTP/1.0\r\n\r\n"
            with socket.create_connection(at) as link, contextlib.suppress(OSError):
                link.sendall(said)
                link.recv(10)

    within(stranger.path, come)
    answer = call_tls(place(world.one), keys, server_name_of(WEB, 80, ONE))
    assert answer["name"] == "shop/web.v1.1"
    wait_until(lambda: strangers_since(world.one, known) >= many, "all of them are counted", 5)
    time.sleep(0.5)
    told = [
        line
        for line in world.one.proxy.lines()[lines:]
        if "203.0.113." in line or "172.20.0.77" in line
    ]
    most = MOST_TOLD if abilities().tells_of_failures else MOST_STRANGE
    assert 0 < len(told) <= most


def strangers_since(host: Host, known: int) -> int:
    return host.haproxy.traffic().strangers - known


class Links(contextlib.ExitStack):
    """Connections to a host's port for other hosts that say nothing."""

    def __init__(self, host: Host, count: int) -> None:
        super().__init__()
        self._all = []
        for _ in range(count):
            with contextlib.suppress(ConnectionResetError):  # it may be ended as it is made
                link = socket.create_connection(place(host), timeout=PATIENCE_S)
                self._all.append(self.enter_context(link))

    def held(self) -> int:
        """How many of them the host has not ended."""
        time.sleep(0.5)
        return len(self._all) - len(select.select(self._all, [], [], 0)[0])


WAYS_TO_FAIL = ("no certificate", "another cluster's", "no PROXY header", "nothing")


def knock(at: tuple[str, int], foreign: Path, number: int) -> None:
    """As somebody who is no proxy of this cluster, one way after the other. Returns when that is over."""
    way = WAYS_TO_FAIL[number % len(WAYS_TO_FAIL)]
    if "certificate" in way or "cluster" in way:
        pem = foreign if "cluster" in way else None
        refused(lambda: call_tls(at, pem, server_name_of(WEB, 80, ONE)))
        return
    with socket.create_connection(at, timeout=PATIENCE_S) as link:
        link.sendall(b"GET / HTTP/1.0\r\n\r\n" if "header" in way else b"")
        with contextlib.suppress(OSError):  # it may be over already
            link.shutdown(socket.SHUT_WR)
            assert link.recv(1) == b""


def test_a_host_that_may_no_longer_is_refused_by_the_running_worker(
    world: World, keys: Path
) -> None:
    worker = world.one.haproxy.look().worker
    told = world.one.sight.directory
    world.one.apply(replace(told, admissions=told.admissions[1:]))
    try:
        refused(lambda: call_tls(place(world.one), keys, server_name_of(WEB, 80, ONE)))
        assert call_tls(place(world.one), keys, server_name_of(READ, 80, ONE))
        assert world.one.haproxy.look().worker == worker
    finally:
        world.one.apply(told)


def test_a_host_with_none_left_passes_a_connection_on_and_only_once(
    world: World, keys: Path
) -> None:
    """And the host that gets it so, with none left either, doesn't send it back."""
    here = world.server(world.one, WEB)
    world.one.remove(here)
    world.one.apply()
    try:
        before = len(counted(world.two))
        answer = call_tls(place(world.one), keys, server_name_of(WEB, 80, ONE))
        assert answer["name"] == "shop/web.v1.1"
        wait_until(lambda: len(counted(world.two)) > before, "the other host got it", 5)
        assert counted(world.two)[-1]["server_name"].startswith("last+")
        last = server_name_of(WEB, 80, ONE, last=True)
        refused(lambda: call_tls(place(world.one), keys, last))
        wait_until(
            lambda: world.one.proxy.records(server_name=last, outcome="failure"), "it ended here", 5
        )
        assert len(counted(world.two)) == before + 1
    finally:
        world.one.see(members=(*world.one.sight.members, here.member()))
        world.one.apply()


def test_new_certificates_drop_no_connection(world: World) -> None:
    with world.friend.dial(WEB_AT, 80) as held, world.friend.dial(WEB_AT, 80) as other:
        assert (is_echoing(held), is_echoing(other)) == (True, True)
        with Load(world.friend.inside, WEB_AT, 80, rate=150) as load:
            for host in (world.one, world.two):
                host.admit(world.authority)
                assert host.apply().reloaded
                time.sleep(0.7)
        assert (is_echoing(held), is_echoing(other)) == (True, True)
    assert load.outcome.failures == []
    assert load.outcome.sent > 150


def test_a_look_at_another_host_is_no_refusal_in_its_log(world: World) -> None:
    def seen() -> set[str]:
        rows = Sockets(world.one.proxy.run_dir).stat(SERVERS)
        return {row["check_status"] for row in rows if row["pxname"] == PEER}

    before = len(world.two.proxy.records(subject="tls"))
    time.sleep(3)  # longer than from one look to the next
    assert seen() == {"L7OK"}
    assert len(world.two.proxy.records(subject="tls")) == before
    assert not [one for one in world.two.proxy.lines() if f"check.{TWO}" in one]


def test_silence_ends_a_call_that_says_not_who_it_is_and_no_other(world: World) -> None:
    with world.friend.dial(WEB_AT, 80) as one, world.friend.dial(WEB_AT, 80) as other:
        with socket.create_connection(place(world.one)) as mute:
            mute.settimeout(2 * HANDSHAKE_S)
            began = time.monotonic()
            assert mute.recv(1) == b""
            assert time.monotonic() - began > HANDSHAKE_S - 1
        time.sleep(1)
        assert (is_echoing(one), is_echoing(other)) == (True, True)
