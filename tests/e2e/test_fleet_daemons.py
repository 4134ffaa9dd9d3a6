"""Agents, masters and engines that are killed, stand still or have a wrong clock, on three hosts that are well: nothing is started elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, by_host, history, settle, started, web
from tests.e2e.test_faults import Clock
from tests.fleet import QUICK_S, Fleet


def test_agents_and_master_killed(fleet: Fleet) -> None:
    apply(fleet, "six", web())
    before = fleet.lives("six")
    assert len(before) == 6
    daemons = [fleet.master, *(host.agent for host in fleet.hosts.values())]
    with history(fleet) as happenings:
        for daemon in daemons:
            pid = daemon.pid
            daemon.kill()
            assert not Path(f"/proc/{pid}").exists()
        settle(1)
        assert fleet.lives("six") == before
        for daemon in daemons:
            daemon.start()
        fleet.wait_for_hosts()
        settle(QUICK_S + 1)
        assert fleet.lives("six") == before
        apply(fleet, "six", web(replicas=7))
        assert before < fleet.lives("six")
        assert [one.slot for one in started(happenings())] == ["six/web.7"], "the histories do see"


def test_the_master_stands_still(fleet: Fleet) -> None:
    """For three times what makes a host lost: it was the master that slept, not the hosts."""
    apply(fleet, "six", web())
    before = fleet.lives("six")
    with history(fleet) as happenings:
        os.kill(fleet.master.pid, signal.SIGSTOP)
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                fleet.run("status", timeout_s=2)
            settle(3 * QUICK_S)
        finally:
            os.kill(fleet.master.pid, signal.SIGCONT)
        wait_until(lambda: "stood still" in fleet.master.log.read_text(), "it noticed", 10)
        fleet.wait_for_hosts()
        settle(QUICK_S)
        assert fleet.lives("six") == before
        assert not happenings()
    fleet.hullmark("scale", "--wait", "six/web=7")
    assert before < fleet.lives("six"), "it leads as before"


def test_the_masters_clock_is_set(fleet: Fleet) -> None:
    """Forth by a day and back by an hour: nothing is decided by the wall clock."""
    apply(fleet, "six", web())
    before = fleet.lives("six")
    fleet.master.kill()
    clock = Clock(fleet.master, fleet.folder / "clock")
    fleet.master.start()
    try:
        fleet.wait_for_hosts()
        with history(fleet) as happenings:
            for offset in ("+1d", "-1h"):
                clock.set(offset)
                wait_until(lambda: all_say(fleet, "clock.wrong"), "the clocks differ", 30)
                settle(QUICK_S)
                assert fleet.lives("six") == before
            assert set(fleet.states().values()) == {"ready"}
            assert not happenings()
    finally:
        fleet.master.environment = {}
        fleet.master.kill()
        fleet.master.start()


def all_say(fleet: Fleet, code: str) -> bool:
    """Whether every host has this problem."""
    views = fleet.host_views().values()
    return all(code in {one["code"] for one in view["problems"]} for view in views)


def test_an_engine_that_is_down_is_no_lost_host(fleet: Fleet) -> None:
    """Its containers run without it, and its host is heard: nothing is started elsewhere."""
    apply(fleet, "six", web())
    before = fleet.lives("six")
    engine = fleet.hosts["web1"].engine
    with history(fleet) as happenings:
        engine.kill()
        wait_until(
            lambda: any(
                one["code"] == "engine.unavailable"
                for one in fleet.host_views()["web1"]["problems"]
            ),
            "the host says so",
        )
        settle(QUICK_S)
        assert fleet.run("status").returncode == 1
        assert fleet.states() == dict.fromkeys(fleet.hosts, "ready")
        engine.start()
        fleet.wait_for_hosts()
        settle(1)
        assert fleet.lives("six") == before
        assert not started(happenings())


def test_an_engine_that_is_down_gets_no_new_work(fleet: Fleet) -> None:
    fleet.hosts["web1"].engine.kill()
    wait_until(lambda: fleet.host_views()["web1"]["problems"], "the host says so")
    apply(fleet, "six", web())
    assert {host: len(found) for host, found in by_host(fleet, "six").items()} == {
        "web1": 0,
        "web2": 3,
        "web3": 3,
    }
