"""Random fleets and apps, and what a world does with a plan, for the tests of the scheduler."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from hullmark.core.generations import highest_generation, next_record
from hullmark.core.schedule import Plan, plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeployMode,
    DeploySpec,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Service,
)
from hullmark.model.change import Change
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.names import ASSIGNMENTS, engine_name
from hullmark.model.observed import Health, HostState, InstanceStatus, Phase
from hullmark.model.records import AppRecord, ClusterRecord, LeaderRecord
from hullmark.model.snapshot import Snapshot

CHANGE = Change("alice", "r", 1.0)
CLUSTER = ClusterRecord("c1", 1.0)
LEADER = LeaderRecord(Epoch(1, 1), "m1", "m1:7441", 1.0)
LOST_S = 60.0
SERVED_S = 3600.0

X86 = HostFacts(architecture="x86_64")

CONSTRAINTS = (
    "node.labels.zone == a",
    "node.labels.zone != a",
    "node.hostname == h1",
    "node.platform.arch == amd64",
    "node.platform.arch == aarch64",
    "node.platform.os == linux",
)
SPREADS = (
    "node.labels.zone",
    "node.hostname",
    "node.id",
    "node.platform.os",
    "node.platform.arch",
)


def snapshot(
    apps: Mapping[str, AppRecord], hosts: Sequence[HostRecord], states: Mapping[str, HostState]
) -> Snapshot:
    """All hosts heard a second ago."""
    return Snapshot(
        CLUSTER,
        LEADER,
        apps,
        {host.host_id: host for host in hosts},
        observed=states,
        heard_s={host.host_id: 1.0 for host in hosts},
        revisions={f"/hullmark/apps/{name}": 1 for name in apps},
        revision=1,
    )


def one_host(*apps: App, facts: HostFacts = X86) -> Snapshot:
    records = {app.name: next_record(None, app, CHANGE) for app in apps}
    return snapshot(records, [HostRecord("h1", "h1", 1.0)], {"h1": HostState(facts)})


def committed(before: Snapshot, made: Plan) -> Snapshot:
    """The store after a plan: changed hosts get a new revision, finished apps go. What it notes is kept."""
    revision = before.revision + 1
    keys = {ASSIGNMENTS + host_id: revision for host_id in made.hosts}
    finished = made.finished if not made.hosts else ()
    return dataclasses.replace(
        before,
        apps={name: record for name, record in before.apps.items() if name not in finished},
        assignments={**before.assignments, **made.hosts},
        homes={**before.homes, **made.homes},
        rollouts={**before.rollouts, **made.rollouts},
        revisions={**before.revisions, **keys},
        revision=revision,
    )


def planned(before: Snapshot) -> Snapshot:
    """Planned and committed until nothing is left to write, as the leader's loop does."""
    for _ in range(5):
        made = plan(before)
        if not (made.hosts or made.finished or made.homes or made.rollouts):
            return before
        before = committed(before, made)
    raise AssertionError("planning does not come to rest")


def obeyed(before: Snapshot, phases: Mapping[str, Phase], health: Health = Health.NONE) -> Snapshot:
    """Every host that can be heard has done what it was told, long enough ago. `phases` by service; others run."""
    observed = dict(before.observed)
    for host_id, state in before.observed.items():
        orders = before.assignments.get(host_id)
        if orders is None or before.heard_s.get(host_id, LOST_S) >= LOST_S:
            continue
        found = {}
        for item in orders.assignments:
            phase = phases.get(item.instance.service, Phase.RUNNING)
            phase = phase if item.released else Phase.WAITING
            name = item.instance.container_name
            found[name] = InstanceStatus(item.instance, phase, health, ports=item.ports)
        observed[host_id] = dataclasses.replace(
            state,
            instances=found,
            accepted_revision=before.revisions[ASSIGNMENTS + host_id],
            removed_volumes=tuple(
                engine_name(item.app, item.volume) for item in orders.volume_removals
            ),
        )
    serving_s = {
        (host_id, name): SERVED_S
        for host_id, state in observed.items()
        for name, status in state.instances.items()
        if status.serving
    }
    return dataclasses.replace(before, observed=observed, serving_s=serving_s)


def applied(before: Snapshot, app: App) -> Snapshot:
    """A person applied this app."""
    old = before.apps.get(app.name)
    record = next_record(old, app, CHANGE, floor=highest_generation(before, app.name))
    return with_record(before, record)


def with_record(before: Snapshot, record: AppRecord) -> Snapshot:
    revision = before.revision + 1
    key = f"/hullmark/apps/{record.app.name}"
    return dataclasses.replace(
        before,
        apps={**before.apps, record.app.name: record},
        revisions={**before.revisions, key: revision},
        revision=revision,
    )


def silent(before: Snapshot, host_ids: Sequence[str]) -> Snapshot:
    heard = {**before.heard_s, **dict.fromkeys(host_ids, LOST_S)}
    return dataclasses.replace(before, heard_s=heard)


def resources() -> st.SearchStrategy[Resources]:
    return st.builds(
        Resources,
        cpus=st.sampled_from((0.0, 0.1, 0.5, 1.0)),
        memory_bytes=st.sampled_from((0, 256 << 20, 1 << 30)),
    )


def ports() -> st.SearchStrategy[tuple[PortSpec, ...]]:
    def spec(first: int, width: int, protocol: str, host_ip: str) -> PortSpec:
        return PortSpec(80, first, first + width, protocol, host_ip, mode=PortMode.HOST)

    one = st.builds(
        spec,
        st.integers(8000, 8004),
        st.integers(0, 3),
        st.sampled_from(("tcp", "udp")),
        st.sampled_from(("", "10.0.0.1", "10.0.0.2")),
    )
    return st.lists(st.one_of(one, st.just(PortSpec(81, mode=PortMode.HOST))), max_size=2).map(
        tuple
    )


def deploys() -> st.SearchStrategy[DeploySpec]:
    placement = st.builds(
        Placement,
        constraints=st.lists(st.sampled_from(CONSTRAINTS), max_size=2).map(tuple),
        spread=st.lists(st.sampled_from(SPREADS), max_size=2, unique=True).map(tuple),
        max_replicas_per_node=st.sampled_from((0, 0, 1, 2)),
    )
    return st.builds(
        DeploySpec,
        mode=st.sampled_from((DeployMode.REPLICATED, DeployMode.REPLICATED, DeployMode.GLOBAL)),
        replicas=st.integers(0, 4),
        placement=placement,
        reservations=resources(),
    )


@st.composite
def app_specs(draw: st.DrawFn, name: str = "shop") -> App:
    names = draw(st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=3, unique=True))
    services = {}
    for index, key in enumerate(sorted(names)):
        needed = sorted(names)[:index]
        conditions = st.sampled_from(list(DependencyCondition))
        depends = tuple(
            Dependency(other, draw(conditions), draw(st.booleans()))
            for other in needed
            if draw(st.booleans())
        )
        container = ContainerSpec(
            draw(st.sampled_from(("x:1", "x:2"))), one_shot=draw(st.booleans())
        )
        services[key] = Service(container, draw(deploys()), draw(ports()), depends)
    return App(name, services)


@st.composite
def fleets(draw: st.DrawFn) -> Snapshot:
    """One to four hosts and up to three apps, nothing planned yet."""
    hosts, states = [], {}
    for number in range(1, draw(st.integers(1, 4)) + 1):
        zone = draw(st.sampled_from(({}, {"zone": "a"}, {"zone": "b"})))
        hosts.append(HostRecord(f"id{number}", f"h{number}", 1.0, zone))
        states[f"id{number}"] = HostState(
            HostFacts(
                architecture=draw(st.sampled_from(("x86_64", "aarch64"))),
                cpus=draw(st.integers(1, 4)),
                memory_bytes=draw(st.integers(1, 4)) << 30,
            )
        )
    count = draw(st.integers(1, 3))
    apps = [draw(app_specs(name)) for name in ("shop", "blog", "mail")[:count]]
    return snapshot({app.name: next_record(None, app, CHANGE) for app in apps}, hosts, states)
