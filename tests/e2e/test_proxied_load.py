"""500 requests a second by service addresses and published ports: none fails, whatever is done meanwhile.

200 a second are each on a connection of its own, 300 on four that are kept. Two of three connections go to another host, so there
are some 130 handshakes of TLS a second: one takes 2 ms of the processors, both sides together, and two of those have to be enough. Where they aren't, as
what is asked alone takes most of them, it is half of all this, and said so: whoever has no processor left loses requests by whatever proxy.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests import server
from tests.chaos.faults import stopped
from tests.chaos.pair import Pair
from tests.chaos.record import Reign
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, by_host, settle
from tests.e2e.service_apps import calling, inside, one, serving, wait_for_service
from tests.fleet import QUICK_S, Container, Fleet, Host
from tests.load import LANES, Load, Outcome, Processors

RATE = 500.0
"""Requests a second in all."""
NAMED, KEPT, OUTSIDE = 100.0, 300.0, 100.0
"""By the service address, each on a new connection, and over a few that are kept; by published ports, each on a new connection."""
REACHED = 0.9
STEADY_S, STEADY_MOST = 5.0, 0.75
"""How long it is seen what the requests alone take of the processors, and the most that leaves enough for what is done meanwhile."""
PORT = 8099
REPLICAS = 3
ROLLING = "replicas: 3, update_config: {{parallelism: 1, order: {order}, monitor: 1s}}"
HEALTH = "    healthcheck: {test: [CMD, /bin/busybox, wget, -q, -O, /dev/null, 'http://127.0.0.1:8080/'], interval: 1s, retries: 3}\n"
DRAIN = "    x-hullmark: {drain: 1s}\n"
"""Kept connections last until then: each stop takes as long."""
PUBLISHED = f"    ports: ['{PORT}:{server.PORT}']\n"


def change(fleet: Fleet, number: int, order: str = "start-first") -> None:
    deploy = ROLLING.format(order=order)
    services = serving("api", more=HEALTH + DRAIN + PUBLISHED, number=number, deploy=deploy)
    apply(fleet, "load", services + calling("caller", "web1"))


@pytest.fixture(scope="module")
def loaded(proxied_bed: Pair) -> Iterator[Pair]:
    """An app with an instance on each host, and a container on the first that calls it."""
    change(proxied_bed, 1)
    assert all(by_host(proxied_bed, "load", "api").values())
    wait_for_service(one(proxied_bed, "load", "caller"), "api", server.PORT)
    yield proxied_bed
    proxied_bed.heal()
    proxied_bed.empty()


@pytest.fixture(autouse=True)
def _all_are_back(loaded: Pair) -> Iterator[None]:
    yield
    loaded.heal()
    wait_until(lambda: len(loaded.running("load")) == REPLICAS + 1, "all instances run")


@contextlib.contextmanager
def all_ways(fleet: Fleet) -> Iterator[list[Load]]:
    """As `loads`, and no request fails, nor is a connection closed that is kept."""
    with no_failures(fleet) as found:
        yield found
    closed = [str(each.outcome) for each in found if each.outcome.reopened]
    assert not closed, closed


@contextlib.contextmanager
def no_failures(fleet: Fleet) -> Iterator[list[Load]]:
    with loads(fleet) as found:
        yield found
    for each in found:
        outcome = each.outcome
        assert not outcome.failures, f"{outcome}{said_then(fleet, outcome)}"


@functools.lru_cache(maxsize=1)
def share(fleet: Fleet) -> float:
    """Of all requests, those that this machine can do: all, or half."""
    before = Processors.now()
    with contextlib.ExitStack() as stack:
        for each in ways(fleet, 1.0):
            stack.enter_context(each)
        settle(STEADY_S)
        busy = Processors.now() - before
    found = 1.0 if busy.used <= STEADY_MOST * busy.given else 0.5
    print(
        f"MEASURED while nothing changes: {busy}; so it is tried with {RATE * found:.0f} a second"
    )
    return found


def ways(fleet: Fleet, part: float) -> list[Load]:
    caller = one(fleet, "load", "caller")
    named = (inside(caller), wait_for_service(caller, "api", server.PORT), server.PORT)
    outside = [fleet.hosts[name].network.address for name in ("web2", "web3")]
    rates = NAMED * part, KEPT * part, OUTSIDE * part / len(outside)
    assert rates[0] + rates[1] + rates[2] * len(outside) == RATE * part
    return [
        Load(*named, rate=rates[0]),
        Load(*named, rate=rates[1], kept=True),
        *(Load([], address, PORT, rate=rates[2]) for address in outside),
    ]


@contextlib.contextmanager
def loads(fleet: Fleet) -> Iterator[list[Load]]:
    """By all ways at once, each at its rate: more slowly would prove less."""
    found = ways(fleet, share(fleet))
    before = Processors.now()
    with contextlib.ExitStack() as stack:
        for each in found:
            stack.enter_context(each)
        yield found
        busy = Processors.now() - before
    rate = sum(each.outcome.rate for each in found)
    print(f"MEASURED {rate:.0f} requests a second in all; {busy}")
    slow = [str(each.outcome) for each in found if each.outcome.rate < each.aim.rate * REACHED]
    wanted = sum(each.aim.rate for each in found)
    assert not slow, f"too few requests, of {wanted:g} a second {rate:.0f}: {slow}; {busy}"


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
def test_rolling_changes_lose_no_request(loaded: Pair) -> None:
    """A kept connection ends with the instance that it leads to, once, and what was on its way by then is sent again."""
    with no_failures(loaded) as found:
        change(loaded, 2)
        change(loaded, 3, "stop-first")
        settle(1.0)
    assert [rounds(each) for each in found] == [{"1", "2", "3"}] * len(found)
    closed = sum(each.outcome.reopened for each in found)
    assert closed <= 2 * REPLICAS * LANES, "one by each instance that was stopped"


@pytest.mark.timeout(240)
def test_a_killed_instance_loses_what_it_was_answering(loaded: Pair) -> None:
    """On each host, the last of them with nobody there who could tell the proxy."""
    moments = []
    with loads(loaded) as found:
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
    failures = [failure for each in found for failure in each.outcome.failures]
    missed = [one for one in failures if not any(one.open_at(moment) for moment in moments)]
    assert not missed, f"{len(missed)} failed: {missed[:5]} at {moments}"
    assert len(failures) < RATE * share(loaded) * 0.1, failures


def api(fleet: Fleet) -> list[Container]:
    """Its instances, by host."""
    found = [each for each in fleet.running("load") if each.label("service") == "api"]
    return sorted(found, key=lambda each: (each.host, each.slot))


@pytest.mark.timeout(240)
def test_changes_of_the_leader_lose_no_request(loaded: Pair) -> None:
    """It is killed, so that nobody tidies up; the next one freezes, and wakes when another leads."""
    with all_ways(loaded):
        killed, former = loaded.leader(), loaded.eye.leader()
        killed.kill()
        followed(loaded, former)
        killed.start()
        loaded.wait_for_hosts()
        frozen, former = loaded.leader(), loaded.eye.leader()
        wait_until(functools.partial(has_standby, loaded), "there is a standby")
        frozen.pause()
        wait_until(lambda: stopped(frozen.pid), "the leader is frozen", 2)
        followed(loaded, former)
        settle(2.0)
        frozen.resume()
        settle(2.0)
        assert loaded.leader() is not frozen
        loaded.wait_for_hosts()


def has_standby(pair: Pair) -> bool:
    """The exit code tells of controls that fail, and is not looked at."""
    masters = json.loads(pair.run("status", "--output", "json").stdout)["masters"]
    return "standby" in [one["role"] for one in masters]


def followed(pair: Pair, former: Reign) -> None:
    """Another master leads, in a later term."""
    wait_until(lambda: pair.eye.leader().leader not in ("", former.leader), "another leads")
    assert pair.eye.leader().epoch > former.epoch


@pytest.mark.timeout(240)
def test_agents_and_masters_that_are_away_lose_no_request(loaded: Pair) -> None:
    """An agent is started again; then both masters are killed, and the agents of two hosts, and stay away for longer than a
    host may be silent."""
    with all_ways(loaded):
        agent = loaded.hosts["web1"].agent
        agent.kill(signal.SIGTERM)
        agent.start()
        loaded.wait_for_hosts()
        former = loaded.eye.leader()
        loaded.kill_masters()
        for name in ("web1", "web3"):
            loaded.hosts[name].agent.kill()
        settle(QUICK_S + 2)
        loaded.heal()
        assert loaded.eye.leader().epoch > former.epoch
        settle(1.0)


@pytest.mark.timeout(240)
def test_changes_of_the_proxy_lose_no_request(loaded: Pair) -> None:
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
