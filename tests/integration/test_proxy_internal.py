"""`internal: true` with a real engine and a real HAProxy: who is only on such a network reaches what is on it, and nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hullmark.model.app import Attachment, Bundle, ContainerSpec, Network
from hullmark.model.directory import PublishedEntry, ServiceEntry, ServiceName
from tests import reach, server
from tests.cluster import wait_until
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork
from tests.integration.proxybed import ProxyBed, proxy_bed
from tests.integration.shipyard import IMAGE, Yard

NETWORKS = (Attachment("back"),)
WEB = ContainerSpec(server.IMAGE, networks=NETWORKS, stop_grace_s=2.0)
CALLER = ContainerSpec(IMAGE, command=("sleep", "1000"), init=True, networks=NETWORKS)
INNER, OUTER = ("10.214.0.7", server.PORT), ("10.214.0.8", server.PORT)
PUBLISHED = (HOST_ADDRESS, 9090)
OUTSIDE = ("192.0.2.50", 8000)


@pytest.fixture
def bed(yard: Yard, request: pytest.FixtureRequest) -> Iterator[ProxyBed]:
    with proxy_bed(yard, request.session) as made:
        yield made


@contextlib.contextmanager
def somebody_outside() -> Iterator[None]:
    """Another machine with a server."""
    address, port = OUTSIDE
    with HostNetwork("outside", address) as network:
        serve = [sys.executable, "-m", "http.server", "--bind", address, str(port)]
        process = subprocess.Popen([*network.inside, *serve], stderr=subprocess.DEVNULL, cwd="/dev")
        try:
            wait_until(lambda: reach.ask([], [OUTSIDE])[OUTSIDE] == reach.ANSWERED, "a server")
            yield
        finally:
            process.kill()
            process.wait()


def entry(app: str, address: str) -> ServiceEntry:
    return ServiceEntry(ServiceName(app, "web"), address, (server.PORT,), networks={"back": ()})


def test_who_is_on_an_internal_network_alone_reaches_what_is_on_it_and_nothing_else(
    bed: ProxyBed,
) -> None:
    """The other app's caller reaches all of it, so it is there to be reached."""
    inner, outer = {"back": Network(internal=True)}, {"back": Network()}
    published = PublishedEntry(PUBLISHED[1], "", ServiceName("shop", "web"), server.PORT)
    bed.tell(entry("sea", INNER[0]), entry("shop", OUTER[0]), published=(published,))
    caller = bed.run(Bundle("sea", "caller", CALLER, inner), 1)
    beside = bed.run(Bundle("sea", "web", WEB, inner), 1)
    other = bed.run(Bundle("shop", "caller", CALLER, outer), 1)
    there = bed.run(Bundle("shop", "web", WEB, outer), 1)
    instances = {each: address_of(bed, each) for each in (beside, there)}
    with somebody_outside():
        beyond = [PUBLISHED, OUTER, OUTSIDE, (instances[there], server.PORT)]
        wait_until(lambda: answered(bed, other, beyond) == set(beyond), "all is there", 10)
        wait_until(lambda: answered(bed, caller, [named(bed, caller)]), "its own service", 10)
        gateway = bed.yard.inspect(caller)["NetworkSettings"]["Networks"]["sea_back"]["Gateway"]
        assert answered(bed, caller, [*beyond, (gateway, PUBLISHED[1])]) == set()
        assert answered(bed, other, [INNER]) == set(), "nor is it reached from elsewhere"
    if bed.yard.engine.info().name == "docker":
        assert named(bed, caller) == INNER
        called = {(one["address"], one["port"]) for one in bed.proxy.records(outcome="refused")}
        assert {PUBLISHED, OUTER, INNER} <= called, "each is on record"
    else:
        assert named(bed, caller) == (instances[beside], server.PORT)


def address_of(bed: ProxyBed, container_id: str) -> str:
    (address,) = bed.yard.engine.container(container_id).addresses.values()
    return address


def named(bed: ProxyBed, caller: str) -> reach.Target:
    """What the container's own programs find under the service's name: by its hosts file, or else by its engine."""
    known = bed.hosts(caller).get("web")
    if known is None:
        said = bed.yard.sh(caller, "nslookup -type=a web").split("Name:")[1]
        known = said.split("Address:")[1].split()[0]
    return known, server.PORT


def answered(bed: ProxyBed, caller: str, targets: list[reach.Target]) -> set[reach.Target]:
    found = reach.ask(bed.inside(caller), targets)
    return {target for target, outcome in found.items() if outcome == reach.ANSWERED}
