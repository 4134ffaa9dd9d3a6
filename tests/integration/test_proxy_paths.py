"""Which ways a real proxy lets connections take: between containers, between hosts, from outside."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hullmark.engine.haproxyconfig import HANDSHAKE_S
from hullmark.engine.haproxyruntime import SERVERS, Sockets
from hullmark.model.app import ClientAddress
from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.proxyplan import PEER, server_name_of
from hullmark.pki.authority import Authority, create_authority
from tests.cluster import wait_until
from tests.integration.proxyhosts import (
    Container,
    Host,
    agent_pem,
    call_tls,
    get,
    is_echoing,
    proxy_pem,
    several,
    within,
)
from tests.load import Load
from tests.proxy import RANGE

ONE, TWO, THIRD = "a" * 32, "b" * 32, "c" * 32
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

    def directory(self, host: Host, users: tuple[ServiceName, ...] = ()) -> Directory:
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
            addresses=(WEB_AT, SEEN_AT, READ_AT),
            services=(web, seen, read),
            published=published,
            peers=(Peer(other.host_id, "other", other.address, 7443),),
            admissions=admissions,
        )

    def server(self, host: Host, name: ServiceName) -> Container:
        return self.servers[host.host_id, name.service]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    authority = create_authority(tmp_path_factory.mktemp("pki") / "authority", "c1", time.time())
    with Host("one", ONE, "192.0.2.11") as one, Host("two", TWO, "192.0.2.12") as two:
        yield World(one, two, authority)


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
    assert len(counted(world.two)) == 5


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


def test_the_clients_address_is_logged_and_passed_on_where_asked(world: World) -> None:
    """From outside to a published port, also by way of another host. What a client says of itself is dropped."""
    outside = "192.0.2.1"
    for port, told in ((8002, {"proxy": outside}), (8003, {"forwarded": [outside]})):

        def call(port: int = port) -> dict[str, Any]:
            return get(world.one.address, port, X_Forwarded_For="203.0.113.9")

        answers = [call() for _ in range(8)]
        assert all(one[key] == told[key] for one in answers for key in told), answers

        def servers(port: int = port) -> set[str]:
            records = world.one.proxy.records(origin=outside, address=world.one.address, port=port)
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


def has_more_refused(host: Host, before: int) -> bool:
    return len(host.proxy.records(outcome="refused")) > before


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
        before = len(world.one.proxy.records(outcome="refused"))
        with pytest.raises((OSError, ValueError)):
            call_tls(place(world.one), path, asked)
        wait_until(partial(has_more_refused, world.one, before), f"{who} is recorded as refused", 5)
    refused(lambda: call_tls(place(world.one), None, asked))


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

    before = len(world.two.proxy.records(subject="tls~"))
    time.sleep(3)  # longer than from one look to the next
    assert seen() == {"L7OK"}
    assert len(world.two.proxy.records(subject="tls~")) == before
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
