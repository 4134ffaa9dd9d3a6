"""Whose an address is changes, and the proxy gives nobody the connections of another: with a real engine and a real HAProxy."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.model.app import Attachment, Bundle, ContainerSpec, Network
from hullmark.model.directory import ServiceEntry, ServiceName
from tests import reach, server
from tests.cluster import wait_until
from tests.integration.engines import Engine, run_inside
from tests.integration.proxybed import ProxyBed, proxy_bed
from tests.integration.shipyard import IMAGE, Yard, yard_for

NETWORKS = (Attachment("back"),)
DB = Bundle(
    "sea",
    "db",
    ContainerSpec(server.IMAGE, networks=NETWORKS, stop_grace_s=2.0),
    {"back": Network()},
)
CACHE = dataclasses.replace(DB, service="cache")
CALLER = Bundle(
    "sea",
    "caller",
    ContainerSpec(IMAGE, command=("sleep", "1000"), init=True, networks=NETWORKS),
    {"back": Network()},
)
DB_AT, CACHE_AT = "10.214.0.7", "10.214.0.8"
ENTRIES = [
    ServiceEntry(ServiceName("sea", name), address, (server.PORT,), networks={"back": ()})
    for name, address in (("db", DB_AT), ("cache", CACHE_AT))
]
NETWORK = "sea_back"


class Way:
    """By which the agent gets to the engine. While it is shut its engine is away for it, and for nobody else."""

    def __init__(self, yard: Yard, link: Path) -> None:
        self.yard = yard
        self.link = link

    def open(self) -> None:
        self.link.symlink_to(self.yard.daemon.socket.partition("://")[2])

    def shut(self) -> None:
        self.link.unlink()
        self.yard.engine.close()


@pytest.fixture
def way(clean_engine: Engine, image: str, tmp_path: Path) -> Iterator[Way]:
    link = tmp_path / "engine.sock"
    yard = yard_for(clean_engine, tmp_path, f"unix://{link}")
    way = Way(yard, link)
    way.open()
    yield way
    yard.engine.close()


@pytest.fixture
def bed(way: Way, request: pytest.FixtureRequest) -> Iterator[ProxyBed]:
    with proxy_bed(way.yard, request.session) as made:
        yield made


def address_of(bed: ProxyBed, container_id: str) -> str:
    """As the engine says; empty where it is on no network."""
    networks = bed.yard.inspect(container_id)["NetworkSettings"]["Networks"] or {}
    return str((networks.get(NETWORK) or {}).get("IPAddress") or "")


def who_answers(bed: ProxyBed, caller: str, address: str) -> str:
    """The beginning of the id of the container that answers a service's callers; empty where nobody does."""
    script = f"wget -q -O - http://{address}:{server.PORT}/"
    code, said = run_inside(bed.yard.daemon.socket, caller, script)
    return said.split()[0] if code == 0 else ""


def begin(bed: ProxyBed) -> tuple[str, str, str]:
    """The caller, the database and the cache, once both are answered by their own containers."""
    bed.tell(*ENTRIES)
    caller, db, cache = (bed.run(one, 1) for one in (CALLER, DB, CACHE))
    wait_until(lambda: who_answers(bed, caller, DB_AT) == db[:12], "db is reached", 10)
    wait_until(lambda: who_answers(bed, caller, CACHE_AT) == cache[:12], "cache is reached", 10)
    return caller, db, cache


def test_containers_that_restart_while_the_engine_is_away_are_reached_where_they_are(
    way: Way, bed: ProxyBed
) -> None:
    """Docker gives each the former address of the other, Podman gives both new ones."""
    caller, db, cache = begin(bed)
    before = {one: address_of(bed, one) for one in (db, cache)}
    way.shut()
    containers = [bed.yard.sdk.containers.get(one) for one in (db, cache)]
    for one in containers:
        one.stop(timeout=0)
    for one in reversed(containers):
        one.start()
    after = {one: address_of(bed, one) for one in (db, cache)}
    assert not before.items() & after.items(), "both have other addresses"
    known = {one.container_id: one.addresses[NETWORK] for one in bed.agent.observer.seen()}
    assert before.items() <= known.items(), "the agent could not know"
    way.open()
    wait_until(lambda: who_answers(bed, caller, DB_AT) == db[:12], "db is reached", 10)
    wait_until(lambda: who_answers(bed, caller, CACHE_AT) == cache[:12], "cache is reached", 10)


def test_who_takes_a_members_address_does_not_get_its_connections(bed: ProxyBed) -> None:
    caller, db, _ = begin(bed)
    former = address_of(bed, db)
    network = bed.yard.sdk.networks.get(NETWORK)
    network.disconnect(db)
    intruder = run_at(bed, former)
    assert (address_of(bed, db), address_of(bed, intruder)) == ("", former)
    # Docker announces who has it now. Where nobody does, the host finds out within a minute.
    subprocess.run(["ip", "neigh", "flush", "to", former], check=True)
    target = (former, server.PORT)
    wait_until(lambda: reach.ask([], [target])[target] == reach.ANSWERED, "it answers there", 5)
    # Podman tells of what was disconnected a moment later, when the other one may run already.
    wait_until(lambda: who_answers(bed, caller, DB_AT) != intruder[:12], "the proxy is told", 3)
    assert [who_answers(bed, caller, DB_AT) for _ in range(2)] == ["", ""]
    network.connect(db)
    assert address_of(bed, db) not in ("", former)
    wait_until(lambda: who_answers(bed, caller, DB_AT) == db[:12], "db is reached again", 5)


def run_at(bed: ProxyBed, address: str) -> str:
    """A container of somebody else's on the network of the app, by the engine and not by the agent. Its id."""
    api = bed.yard.sdk.api
    endpoints: Any = {NETWORK: api.create_endpoint_config(ipv4_address=address)}
    made = api.create_container(
        server.IMAGE,
        name="intruder",
        host_config=api.create_host_config(network_mode=NETWORK),
        networking_config=api.create_networking_config(endpoints),
    )
    api.start(made["Id"])
    return str(made["Id"])
