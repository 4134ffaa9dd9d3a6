"""Open connections through a real proxy when a right to them ends: they end, in former workers too, and nobody else's do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.agentd.outbox import Outbox
from hullmark.agentd.proxyendings import AGAIN_S, Endings
from hullmark.engine import haproxybinds
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyconfig import MOST_TOLD
from hullmark.errors import ProxyUnavailable, ProxyUnwritten, Refused
from hullmark.model.audit import Entry
from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.proxy import ProxySight
from hullmark.model.proxyplan import server_name_of
from hullmark.pki.authority import Authority
from tests.cluster import wait_until
from tests.integration.proxyhosts import (
    ONE,
    PATIENCE_S,
    TWO,
    Container,
    Host,
    is_echoing,
    proxy_header,
    proxy_pem,
    two_hosts,
    within,
)
from tests.proxy import RANGE, abilities

THIRD = "c" * 32
DB, FAR = ServiceName("shop", "db"), ServiceName("shop", "far")
USER, OTHER = ServiceName("zoo", "user"), ServiceName("bank", "other")
DB_AT, FAR_AT = "10.214.0.1", "10.214.0.2"
SOON_S = 2.0


class World:
    """On the first host a service, which a friend is on a network with, and which two services of other apps use; on the second another service, which
    the first host's containers call there. A third host is whoever has its key."""

    def __init__(self, one: Host, two: Host, authority: Authority) -> None:
        self.one, self.two, self.authority = one, two, authority
        for host in (one, two):
            host.admit(authority)
            host.add_bridge("shop", "back", "br-back", "172.20.0.0/24")
        one.add_bridge("zoo", "default", "br-zoo", "172.21.0.0/24")
        one.add_bridge("bank", "default", "br-bank", "172.22.0.0/24")
        one.add_container("shop", "db", 1, back="172.20.0.2")
        two.add_container("shop", "far", 1, back="172.20.0.2")
        self.friend = one.add_container("shop", "friend", 1, back="172.20.0.9")
        self.user = one.add_container("zoo", "user", 1, default="172.21.0.9")
        self.other = one.add_container("bank", "other", 1, default="172.22.0.9")
        self.sight = one.sight
        self.records: list[Entry] = []
        self.ahead_s = 0.0
        self.endings: Endings
        two.apply(self.directory(two))
        self.begin()
        wait_until(lambda: one.is_well() and two.is_well(), "all answer", 10)

    def begin(self, sight: Optional[ProxySight] = None, **changes: Any) -> None:
        """As an agent does, with what it sees at first and is told then."""
        self.records = []
        outbox = Outbox("host one", lambda: None)
        self.endings = Endings(
            self.one.haproxy, self.records.append, outbox, lambda: time.monotonic() + self.ahead_s
        )
        self.one.sight = self.sight if sight is None else sight
        self.tell(**changes)

    def tell(self, **changes: Any) -> None:
        """The first host's directory: in force at its proxy, and followed by what is open."""
        self.one.apply(self.directory(self.one, **changes))
        self.endings.follow(self.one.sight)

    def directory(self, host: Host, **changes: Any) -> Directory:
        networks: dict[str, tuple[str, ...]] = {"back": ()}
        away = (Share(TWO, 1),) if host is self.one else (Share(ONE, 1),)
        entries = (
            ServiceEntry(DB, DB_AT, (80,), away[1:], networks, (USER, OTHER)),
            ServiceEntry(FAR, FAR_AT, (80,), away, networks, (USER,)),
        )
        peers = (
            Peer(ONE, "one", self.one.address, 7443),
            Peer(TWO, "two", self.two.address, 7443),
            Peer(THIRD, "three", "192.0.2.13", 7443),
        )
        told = Directory(
            range=RANGE,
            addresses=(DB_AT, FAR_AT),
            services=entries if host is self.one else entries[1:],
            peers=tuple(one for one in peers if one.host_id != host.host_id),
            admissions=tuple(
                Admission(asker, name, ("out",))
                for asker in (ONE, TWO, THIRD)
                for name in (DB, FAR)
            ),
        )
        return replace(told, **changes)

    def without_use(self, user: ServiceName = USER) -> tuple[ServiceEntry, ...]:
        """No service is used any more by this one."""
        entries = self.directory(self.one).services
        return tuple(
            replace(one, users=tuple(each for each in one.users if each != user)) for one in entries
        )

    def without_peer(self, gone: str) -> tuple[Peer, ...]:
        return tuple(one for one in self.directory(self.one).peers if one.host_id != gone)

    def reload(self) -> None:
        """Another structure, so that what is open is a former worker's."""
        port = 8100 + len(self.one.sight.directory.published)
        published = (*self.one.sight.directory.published, PublishedEntry(port, "", DB, 80))
        before = self.one.haproxy.look().worker
        self.tell(published=published)
        assert self.one.haproxy.look().worker != before

    @property
    def told(self) -> list[str]:
        return [one.reason for one in self.records]


@pytest.fixture(scope="module")
def standing(tmp_path_factory) -> Iterator[World]:
    with two_hosts(tmp_path_factory.mktemp("pki")) as parts:
        yield World(*parts)


@pytest.fixture
def world(standing: World) -> World:
    standing.begin()
    return standing


class Links:
    """Connections that stay, by name."""

    def __init__(self) -> None:
        self.open: dict[str, socket.socket] = {}

    def add(self, name: str, link: socket.socket) -> None:
        self.open[name] = link
        assert is_echoing(link), name

    def dial(self, name: str, caller: Container, address: str = DB_AT) -> None:
        self.add(name, caller.dial(address, 80))

    def have_ended(self, *names: str) -> None:
        """These within a moment, and all others are as they were."""
        until = time.monotonic() + SOON_S
        for name in names:
            link = self.open.pop(name)
            link.settimeout(max(0.01, until - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(1) == b"", name
            link.close()
        assert [name for name, link in self.open.items() if not is_echoing(link)] == []


@pytest.fixture
def links() -> Iterator[Links]:
    made = Links()
    yield made
    for link in made.open.values():
        link.close()


def come_from(world: World, host_id: str, service: ServiceName, folder: Path) -> ssl.SSLSocket:
    """A connection of that host to the first one, for a client whose address is the same whoever asks."""
    link = begin_from(world, host_id, service, folder)
    link.do_handshake()
    return link


def begin_from(world: World, host_id: str, service: ServiceName, folder: Path) -> ssl.SSLSocket:
    """One that has not shaken hands yet."""
    pem = folder / f"{host_id[:1]}.pem"
    pem.write_bytes(proxy_pem(world.authority, host_id))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(pem)
    plain = socket.create_connection((world.one.address, 7443), timeout=PATIENCE_S)
    plain.sendall(proxy_header("172.20.0.9", world.one.address))
    name = server_name_of(service, 80, world.one.host_id)
    return context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)


def test_a_use_that_is_withdrawn_ends_its_connections_in_all_workers(
    world: World, links: Links
) -> None:
    links.dial("the user's, in a former worker", world.user)
    links.dial("another user's, in a former worker", world.other)
    world.reload()
    links.dial("the user's", world.user)
    links.dial("another user's", world.other)
    links.dial("the friend's", world.friend)
    links.dial("the user's, to another host", world.user, FAR_AT)
    worker = world.one.haproxy.look().worker
    world.tell(services=world.without_use(), published=world.one.sight.directory.published)
    links.have_ended("the user's, in a former worker", "the user's", "the user's, to another host")
    assert world.one.haproxy.look().worker == worker
    assert world.told == [
        "2 open connections ended: zoo/user may no longer call shop/db",
        "1 open connection ended: zoo/user may no longer call shop/far",
    ]
    wait_until(lambda: killed(world.one) == 3, "each is in the connection log", 5)


def killed(host: Host) -> int:
    return sum("K" in str(one.get("state")) for one in host.proxy.records(origin="172.21.0.9"))


def test_who_is_about_to_be_stopped_keeps_its_connections_and_a_restarted_agent_ends_none(
    world: World, links: Links
) -> None:
    links.dial("the user's", world.user)
    links.dial("another user's", world.other)
    world.one.mark(world.user, serving=False, leaving=True)
    world.tell()
    assert is_echoing(links.open["the user's"])
    world.begin(world.one.sight)
    links.have_ended()
    assert world.told == []
    world.begin(services=world.without_use())
    links.have_ended("the user's")
    assert len(world.told) == 1, "what was withdrawn while no agent was there"


def test_what_a_removed_host_has_open_ends_and_no_other_hosts(
    world: World, links: Links, tmp_path: Path
) -> None:
    """Though all say that they ask for the same client, from one address."""
    links.add("the removed one's, in a former worker", come_from(world, THIRD, DB, tmp_path))
    links.add("the other one's, in a former worker", come_from(world, TWO, DB, tmp_path))
    world.reload()
    links.add("the removed one's", come_from(world, THIRD, DB, tmp_path))
    links.add("the other one's", come_from(world, TWO, DB, tmp_path))
    links.dial("a container's", world.friend)
    links.dial("a container's, to the other host", world.friend, FAR_AT)
    links.dial("a user's", world.user)
    published = world.one.sight.directory.published
    world.tell(published=published, peers=world.without_peer(THIRD), unproxied=(THIRD,))
    links.have_ended()
    assert world.told == [], "its proxy is down, as far as is known; it is one of the cluster"
    admissions = tuple(one for one in world.one.sight.directory.admissions if one.host_id != THIRD)
    world.tell(published=published, peers=world.without_peer(THIRD), admissions=admissions)
    links.have_ended("the removed one's, in a former worker", "the removed one's")
    gone = f"host {THIRD} was removed from the cluster, and called shop/db"
    assert world.told == [f"2 open connections ended: {gone}"]


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("how", ["its folder is full", "it does not start anew"])
def test_a_removed_host_is_refused_whatever_else_fails(
    world: World, links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its key is good for nothing more, and what it has open ends. What others may they still may, with the former files, too."""
    links.add("the removed one's", come_from(world, THIRD, DB, tmp_path))
    links.add("the other one's", come_from(world, TWO, DB, tmp_path))
    told = world.directory(world.one)
    admissions = tuple(one for one in told.admissions if one.host_id != THIRD)
    changes: dict[str, Any] = {"peers": world.without_peer(THIRD), "admissions": admissions}
    with contextlib.ExitStack() as failing:
        if "full" in how:
            failing.enter_context(monkeypatch.context()).setattr(os, "fsync", full)
        else:
            failing.enter_context(monkeypatch.context()).setattr(
                haproxybinds, "taken", lambda _: ()
            )
            place = (world.one.address, 8300)
            failing.enter_context(
                within(world.one.network.path, lambda: socket.create_server(place))
            )
            changes["published"] = (PublishedEntry(8300, "", DB, 80),)
        with pytest.raises((ProxyUnwritten, Refused)):
            world.tell(**changes)
        assert not answers(world, THIRD, tmp_path)
        assert answers(world, TWO, tmp_path)
        world.endings.follow_withdrawn(world.one.sight)
        links.have_ended("the removed one's")
    world.tell(**changes)
    assert not answers(world, THIRD, tmp_path)
    assert answers(world, TWO, tmp_path)


@pytest.mark.parametrize("knows", [True, False])
def test_a_right_is_withdrawn_where_the_program_cannot_be_asked(
    world: World, tmp_path: Path, knows: bool
) -> None:
    """In the middle of an upgrade, or after its removal; also by an agent that has just begun."""
    broken = tmp_path / "haproxy"
    broken.write_text("#!/bin/sh\necho libssl.so.3: cannot open shared object file >&2\nexit 127\n")
    broken.chmod(0o755)
    for program in (broken, tmp_path / "gone"):
        world.begin()
        assert answers(world, TWO, tmp_path)
        admissions = world.one.sight.directory.admissions
        others = tuple(one for one in admissions if one.host_id != TWO)
        if not knows:
            world.one.haproxy = Haproxy(world.one.proxy.folder, world.one.proxy.run_dir)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(world.one.haproxy._files, "_binary", str(program))
            world.tell(admissions=others)
            assert not answers(world, TWO, tmp_path)
            with pytest.raises((ProxyUnavailable, Refused), match=r"libssl|gone"):
                world.tell(published=(PublishedEntry(8310, "", DB, 80),))
    world.begin()


def test_a_removed_host_that_was_let_in_while_its_removal_came_loses_that_too(
    world: World, links: Links, tmp_path: Path
) -> None:
    """By a former worker, which goes by what it was told."""
    early = begin_from(world, THIRD, DB, tmp_path)
    time.sleep(0.2)  # until a worker has taken it
    world.reload()
    published = world.one.sight.directory.published
    world.tell(published=published, peers=world.without_peer(THIRD), admissions=())
    early.do_handshake()
    links.add("the removed one's", early)
    links.dial("a container's", world.friend)
    world.endings.follow(world.one.sight)
    links.have_ended()
    world.ahead_s += AGAIN_S
    world.endings.follow(world.one.sight)
    links.have_ended("the removed one's")
    assert len(world.told) == 1


def test_what_is_open_to_a_removed_host_ends(world: World, links: Links, tmp_path: Path) -> None:
    """It must not go on receiving what the cluster's services say."""
    links.dial("to it, in a former worker", world.friend, FAR_AT)
    world.reload()
    links.dial("to it", world.friend, FAR_AT)
    links.dial("to it, by another", world.user, FAR_AT)
    links.dial("a container's", world.friend)
    links.add("the third one's", come_from(world, THIRD, DB, tmp_path))
    services = tuple(replace(one, elsewhere=()) for one in world.directory(world.one).services)
    world.tell(
        published=world.one.sight.directory.published,
        peers=world.without_peer(TWO),
        services=services,
    )
    links.have_ended("to it, in a former worker", "to it", "to it, by another")
    gone = f"host {TWO} was removed from the cluster, and was called for shop/far"
    assert world.told == [f"3 open connections ended: {gone}"]


def test_refusals_without_end_are_counted_and_logged_in_part(world: World, tmp_path: Path) -> None:
    """Each caller at each service by itself: who knocks at one service hides nothing that is done at another."""

    def refused(**fields: object) -> int:
        return len(world.one.proxy.records(outcome="refused", **fields))

    world.tell(services=world.without_use())
    before = sum(one.refused for one in world.one.haproxy.traffic().ports)
    knock(world.user, DB_AT, 5 * MOST_TOLD)
    wait_until(lambda: refused(origin="172.21.0.9", subject="shop/db") == MOST_TOLD, "the first", 5)
    knock(world.user, FAR_AT, 1)
    wait_until(lambda: refused(origin="172.21.0.9", subject="shop/far") == 1, "of another", 5)
    assert refused(origin="172.21.0.9", subject="shop/db") == MOST_TOLD
    counted = sum(one.refused for one in world.one.haproxy.traffic().ports) - before
    assert counted == 5 * MOST_TOLD + 1
    world.tell()
    assert world.user.get(DB_AT, 80), "whoever was refused is heard again"
    wait_until(
        lambda: world.one.proxy.records(origin="172.21.0.9", outcome="success", subject="shop/db"),
        "and that is logged",
        5,
    )
    for _ in range(MOST_TOLD + 5):
        assert not answers(world, "d" * 32, tmp_path)
    time.sleep(0.5)
    assert refused(by="d" * 32) == MOST_TOLD if abilities().silences else MOST_TOLD + 5


def answers(world: World, host_id: str, folder: Path) -> bool:
    try:
        with come_from(world, host_id, DB, folder) as link:
            return is_echoing(link)
    except OSError:
        return False


def knock(caller: Container, address: str, count: int) -> None:
    def all_of_it() -> None:
        for _ in range(count):
            link = socket.create_connection((address, 80), timeout=PATIENCE_S)
            with link, contextlib.suppress(ConnectionResetError):
                assert link.recv(1) == b""

    within(caller.path, all_of_it)
