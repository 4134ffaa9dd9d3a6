"""Hundreds of requests a second by service addresses and published ports: none fails, whatever is done meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests import server
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, by_host, settle
from tests.e2e.service_apps import calling, inside, one, serving, wait_for_service
from tests.fleet import QUICK_S, Container, Fleet, Host
from tests.load import Load, Outcome

RATE = 100.0
"""By service addresses, each on a new connection, most of them by TLS to another host; and as many again by other ways."""
PORT = 8099
REPLICAS = 3
ROLLING = "replicas: 3, update_config: {{parallelism: 1, order: {order}, monitor: 1s}}"
HEALTH = "    healthcheck: {test: [CMD, /bin/busybox, wget, -q, -O, /dev/null, 'http://127.0.0.1:8080/'], interval: 1s, retries: 3}\n"
DRAIN = "    x-hullmark: {drain: 2s}\n"
"""Kept connections last until then: each stop takes as long."""
PUBLISHED = f"    ports: ['{PORT}:{server.PORT}']\n"


def change(fleet: Fleet, number: int, order: str = "start-first") -> None:
    deploy = ROLLING.format(order=order)
    services = serving("api", more=HEALTH + DRAIN + PUBLISHED, number=number, deploy=deploy)
    apply(fleet, "load", services + calling("caller", "web1"))


@pytest.fixture(scope="module")
def loaded(proxied_bed: Fleet) -> Iterator[Fleet]:
    """An app with an instance on each host, and a container on the first that calls it."""
    change(proxied_bed, 1)
    assert all(by_host(proxied_bed, "load", "api").values())
    wait_for_service(one(proxied_bed, "load", "caller"), "api", server.PORT)
    yield proxied_bed
    proxied_bed.heal()
    proxied_bed.empty()


@pytest.fixture(autouse=True)
def _all_are_back(loaded: Fleet) -> Iterator[None]:
    yield
    loaded.heal()
    wait_until(lambda: len(loaded.running("load")) == REPLICAS + 1, "all instances run")


def load(fleet: Fleet, kept: bool = False, rate: float = 0.0) -> Load:
    """From the container that calls, by name."""
    caller = one(fleet, "load", "caller")
    address = wait_for_service(caller, "api", server.PORT)
    return Load(inside(caller), address, server.PORT, rate=rate or RATE, kept=kept)


def published(fleet: Fleet, host: str, rate: float = 0.0) -> Load:
    """From outside, at the port of a host."""
    return Load([], fleet.hosts[host].network.address, PORT, rate=rate or RATE / 4)


@contextlib.contextmanager
def all_ways(fleet: Fleet) -> Iterator[list[Load]]:
    """By the service address, each on a new connection and over kept ones, and by the published ports of two hosts. None of
    them fails."""
    loads = [
        load(fleet),
        load(fleet, kept=True, rate=RATE / 2),
        published(fleet, "web2"),
        published(fleet, "web3"),
    ]
    with contextlib.ExitStack() as stack:
        for each in loads:
            stack.enter_context(each)
        yield loads
    for each in loads:
        outcome = each.outcome
        assert not outcome.failures, f"{outcome}: {outcome.reasons}{said_then(fleet, outcome)}"
        assert outcome.sent > each.aim.rate * outcome.seconds * 0.5, str(outcome)


def said_then(fleet: Fleet, outcome: Outcome) -> str:
    """What the proxies logged about when the first of them failed."""
    since, until = outcome.failures[0].began_at - 3, outcome.failures[0].ended_at + 0.5
    found = [
        f"\n{name}: {line}"
        for name, host in fleet.hosts.items()
        for line in host.proxy.trouble(since, until)[:20]
    ]
    told = [
        f"\n{name}: {line}"
        for name, host in fleet.hosts.items()
        for line in host.agent.log.read_text(errors="replace").splitlines()[-40:]
    ]
    return f" {outcome.failures[:3]}{''.join(found)}{''.join(told)}"


def rounds(each: Load) -> set[str]:
    """Which generations answered."""
    return {body.split()[1] for body in each.outcome.answers}


@pytest.mark.timeout(240)
def test_rolling_changes_lose_no_request(loaded: Fleet) -> None:
    with all_ways(loaded) as loads:
        change(loaded, 2)
        change(loaded, 3, "stop-first")
        settle(1.0)
    assert [rounds(each) for each in loads] == [{"1", "2", "3"}] * len(loads)


@pytest.mark.timeout(240)
def test_a_killed_instance_loses_what_it_was_answering(loaded: Fleet) -> None:
    """On each host, the last of them with nobody there who could tell the proxy."""
    moments = []
    loads = [load(loaded), published(loaded, "web3")]
    with loads[0], loads[1]:
        for number in range(REPLICAS):
            victim = api(loaded)[number]
            if number == REPLICAS - 1:
                loaded.hosts[victim.host].agent.kill()
            moments.append(time.time())
            os.kill(victim.inspected["State"]["Pid"], signal.SIGKILL)
            settle(2.0)
            loaded.heal()
            wait_until(lambda: len(api(loaded)) == REPLICAS, "it runs again")
            assert victim.life not in loaded.lives("load")
    for each in loads:
        missed = [
            failure
            for failure in each.outcome.failures
            if not any(failure.open_at(moment) for moment in moments)
        ]
        assert not missed, f"{each.outcome}: {missed[:5]} at {moments}"
        assert len(each.outcome.failures) < 20, f"{each.outcome}: {each.outcome.reasons}"


def api(fleet: Fleet) -> list[Container]:
    """Its instances, by host."""
    found = [each for each in fleet.running("load") if each.label("service") == "api"]
    return sorted(found, key=lambda each: (each.host, each.slot))


@pytest.mark.timeout(240)
def test_agents_and_masters_that_are_away_lose_no_request(loaded: Fleet) -> None:
    """Each of them is killed, so that nobody tidies up, and stays away for longer than a host may be silent."""
    former = epoch(loaded)
    with all_ways(loaded):
        agent = loaded.hosts["web1"].agent
        agent.kill(signal.SIGTERM)
        agent.start()
        loaded.wait_for_hosts()
        loaded.master.kill()
        loaded.master.start()
        loaded.wait_for_hosts()
        assert epoch(loaded) != former, "another term"
        loaded.master.kill()
        for name in ("web1", "web3"):
            loaded.hosts[name].agent.kill()
        settle(QUICK_S + 2)
        loaded.heal()
        settle(1.0)


def epoch(fleet: Fleet) -> str:
    """Of the leader; the exit code tells of controls that fail, and is not looked at."""
    return str(json.loads(fleet.run("status", "--output", "json").stdout)["epoch"])


@pytest.mark.timeout(240)
def test_changes_of_the_proxy_lose_no_request(loaded: Fleet) -> None:
    """Another app comes and goes, which takes a reload; certificates are made anew; somebody has it reload at once,
    again and again."""
    with all_ways(loaded):
        workers = {name: host.proxy.workers for name, host in loaded.hosts.items()}
        apply(loaded, "other", serving("web", more="    ports: ['8077:8080']\n"))
        for name, host in loaded.hosts.items():
            wait_until(lambda: host.proxy.workers != workers[name], f"{name}: another worker")  # noqa: B023
        loaded.hullmark("rm", "--wait", "other")
        renew_certificates(list(loaded.hosts.values()))
        settle(1.0)


def renew_certificates(hosts: list[Host]) -> None:
    """Without one an agent asks for another: all at once."""
    files = [host.proxy.folder / "proxy.pem" for host in hosts]
    former = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()

    def renewed() -> bool:
        return all(file.exists() and file.read_bytes() != former[file] for file in former)

    wait_until(renewed, "all hosts have another certificate", 40)
