"""What a leader that follows another knows of hosts whose agent says nothing to it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.directory import directory_of, tabled
from hullmark.core.lastknown import proxies_of, record_of
from hullmark.model.app import PortSpec
from hullmark.model.directory import Admission, Directory, ServiceName, Share
from hullmark.model.observed import Phase
from hullmark.model.records import ProxyRecord
from tests.unit.core.serviceworld import LOST_S, World, app, facts, service, worlds

DB = ServiceName("shop", "db")
SHOP = app("shop", web=service("front"), db=service("front"))
FOREVER_S = 3600.0


def elsewhere(directory: Directory) -> tuple[Share, ...]:
    """Which hosts serve the database."""
    return next(one.elsewhere for one in directory.services if one.name == DB)


def shop() -> World:
    """The database is on the second of three hosts, and asked from the first."""
    world = World([SHOP])
    world.run("h1", "shop/web")
    world.run("h2", "shop/db")
    return world


@settings(max_examples=80)
@given(worlds(), st.data())
def test_whoever_follows_tells_all_hosts_the_same(world: World, data: st.DataObject) -> None:
    """Whatever the silent ones served, and whether they are lost by now."""
    silent = data.draw(st.sets(st.sampled_from(sorted(world.hosts)), min_size=1))
    for host in silent:
        world.heard[host] = max(world.heard[host] for host in silent)
    before = tabled(world.snapshot())
    world.followed(*silent)
    assert tabled(world.snapshot()).digests == before.digests


def test_what_only_a_host_with_a_silent_agent_serves_stays_until_another_serves_it() -> None:
    world = shop()
    world.heard["h2"] = FOREVER_S
    world.followed("h2")
    directory = directory_of(world.snapshot(), "h1")
    assert elsewhere(directory) == (Share("h2", 1),)
    assert ("h2", "192.0.2.2") in {(peer.host_id, peer.address) for peer in directory.peers}
    world.run("h3", "shop/db", 2)
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h3", 1),)


def test_who_asks_for_its_published_ports_is_still_let_in() -> None:
    """Its proxy goes on to answer them, and asks the host that serves."""
    world = World([app("shop", web=service("front", ports=[PortSpec(80, 8080)]))])
    world.run("h1", "shop/web")
    world.heard["h2"] = FOREVER_S
    world.followed("h2")
    let_in = directory_of(world.snapshot(), "h1").admissions
    assert Admission("h2", ServiceName("shop", "web"), ("",)) in let_in
    del world.proxies["h2"]
    assert "h2" not in {one.host_id for one in directory_of(world.snapshot(), "h1").admissions}


def test_the_first_report_counts_and_no_record_beside_it() -> None:
    """It came back with its database ended, another one, another address."""
    world = shop()
    world.heard["h2"] = FOREVER_S
    world.followed("h2")
    world.unreported.clear()
    world.heard["h2"] = 0.5
    world.facts["h2"] = facts(9)
    (gone,) = world.instances["h2"]
    world.instances["h2"][gone] = dataclasses.replace(
        world.instances["h2"][gone], phase=Phase.FAILED
    )
    directory = directory_of(world.snapshot(), "h1")
    assert elsewhere(directory) == ()
    assert [peer.address for peer in directory.peers if peer.host_id == "h2"] == ["192.0.2.9"]
    world.facts["h2"] = facts(2, proxy=False)
    assert "h2" not in proxies_of(world.snapshot())


def test_a_record_gives_no_right() -> None:
    """What is not ordered there any more, or never was, is nothing; nobody is let in for it."""
    world = shop()
    world.followed("h2")
    honest = directory_of(world.snapshot(), "h1")
    more = (*world.proxies["h2"].serving, "shop.db.7.g1", "shop.web.1.g1", "../../x", "blog.web.1")
    world.proxies["h2"] = dataclasses.replace(world.proxies["h2"], serving=more)
    assert directory_of(world.snapshot(), "h1") == honest
    world.assigned["h2"].clear()
    world.assign("h2", "shop/db", 1, 2)
    assert elsewhere(directory_of(world.snapshot(), "h1")) == ()


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("192.0.2.2\nserver x", 7443),
        ("127.0.0.1", 6379),
        ("::ffff:7f00:1", 6379),
        ("::ffff:127.0.0.1", 6379),
        ("192.0.2.2", 0),
    ],
)
def test_what_can_not_be_a_place_is_none_in_a_record_either(address: str, port: int) -> None:
    world = shop()
    world.followed("h2")
    world.proxies["h2"] = dataclasses.replace(world.proxies["h2"], address=address, port=port)
    assert "h2" not in proxies_of(world.snapshot())
    assert elsewhere(directory_of(world.snapshot(), "h1")) == ()


def test_of_a_host_that_is_no_more_nothing_is_left() -> None:
    world = shop()
    world.followed("h2")
    del world.hosts["h2"]
    snapshot = world.snapshot()
    assert snapshot.proxies.keys() == {"h1", "h2", "h3"}
    assert proxies_of(snapshot).keys() == {"h1", "h3"}
    assert record_of(snapshot, "h2", {"h2": ("192.0.2.2", 7443)}) is None


def test_kept_is_what_serves_of_services_with_an_address_behind_a_proxy() -> None:
    world = shop()
    world.run("h2", "shop/web", 3)
    world.run("h2", "shop/db", 2, phase=Phase.STARTING)
    world.run("h2", "shop/db", 3)
    world.assigned["h2"].pop()
    del world.addresses["shop/web"]
    snapshot = world.snapshot()
    places = proxies_of(snapshot)
    assert record_of(snapshot, "h2", places) == ProxyRecord("192.0.2.2", 7443, ("shop.db.1.g1",))
    assert record_of(snapshot, "h3", places) == ProxyRecord("192.0.2.3", 7443)
    assert record_of(snapshot, "h2", {}) is None


def test_a_host_that_is_heard_and_has_not_reported_yet_is_as_it_was() -> None:
    world = shop()
    world.followed("h2")
    world.heard["h2"] = 0.1
    world.waited_s = LOST_S * 3
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1),)
