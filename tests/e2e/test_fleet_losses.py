"""Hosts that are cut off, wholly or one way, one or all of them, and come back.

`lost_after` is shorter here than by default, but for the figure. Times are printed: `pytest -rP` shows them.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.e2e.fleet_apps import (
    MARGIN_S,
    apply,
    by_host,
    history,
    made_elsewhere,
    runs_on,
    runs_once,
    settle,
    shop,
    slots,
    started,
    timed,
    web,
)
from tests.fleet import QUICK_AGENT, QUICK_MASTER, QUICK_S, Fleet
from tests.integration.namespaces import HOST_ADDRESS

RETRY_S = 3.0  # the longest that an agent waits before it tries its master again
GRACE_S = 1.0
AFTER_STOP_S = 5.0  # docs/architecture.md, "When a host is not heard"


def is_cut(fleet: Fleet, host: str) -> bool:
    return not fleet.hosts[host].network.can_dial(HOST_ADDRESS, fleet.agents_port)


def test_six_replicas_are_spread(fleet: Fleet) -> None:
    apply(fleet, "six", web())
    assert {host: len(found) for host, found in by_host(fleet, "six").items()} == {
        "web1": 2,
        "web2": 2,
        "web3": 2,
    }
    assert runs_once(fleet, slots("six", "web", 6))


@pytest.mark.parametrize(("home", "killed"), [("web2", False), ("web3", True)])
def test_a_host_cut_off(fleet: Fleet, tmp_path: Path, home: str, killed: bool) -> None:
    """`killed`: its agent is killed in the cut, and started again."""
    shop(fleet, tmp_path, home)
    before = {one.slot: one.life for one in fleet.running("shop")}
    here = by_host(fleet, "shop")[home]
    others = sorted(set(fleet.hosts) - {home})
    web_slots = slots("shop", "web", 6)
    with history(fleet) as happenings:
        begun = time.monotonic()
        fleet.hosts[home].network.cut()
        assert is_cut(fleet, home)
        if killed:
            fleet.hosts[home].agent.kill()
            fleet.hosts[home].agent.start()
        what = f"from cutting {home} off to its replaceable instances running elsewhere"
        timed(lambda: runs_on(fleet, web_slots, others), what, QUICK_S + MARGIN_S, begun)
        assert fleet.states()[home] == "lost"
        what = "from the cut to `on_host_lost: stop` running elsewhere"
        wait_s = QUICK_S + GRACE_S + AFTER_STOP_S
        timed(lambda: runs_on(fleet, ["shop/lone.1"], others), what, wait_s + MARGIN_S, begun)
        never_twice(happenings(), "shop/lone.1", home)
        kept = {one.slot: one.life for one in fleet.running("shop", host=home)}
        assert kept == {slot: before[slot] for slot in here if slot != "shop/lone.1"}
        assert_kept_in_words(fleet, home)
        begun = time.monotonic()
        fleet.hosts[home].network.heal()
        # A neighbour that is just being asked for is asked for again only after a second (arp(7)).
        wait_until(lambda: not is_cut(fleet, home), "the wire carries again", 5.0)
        everything = [*web_slots, "shop/db.1", "shop/files.1", "shop/lone.1"]
        limit_s = RETRY_S + GRACE_S + MARGIN_S
        timed(lambda: runs_once(fleet, everything), "from healing to no doubles", limit_s, begun)
        fleet.wait_for_hosts()
        settle(2)
        now = {one.slot: one.life for one in fleet.running("shop")}
        untouched = [slot for slot in before if slot not in here or "web" not in slot]
        untouched.remove("shop/lone.1")
        assert {slot: now[slot] for slot in untouched} == {slot: before[slot] for slot in untouched}
        assert not made_elsewhere(happenings(), "shop/db", home)
        assert not made_elsewhere(happenings(), "shop/files", home)
        assert fleet.volumes("shop_data") == [home]


def never_twice(happenings, slot: str, home: str) -> None:
    """It ended on its host before it was started on another."""
    ended = [one.at_ns for one in happenings if one.slot == slot and one.action == "die"]
    begun = [one for one in started(happenings, slot) if one.host != home]
    assert len(ended) == 1
    assert len(begun) == 1
    apart_s = (begun[0].at_ns - ended[0]) / 1e9
    print(f"MEASURED from {slot} ending on {home} to its start elsewhere: {apart_s:.1f} s")
    assert apart_s > 0


def assert_kept_in_words(fleet: Fleet, home: str) -> None:
    """The operator is told what is kept, and why."""
    done = fleet.run("explain", "shop")
    assert done.returncode == 1
    for service in ("db", "files"):
        assert f"shop/{service}.1" in done.stdout or f"{service}.1" in done.stdout, done.stdout
    assert home in done.stdout


def test_losing_a_host_with_default_settings(fleet: Fleet) -> None:
    fleet.reconfigure("", "")
    try:
        apply(fleet, "six", web())
        others = ["web1", "web3"]
        begun = time.monotonic()
        fleet.hosts["web2"].network.cut()
        assert is_cut(fleet, "web2")
        what = "with default settings, from losing a host to all instances running elsewhere"
        timed(lambda: runs_on(fleet, slots("six", "web", 6), others), what, 15, begun)
    finally:
        fleet.hosts["web2"].network.heal()
        fleet.reconfigure(QUICK_MASTER, QUICK_AGENT)


@pytest.mark.parametrize("away", [("web1", "web2", "web3"), ("web1", "web3")])
def test_more_are_cut_off_than_by_chance(fleet: Fleet, away: tuple[str, ...]) -> None:
    apply(fleet, "six", web())
    before = fleet.lives("six")
    with history(fleet) as happenings:
        for host in away:
            fleet.hosts[host].network.cut()
        assert all(is_cut(fleet, host) for host in away)
        for host in away:
            fleet.wait_for_state(host, "lost")
        settle(QUICK_S)
        done = fleet.run("status")
        assert done.returncode in (1, 2), "not well"
        assert f"{len(away)} of 3 hosts are silent: nothing moves" in done.stdout
        assert fleet.lives("six") == before
        for host in away:
            fleet.hosts[host].network.heal()
        fleet.wait_for_hosts()
        settle(QUICK_S)
        assert fleet.lives("six") == before
        assert not happenings()


@pytest.mark.parametrize("way", ["deafen", "mute"])
def test_a_host_cut_off_one_way(fleet: Fleet, way: str) -> None:
    """What it says gets nowhere, or it doesn't hear."""
    apply(fleet, "six", web())
    others = ["web1", "web3"]
    network = fleet.hosts["web2"].network
    begun = time.monotonic()
    getattr(network, way)()
    assert is_cut(fleet, "web2")
    what = f"from a cut one way ({way}) to the instances running elsewhere"
    limit_s = QUICK_S + MARGIN_S
    timed(lambda: runs_on(fleet, slots("six", "web", 6), others), what, limit_s, begun)
    assert network.dropped() > 0
    assert not is_cut(fleet, "web1")
    begun = time.monotonic()
    network.heal()
    what = f"from healing a cut one way ({way}) to no doubles"
    timed(lambda: runs_once(fleet, slots("six", "web", 6)), what, 15, begun)


def test_an_operators_word_frees_what_was_kept(fleet: Fleet, tmp_path: Path) -> None:
    """`move --accept-data-loss` while its host is lost; once that returns, the former one ends."""
    shop(fleet, tmp_path, "web2")
    fleet.hosts["web2"].network.cut()
    assert is_cut(fleet, "web2")
    fleet.wait_for_state("web2", "lost")
    refused = fleet.run("move", "--wait", "shop/db")
    assert refused.returncode == 2
    assert "--accept-data-loss" in refused.stderr
    settle(1)
    assert not made_elsewhere_now(fleet, "shop/db.1", "web2")
    fleet.hullmark("move", "--wait", "--accept-data-loss", "--timeout", "30s", "shop/db")
    assert len(made_elsewhere_now(fleet, "shop/db.1", "web2")) == 1
    assert runs_on(fleet, ["shop/db.1", "shop/files.1"], ["web2"]), "the cut host goes on by itself"
    fleet.hosts["web2"].network.heal()
    limit_s = RETRY_S + GRACE_S + MARGIN_S
    timed(lambda: not runs_on(fleet, ["shop/db.1"], ["web2"]), "until the former ends", limit_s)
    assert len(made_elsewhere_now(fleet, "shop/db.1", "web2")) == 1
    assert "web2" in fleet.volumes("shop_data"), "its data is kept there"


def made_elsewhere_now(fleet: Fleet, slot: str, home: str) -> list[str]:
    return [one.host for one in fleet.containers() if one.slot == slot and one.host != home]
