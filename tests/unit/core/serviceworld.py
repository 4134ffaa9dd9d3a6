"""Clusters with services that call each other, for the tests of what hosts are told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from hullmark.core.generations import next_record
from hullmark.core.lastknown import proxies_of, record_of
from hullmark.model.app import (
    App,
    Attachment,
    ClientAddress,
    ContainerSpec,
    Network,
    PortSpec,
    Service,
)
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import Health, HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.records import HostAssignments, ProxyRecord
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import CHANGE, CLUSTER, LEADER

RANGE = "10.214.0.0/16"
LOST_S = 10.0
NETWORKS = ("back", "front")


def service(
    *networks: str,
    uses: Sequence[str] = (),
    ports: Sequence[PortSpec] = (),
    ingress: Sequence[str] = (),
    scope: str = "",
    expose: Sequence[str] = ("80",),
) -> Service:
    places = tuple(Attachment(key, (f"of-{key}",)) for key in networks)
    container = ContainerSpec("x:1", expose=tuple(expose), networks=places, scope=scope)
    return Service(container, ports=tuple(ports), uses=tuple(uses), ingress=tuple(ingress))


def app(name: str, **services: Service) -> App:
    return App(name, services, {key: Network() for key in NETWORKS})


def facts(number: int, *, proxy: bool = True) -> HostFacts:
    if not proxy:
        return HostFacts(architecture="x86_64")
    return HostFacts(
        architecture="x86_64",
        proxy_version="2.6.12",
        proxy_address=f"192.0.2.{number}",
        proxy_port=7443,
    )


class World:
    """A cluster that a test changes step by step, and the snapshot of it. Hosts are `h1`, `h2`, ...; their ids too."""

    def __init__(self, apps: Sequence[App], hosts: int = 3) -> None:
        names = [f"h{number + 1}" for number in range(hosts)]
        self.apps = {one.name: next_record(None, one, CHANGE) for one in apps}
        self.hosts = {name: HostRecord(name, name, 1.0) for name in names}
        self.facts = {name: facts(number + 1) for number, name in enumerate(names)}
        self.instances: dict[str, dict[str, InstanceStatus]] = {name: {} for name in names}
        self.assigned: dict[str, list[InstanceId]] = {name: [] for name in names}
        self.heard = dict.fromkeys(names, 0.5)
        self.unreported: set[str] = set()
        self.proxies: dict[str, ProxyRecord] = {}
        self.waited_s = 100.0
        self.addresses: dict[str, str] = {}
        for one in apps:
            for key in one.services:
                self.addresses[f"{one.name}/{key}"] = f"10.214.0.{len(self.addresses) + 1}"

    def assign(self, host: str, name: str, slot: int = 1, generation: int = 1) -> InstanceId:
        """To run there; the host has said nothing of it yet."""
        owner, _, key = name.partition("/")
        instance = InstanceId(owner, key, slot, generation)
        self.assigned[host].append(instance)
        return instance

    def run(
        self,
        host: str,
        name: str,
        slot: int = 1,
        generation: int = 1,
        *,
        phase: Phase = Phase.RUNNING,
        health: Health = Health.NONE,
    ) -> InstanceId:
        instance = self.assign(host, name, slot, generation)
        status = InstanceStatus(instance, phase, health)
        self.instances[host][instance.container_name] = status
        return instance

    def snapshot(self) -> Snapshot:
        return Snapshot(
            CLUSTER,
            LEADER,
            dict(self.apps),
            dict(self.hosts),
            {
                host: HostAssignments(tuple(Assignment(one, "hash") for one in assigned))
                for host, assigned in self.assigned.items()
            },
            {
                host: HostState(self.facts[host], dict(self.instances[host]))
                for host in self.hosts
                if host not in self.unreported
            },
            dict(self.heard),
            self.waited_s,
            LOST_S,
            LOST_S * 0.55,
            addresses=dict(self.addresses),
            address_range=RANGE,
            proxies=dict(self.proxies),
        )

    def followed(self, *silent: str) -> None:
        """Another leader follows, who keeps what the former one knew and never hears of these hosts. It waits for them as long as the former one had, who
        last heard all of them at the same moment."""
        snapshot = self.snapshot()
        places = proxies_of(snapshot)
        records = {host: record_of(snapshot, host, places) for host in self.hosts}
        self.proxies = {host: kept for host, kept in records.items() if kept is not None}
        self.waited_s = max(self.heard[host] for host in silent)
        for host in silent:
            self.unreported.add(host)
            del self.heard[host]


NAMES = tuple(f"{one}/{key}" for one in ("blog", "shop") for key in ("db", "web"))


@st.composite
def services(draw: st.DrawFn) -> Service:
    port = st.builds(
        PortSpec,
        st.just(80),
        st.sampled_from((0, 8000, 8001)),
        st.just(0),
        st.just("tcp"),
        st.sampled_from(("", "192.0.2.1", "192.0.2.2")),
    )
    made = service(
        *draw(st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True)),
        uses=draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)),
        ports=draw(st.lists(port, max_size=2)),
        ingress=draw(st.sampled_from(((), (), ("node.labels.edge == yes",)))),
        scope=draw(st.sampled_from(("", "cde"))),
    )
    address = draw(st.sampled_from(list(ClientAddress)))
    return dataclasses.replace(made, client_address=address)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    made = {name: draw(services()) for name in draw(st.sets(st.sampled_from(NAMES), min_size=1))}
    apps: dict[str, dict[str, Service]] = {}
    for name, one in made.items():
        owner, key = name.split("/")
        apps.setdefault(owner, {})[key] = one
    world = World([app(owner, **parts) for owner, parts in sorted(apps.items())], 4)
    for number, host in enumerate(list(world.hosts)):
        world.facts[host] = facts(number + 1, proxy=draw(st.booleans()))
        labels: Mapping[str, str] = draw(st.sampled_from(({}, {"edge": "yes"})))
        world.hosts[host] = dataclasses.replace(world.hosts[host], labels=labels)
        world.heard[host] = draw(st.sampled_from((0.5, 0.5, LOST_S - 1, LOST_S + 1)))
        for name in draw(st.lists(st.sampled_from(sorted(made)), max_size=4)):
            slot = len(world.assigned[host]) + 1
            phase = draw(st.sampled_from((Phase.RUNNING, Phase.STARTING, Phase.STOPPING)))
            world.run(host, name, slot, phase=phase)
    return world


def changed(draw: Callable[[st.SearchStrategy[Any]], Any], world: World) -> None:
    """One small change of anything that hosts are told, or aren't."""
    host = draw(st.sampled_from(sorted(world.hosts)))
    what = draw(st.sampled_from(("phase", "proxy", "labels", "heard", "address", "remove", "boot")))
    if what == "phase" and world.instances[host]:
        name = draw(st.sampled_from(sorted(world.instances[host])))
        phase = draw(st.sampled_from((Phase.RUNNING, Phase.BACKOFF)))
        status = dataclasses.replace(world.instances[host][name], phase=phase)
        world.instances[host][name] = status
    elif what == "proxy":
        world.facts[host] = facts(draw(st.integers(1, 9)), proxy=draw(st.booleans()))
    elif what == "labels":
        world.hosts[host] = dataclasses.replace(world.hosts[host], labels={"edge": "yes"})
    elif what == "heard":
        world.heard[host] = draw(st.sampled_from((0.5, LOST_S - 1, LOST_S + 1)))
    elif what == "address":
        name = draw(st.sampled_from(sorted(world.addresses)))
        world.addresses[name] = draw(st.sampled_from(("10.214.7.7", world.addresses[name])))
    elif what == "remove" and len(world.hosts) > 1:
        del world.hosts[host]
    else:  # of no concern to anybody
        world.facts[host] = dataclasses.replace(world.facts[host], boot_id="another", kernel="6.1")
