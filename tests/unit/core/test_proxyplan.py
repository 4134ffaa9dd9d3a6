from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import proxylistening
from hullmark.core.proxyplan import plan
from hullmark.model.app import ClientAddress
from hullmark.model.directory import OtherEntry, Peer, PublishedEntry, ServiceName, Share
from hullmark.model.orders import PublishedPort
from hullmark.model.proxy import Bridge
from hullmark.model.proxyplan import Bind, server_name_of, subject_of
from tests.unit.core.proxyworld import (
    API,
    API_ENTRY,
    BRIDGES,
    DB,
    DB_ENTRY,
    DIRECTORY,
    HERE,
    LAN,
    MEMBERS,
    SIGHT,
    THERE,
    THIRD,
    backend,
    frontend,
    member,
    seen,
    servers,
)


def test_a_service_address_is_listened_on_at_the_bridges_of_its_own_networks_alone() -> None:
    made = plan(SIGHT)
    assert frontend(made, "svc:shop:api.v1:80").binds == (Bind("10.214.0.1", 80, "br-front", 11),)
    assert frontend(made, "svc:shop:db:5432").binds == (Bind("10.214.0.2", 5432, "br-back", 12),)
    for one in made.frontends:
        assert all(bind.interface for bind in one.binds) or one.name.startswith("pub:")


def test_at_our_other_bridges_callers_are_asked_who_they_are() -> None:
    asking = frontend(plan(SIGHT), "ask:shop:db:5432")
    assert asking.asks
    assert {one.interface for one in asking.binds} == {"br-front", "br-zoo"}
    assert asking.backend == "svc:shop:db:5432"


def test_who_may_call_is_who_uses_a_service_or_shares_a_network_with_it() -> None:
    """The API's other address, too: which network a container sends by is its own routing's choice."""
    assert plan(SIGHT).callers == (
        "172.20.0.2@shop/db",
        "172.21.0.2@shop/api.v1",
        "172.22.0.2@shop/db",
    )


def test_an_engines_network_that_two_apps_use_is_one_bridge() -> None:
    shared = Bridge("zoo", "common", "br-front", 11, "172.20.0.0/16")
    made = plan(seen(bridges=(*BRIDGES, shared)))
    assert frontend(made, "svc:shop:api.v1:80").binds == (Bind("10.214.0.1", 80, "br-front", 11),)
    assert "br-front" not in {each.interface for each in frontend(made, "ask:shop:api.v1:80").binds}


def test_a_bridge_that_is_not_there_is_not_listened_on() -> None:
    made = plan(seen(bridges=(replace(BRIDGES[0], index=0),)))
    assert [one.name for one in made.frontends] == ["pub:shop:api.v1:80:8080"]


@pytest.mark.parametrize("address", [LAN, "0.0.0.0", "127.0.0.1", "10.215.0.1"])
def test_an_address_that_is_not_of_the_range_is_neither_put_on_loopback_nor_listened_on(
    address: str,
) -> None:
    """Whatever a master says: it could be the host's own, or one of anybody whom the host calls."""
    entry = replace(DB_ENTRY, address=address)
    told = replace(DIRECTORY, services=(API_ENTRY, entry), addresses=("10.214.0.1", address))
    made = plan(replace(SIGHT, directory=told))
    assert made.addresses == ("10.214.0.1",)
    assert {subject_of(one.name)[0] for one in made.frontends} == {API}


def test_of_a_range_that_is_none_there_is_no_address() -> None:
    made = plan(seen(range="10.214.0.0/99"))
    assert (made.addresses, made.frontends) == ((), ())


def test_containers_here_and_hosts_elsewhere_serve() -> None:
    found = servers(plan(SIGHT), "svc:shop:api.v1:80")
    assert found["172.20.0.2"].weight == 1
    assert not found["172.20.0.2"].peer
    assert (found["192.0.2.2"].weight, found["192.0.2.2"].peer) == (2, THERE)
    assert found["192.0.2.2"].server_name == f"80+api+v1+shop.{THERE}"


def test_who_does_not_serve_or_is_leaving_keeps_connections_and_gets_none() -> None:
    here = member(API, 1, front="172.20.0.2")
    sick = member(API, 2, serving=False, front="172.20.0.3")
    leaving = replace(member(API, 3, front="172.20.0.4"), leaving=True)
    found = servers(plan(seen(members=(here, sick, leaving))), "svc:shop:api.v1:80")
    weights = {address: found[address].weight for address in found if address != "192.0.2.2"}
    assert weights == {"172.20.0.2": 1, "172.20.0.3": 0, "172.20.0.4": 0}


def test_a_container_whose_address_changed_is_another_server() -> None:
    names = set()
    for address in ("172.20.0.2", "172.20.0.9"):
        made = plan(seen(members=(member(API, front=address),)))
        names.add(servers(made, "svc:shop:api.v1:80")[address].name)
    assert len(names) == 2


def test_what_comes_from_another_host_goes_on_once_and_only_if_nobody_here_serves() -> None:
    made = plan(SIGHT)
    assert made.admissions == {
        f"{THERE}@5432+db+shop.{HERE}": "own:shop:db:5432",
        f"{THERE}@last+5432+db+shop.{HERE}": "last:shop:db:5432",
    }
    own = servers(made, "own:shop:db:5432")
    assert (own["172.21.0.3"].backup, own["192.0.2.2"].backup) == (False, True)
    assert own["192.0.2.2"].server_name == f"last+5432+db+shop.{THERE}"
    assert set(servers(made, "last:shop:db:5432")) == {"172.21.0.3"}


def test_what_runs_here_can_be_asked_for_as_soon_as_somebody_is_admitted() -> None:
    """Without a reload: who is admitted is not the structure."""
    names = [one.name for one in plan(seen(admissions=())).backends]
    assert {"own:shop:api.v1:80", "last:shop:api.v1:80"} <= set(names)
    left = plan(seen(members=()))
    assert "own:shop:db:5432" in [one.name for one in left.backends]
    assert "own:shop:api.v1:80" not in [one.name for one in left.backends]


@pytest.mark.parametrize("change", [{"certificate": ""}, {"tls_address": ""}, {"tls_port": 0}])
def test_without_a_certificate_or_place_nothing_is_asked_of_other_hosts_or_taken(change) -> None:
    made = plan(seen(**change))
    assert (made.tls, made.peers, made.admissions) == ((), (), {})
    assert not any(one.peer for each in made.backends for one in each.servers)


def test_a_published_port_is_on_the_hosts_addresses_and_on_loopback() -> None:
    found = frontend(plan(SIGHT), "pub:shop:api.v1:80:8080")
    assert found.binds == (Bind("127.0.0.1", 8080), Bind(LAN, 8080))
    assert (found.backend, found.http) == ("svc:shop:api.v1:80", False)


def test_internal_networks_are_shut_out_of_published_ports() -> None:
    first, second, third = BRIDGES
    odd = replace(third, internal=True, subnet="no subnet")
    made = plan(seen(bridges=(replace(first, internal=True), second, odd)))
    assert frontend(made, "pub:shop:api.v1:80:8080").shuts_out == (first.subnet,)
    assert not any(one.shuts_out for one in made.frontends if not one.name.startswith("pub:"))


def test_a_published_port_with_an_address_is_on_that_one() -> None:
    ports = (PublishedEntry(1, LAN, API, 80), PublishedEntry(2, "192.0.2.99", API, 80))
    made = plan(seen(published=ports))
    assert frontend(made, "pub:shop:api.v1:80:1").binds == (Bind(LAN, 1),)
    assert made.left_out == ("192.0.2.99:2 of shop/api.v1: not an address of this host",)


def test_a_port_that_the_engine_still_holds_for_one_of_ours_is_left_to_it() -> None:
    holder = replace(MEMBERS[0], bound=(PublishedPort(80, 8080, "tcp", LAN),))
    made = plan(seen(members=(holder,)))
    assert frontend(made, "pub:shop:api.v1:80:8080").binds == (Bind("127.0.0.1", 8080),)
    assert made.left_out == (f"{LAN}:8080 of shop/api.v1: the engine has it for shop/api.v1.1",)
    everywhere = replace(MEMBERS[0], bound=(PublishedPort(80, 8080),))
    names = [one.name for one in plan(seen(members=(everywhere,))).frontends]
    assert "pub:shop:api.v1:80:8080" not in names
    other = replace(MEMBERS[0], bound=(PublishedPort(80, 8080, "udp"),))
    assert plan(seen(members=(other,))).left_out == ()


def test_no_two_frontends_want_one_socket() -> None:
    ports = (PublishedEntry(7443, "", API, 80), PublishedEntry(9, "", DB, 5432))
    twice = (*ports, PublishedEntry(9, LAN, API, 80))
    made = plan(seen(published=twice))
    binds = [
        (one.address, one.port, one.interface) for each in made.frontends for one in each.binds
    ]
    binds += [(one.address, one.port, one.interface) for one in made.tls]
    assert len(binds) == len(set(binds))
    assert len(made.left_out) == 2


def test_the_clients_address_is_passed_on_where_it_is_asked_for() -> None:
    proxied = plan(seen(services=(replace(API_ENTRY, client_address=ClientAddress.PROXY),)))
    assert servers(proxied, "svc:shop:api.v1:80")["172.20.0.2"].proxy_header
    read = plan(seen(services=(replace(API_ENTRY, client_address=ClientAddress.FORWARDED),)))
    found = frontend(read, "pub:shop:api.v1:80:8080")
    assert (found.http, found.backend) == (True, "web:shop:api.v1:80")
    assert backend(read, "web:shop:api.v1:80").http
    assert not backend(read, "svc:shop:api.v1:80").http
    assert not servers(read, "web:shop:api.v1:80")["172.20.0.2"].proxy_header


def test_refusing_sockets_are_bounded_and_callers_are_not(monkeypatch) -> None:
    monkeypatch.setattr(proxylistening, "MOST_REFUSING", 1)
    many = tuple(Bridge("zoo", f"n{i}", f"br{i}", 20 + i, "172.30.0.0/16") for i in range(5))
    made = plan(seen(bridges=(*BRIDGES, *many)))
    sockets = sum(len(one.binds) for one in made.frontends if one.asks)
    asked = {one.interface for one in frontend(made, "ask:shop:db:5432").binds}
    assert {"br-front", "br-zoo"} <= asked
    assert made.unwatched > 0
    # The API's address at br-back, the database's at br-front and br-zoo: callers live there.
    assert sockets == 3 + 1


OTHERS = tuple(
    OtherEntry(ServiceName("far", f"s{number}"), f"10.214.0.{number}", (80, 81))
    for number in range(7, 9)
)


def test_everybody_is_refused_who_calls_what_has_nothing_to_do_with_this_host() -> None:
    made = plan(seen(others=OTHERS))
    for other in OTHERS:
        for port in other.ports:
            one = frontend(made, f"ask:{other.name}:{port}".replace("/", ":"))
            assert [(each.address, each.port, each.interface) for each in one.binds] == [
                (other.address, port, bridge.interface)
                for bridge in sorted(BRIDGES, key=lambda each: each.interface)
            ]
            assert not one.backend
    before = plan(SIGHT)
    assert (made.backends, made.admissions, made.callers) == (
        before.backends,
        before.admissions,
        before.callers,
    )
    assert set(before.frontends) < set(made.frontends)
    assert made.unwatched == 0


@pytest.mark.parametrize(
    "change",
    [{"address": LAN}, {"ports": (80, 0)}, {"name": ServiceName("far", "a b")}, {"name": DB}],
)
def test_what_is_told_of_other_services_is_no_more_believed_than_the_rest(change) -> None:
    odd = replace(OTHERS[0], **change)
    assert plan(seen(others=(odd,))).frontends == plan(SIGHT).frontends


def test_other_services_come_last_where_there_are_too_many(monkeypatch) -> None:
    refusing = sum(len(one.binds) for one in plan(SIGHT).frontends if one.asks)
    first = OtherEntry(ServiceName("a", "first"), "10.214.0.9", (80,))
    monkeypatch.setattr(proxylistening, "MOST_REFUSING", refusing)
    made = plan(seen(others=(first, *OTHERS)))
    kept = {one.name for one in plan(SIGHT).frontends}
    assert kept <= {one.name for one in made.frontends}, "of what this host has to do with"
    monkeypatch.setattr(proxylistening, "MOST_REFUSING", 2)
    few = plan(seen(services=(), others=(first, *OTHERS)))
    assert [(one.name, len(one.binds)) for one in few.frontends] == [("ask:a:first:80", 2)]
    assert few.unwatched == 5, "the third bridge at the first, and all ports of the others"


def test_a_plan_does_not_depend_on_the_order_of_what_is_seen() -> None:
    peers = (*DIRECTORY.peers, Peer(THIRD, "three", "192.0.2.3", 7443))
    shares = (Share(THERE, 1), Share(THIRD, 1))
    services = [replace(one, elsewhere=shares) for one in (API_ENTRY, DB_ENTRY)]
    dice = random.Random(1)
    made = set()
    for _ in range(10):
        mixed = [dice.sample(list(each), len(each)) for each in (services, peers, MEMBERS, BRIDGES)]
        sight = seen(
            services=tuple(mixed[0]),
            peers=tuple(mixed[1]),
            members=tuple(mixed[2]),
            bridges=tuple(mixed[3]),
        )
        made.add(repr(plan(sight)))
    assert len(made) == 1


NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,8}", fullmatch=True)
APPS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
PORTS = st.integers(1, 65535)
ASKED = st.tuples(st.builds(ServiceName, APPS, NAMES), PORTS, st.booleans())


@given(ASKED, ASKED)
def test_a_server_name_is_one_ports_alone(one, other) -> None:
    names = [server_name_of(each[0], each[1], HERE, last=each[2]) for each in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert names[0].count(".") == 1, "a certificate's wildcard stands for one label"


@given(st.builds(ServiceName, APPS, NAMES), PORTS)
def test_a_frontends_name_says_whose_it_is(name, port) -> None:
    entry = replace(API_ENTRY, name=name, ports=(port,))
    made = plan(seen(services=(entry,), published=(PublishedEntry(80, "", name, port),)))
    assert made.frontends
    for one in made.frontends:
        assert subject_of(one.name) == (name, port)


def test_nothing_known_is_nothing_to_do() -> None:
    made = plan(replace(SIGHT, directory=replace(DIRECTORY, services=(), admissions=())))
    assert (made.frontends, made.backends, made.admissions, made.callers) == ((), (), {}, ())


def test_few_hosts_are_a_last_resort_and_not_the_same_for_all_services() -> None:
    peers = tuple(
        Peer(f"{number:032x}", f"h{number}", f"192.0.2.{number + 10}", 7443) for number in range(9)
    )
    shares = tuple(Share(peer.host_id, 1) for peer in peers)
    services = tuple(replace(one, elsewhere=shares) for one in SIGHT.directory.services)
    made = plan(seen(services=services, peers=peers))
    resorts = {
        one.name: frozenset(each.peer for each in one.servers if each.unchecked)
        for one in made.backends
        if one.name.startswith("svc:")
    }
    assert {len(each) for each in resorts.values()} == {2}
    assert len(set(resorts.values())) > 1


def test_hosts_of_the_cluster_are_known_whether_their_proxies_are_up_or_not() -> None:
    """One whose proxy is up again looks at the others before a leader, who may be away, has told them."""
    assert plan(SIGHT).hosts == (THERE,)
    down = seen(peers=(), unproxied=(THERE, THIRD, HERE, "no host id"))
    assert plan(down).hosts == tuple(sorted((THERE, THIRD)))
    assert plan(seen(peers=(), unproxied=())).hosts == ()
    assert plan(replace(down, certificate="")).hosts == ()
