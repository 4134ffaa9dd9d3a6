"""How fast the scheduler is: pure `plan` on a large cluster, in this process, on one core.

A cluster of hosts in zones and racks, two kinds of disk, two architectures. Each app has 100 instances in five
services, which ask for what real ones ask for: constraints, reservations, a preference to spread, a limit per
host, a host port, a health check that another service waits for.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from dataclasses import dataclass
from typing import Any, Callable, TypeVar

from hullmark.core.generations import next_record
from hullmark.core.schedule import Plan, plan
from hullmark.masterd.fleet import QUIET_SHARE
from hullmark.masterd.scheduling import transactions
from hullmark.model.app import (
    App,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeploySpec,
    Placement,
    PortSpec,
    Resources,
    Service,
)
from hullmark.model.change import Change
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.names import APPS, ASSIGNMENTS
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.records import AppRecord, ClusterRecord, LeaderRecord, RolloutState
from hullmark.model.snapshot import Snapshot

GIB = 1 << 30
PER_APP = 100
ZONES, RACKS = 5, 100
LOST_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    hosts: int
    instances: int


FULL = (Size(500, 10_000), Size(2000, 40_000), Size(5000, 100_000))
QUICK = (Size(250, 5000), Size(500, 10_000))


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """CPU seconds of this process: what else the machine does is left out. What a collector of garbage takes of
    a heap that the bench itself filled is left out as well."""
    gc.collect()
    gc.freeze()
    begin = time.process_time()
    result = work()
    seconds = time.process_time() - begin
    gc.unfreeze()
    return result, seconds


def measure(size: Size) -> dict[str, Any]:
    """Seconds of each step. The placements are counted, not assumed."""
    empty = cluster(size)
    made, first_s = timed(lambda: plan(empty))
    placed = sum(len(orders.assignments) for orders in made.hosts.values())
    _, encode_s = timed(lambda: sum(1 for _ in transactions(empty, made.hosts)))
    standing = obeyed(committed(empty, made))
    standing = settled(standing)
    nothing, nothing_s = timed(lambda: plan(standing))
    assert not nothing.hosts, "the cluster was not at rest"
    one_more, one_more_s = timed(lambda: plan(with_app(standing, size.instances // PER_APP)))
    lost, lost_s = timed(lambda: plan(without(standing, "h00007")))
    return {
        "hosts": size.hosts,
        "instances": size.instances,
        "placed": placed,
        "first_plan_s": first_s,
        "placements_per_s": placed / first_s,
        "encode_s": encode_s,
        "nothing_to_do_s": nothing_s,
        "one_more_app_s": one_more_s,
        "one_more_app_placed": _news(standing, one_more),
        "one_host_lost_s": lost_s,
        "one_host_lost_placed": _news(standing, lost),
    }


def _news(before: Snapshot, made: Plan) -> int:
    known = {
        (host_id, item.instance)
        for host_id, orders in before.assignments.items()
        for item in orders.assignments
    }
    return sum(
        (host_id, item.instance) not in known
        for host_id, orders in made.hosts.items()
        for item in orders.assignments
    )


def cluster(size: Size) -> Snapshot:
    hosts = {host.host_id: host for host in map(_host, range(size.hosts))}
    apps = {f"a{number:04}": _record(number) for number in range(size.instances // PER_APP)}
    return Snapshot(
        ClusterRecord("c1", 1.0),
        LeaderRecord(Epoch(1, 1), "m1", "m1:7441", 1.0),
        apps,
        hosts,
        observed={host_id: HostState(_facts(number)) for number, host_id in enumerate(hosts)},
        heard_s=dict.fromkeys(hosts, 1.0),
        lost_after_s=LOST_S,
        quiet_after_s=LOST_S * QUIET_SHARE,
        now=1000.0,
        revision=1,
        revisions={APPS + name: 1 for name in apps},
    )


def _host(number: int) -> HostRecord:
    labels = {
        "zone": f"z{number % ZONES}",
        "rack": f"r{number % RACKS}",
        "disk": "ssd" if number % 3 else "hdd",
    }
    return HostRecord(f"h{number:05}", f"host{number:05}", 1.0, labels)


def _facts(number: int) -> HostFacts:
    return HostFacts(
        os="Debian GNU/Linux 12",
        kernel="6.1.0",
        architecture="aarch64" if number % 10 == 0 else "x86_64",
        cpus=32,
        memory_bytes=128 * GIB,
    )


def _record(number: int) -> AppRecord:
    return next_record(None, _app(number), Change("bench", "r", 1.0))


def _app(number: int) -> App:
    services = {
        "web": _service(
            40,
            Placement((f"node.labels.zone == z{number % ZONES}", "node.labels.disk == ssd")),
            Resources(0.5, GIB // 2),
        ),
        "api": _service(
            30, Placement((), ("node.labels.rack",), 2), Resources(0.25, GIB // 4), after="store"
        ),
        "edge": _service(
            10,
            Placement(("node.platform.arch == x86_64",)),
            Resources(0.1, GIB // 8),
            ports=(PortSpec(443, 8000 + number % 200, 8000 + number % 200),),
        ),
        "work": _service(15, Placement(("node.labels.disk != hdd",)), Resources(1.0, GIB)),
        "store": _service(
            5, Placement((), ("node.labels.zone", "node.labels.rack"), 1), Resources(0.5, 2 * GIB)
        ),
    }
    return App(f"a{number:04}", services)


def _service(
    replicas: int,
    placement: Placement,
    reservations: Resources,
    *,
    after: str = "",
    ports: tuple[PortSpec, ...] = (),
) -> Service:
    depends = (Dependency(after, DependencyCondition.STARTED),) if after else ()
    return Service(
        ContainerSpec("registry.example/shop/image:1.2.3"),
        DeploySpec(replicas=replicas, placement=placement, reservations=reservations),
        ports=ports,
        depends_on=depends,
    )


def committed(before: Snapshot, made: Plan) -> Snapshot:
    revision = before.revision + 1
    changed = {ASSIGNMENTS + host_id: revision for host_id in made.hosts}
    return dataclasses.replace(
        before,
        assignments={**before.assignments, **made.hosts},
        homes={**before.homes, **made.homes},
        rollouts={**before.rollouts, **made.rollouts},
        revisions={**before.revisions, **changed},
        revision=revision,
    )


def obeyed(before: Snapshot) -> Snapshot:
    """Every host runs what it was told."""
    observed = dict(before.observed)
    for host_id, orders in before.assignments.items():
        observed[host_id] = dataclasses.replace(
            before.observed[host_id],
            instances={
                item.instance.container_name: InstanceStatus(
                    item.instance, Phase.RUNNING, ports=item.ports, started_at=1.0
                )
                for item in orders.assignments
            },
            accepted_revision=before.revisions[ASSIGNMENTS + host_id],
        )
    serving_s = {
        (host_id, name): 600.0 for host_id, state in observed.items() for name in state.instances
    }
    return dataclasses.replace(before, observed=observed, serving_s=serving_s)


def settled(before: Snapshot) -> Snapshot:
    """Until every change is over and nothing is left to write."""
    for _ in range(5):
        made = plan(before)
        if not (made.hosts or made.rollouts):
            assert all(item.state is RolloutState.DONE for item in before.rollouts.values())
            return before
        before = obeyed(committed(before, made))
    raise AssertionError("planning does not come to rest")


def with_app(before: Snapshot, number: int) -> Snapshot:
    record = _record(number)
    name = record.app.name
    return dataclasses.replace(
        before,
        apps={**before.apps, name: record},
        revisions={**before.revisions, APPS + name: before.revision},
    )


def without(before: Snapshot, host_id: str) -> Snapshot:
    """The host was heard last a minute ago."""
    return dataclasses.replace(before, heard_s={**before.heard_s, host_id: 60.0})
