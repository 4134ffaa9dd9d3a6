"""Which containers get connections."""

from __future__ import annotations

import dataclasses
import functools

from hullmark.core.found import Found, FoundState
from hullmark.core.members import drain_s, is_needed, members_of
from hullmark.model.directory import Directory, PublishedEntry, ServiceEntry, ServiceName, Share
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId

WEB = ServiceName("shop", "web")
ENTRY = ServiceEntry(WEB, "10.214.0.1", (80,), networks={"back": ()}, drain_s=7.0)
HERE = Directory(services=(ENTRY,))
THERE = Directory(services=(dataclasses.replace(ENTRY, elsewhere=(Share("h2", 1),)),))


def up(slot: int, **parts: object) -> Found:
    instance = InstanceId("shop", "web", slot, 1)
    addresses = {"shop_back": f"10.213.0.{slot}", "bridge": "172.17.0.2"}
    made = Found(
        f"id{slot}",
        instance.container_name,
        instance,
        "f" * 64,
        FoundState.RUNNING,
        started_at=100.0,
        addresses=addresses,
    )
    return dataclasses.replace(made, **parts)  # type: ignore[arg-type]


def test_one_that_is_up_and_healthy_serves_by_its_app_networks() -> None:
    (one,) = members_of([up(1)], HERE)
    assert (one.container_id, one.addresses) == ("id1", {"back": "10.213.0.1"})
    assert (one.serving, one.leaving) == (True, False)


def test_who_is_no_member_and_who_does_not_serve() -> None:
    states = [FoundState.CREATED, FoundState.ENDED, FoundState.BROKEN]
    assert members_of([up(1, state=state) for state in states], HERE) == ()
    for changes in (
        {"health": Health.STARTING},
        {"health": Health.UNHEALTHY},
        {"state": FoundState.PAUSED},
    ):
        (one,) = members_of([up(1, **changes)], HERE)
        assert not one.serving, changes


def test_one_that_ended_is_none_until_it_is_started_again() -> None:
    assert members_of([up(1)], HERE, ended={"id1": 100.0}) == ()
    assert len(members_of([up(1, started_at=101.0)], HERE, ended={"id1": 100.0})) == 1


def test_one_of_several_leaves() -> None:
    found = members_of([up(1), up(2)], HERE, leaving={"id1"})
    assert [one.leaving for one in found] == [True, False]
    (alone,) = members_of([up(1)], THERE, leaving={"id1"})
    assert alone.leaving, "another host has one"


def test_the_last_that_serves_is_given_connections_until_its_signal() -> None:
    found = members_of([up(1), up(2)], HERE, leaving={"id1", "id2"})
    assert [one.leaving for one in found] == [False, False]
    unhealthy = up(2, health=Health.UNHEALTHY)
    assert [one.leaving for one in members_of([up(1), unhealthy], HERE, leaving={"id1"})] == [
        False,
        False,
    ]


def test_how_long_it_may_go_on() -> None:
    assert drain_s(HERE, WEB) == 7.0
    assert drain_s(Directory(), WEB) == 0.0


def test_what_needs_a_proxy() -> None:
    needed = functools.partial(is_needed, is_installed=False)
    assert not needed(HERE), "the engine's own names reach what is beside"
    assert is_needed(HERE, is_installed=True), "names lead to the proxy, be it down"
    assert not is_needed(Directory(), is_installed=True)
    assert needed(THERE)
    assert needed(Directory(published=(PublishedEntry(80, "", WEB, 80),)))
    used = dataclasses.replace(ENTRY, users=(ServiceName("bank", "api"),))
    assert needed(Directory(services=(used,)))
