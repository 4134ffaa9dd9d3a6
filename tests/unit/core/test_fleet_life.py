"""The scheduler's promises in a world where hosts fail, networks part, leaders change and people do what people do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    HostLoss,
    Mount,
    MountKind,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Service,
    UpdateConfig,
    UpdateOrder,
    Volume,
)
from hullmark.model.host import Availability, HostFacts, HostRecord, Listener, Maintenance
from hullmark.model.records import HomesRecord
from hullmark.model.snapshot import Strategy
from tests.unit.core import promises
from tests.unit.core.world import World, slot_of

VOLUMES = {"data": Volume(), "nas": Volume(external="nas")}


def mounts() -> st.SearchStrategy[tuple[Mount, ...]]:
    one = st.sampled_from(
        (
            Mount(MountKind.VOLUME, "/data", "data"),
            Mount(MountKind.VOLUME, "/nas", "nas"),
            Mount(MountKind.BIND, "/etc/time", "/etc/localtime", read_only=True),
            Mount(MountKind.VOLUME, "/anonymous"),
            Mount(MountKind.TMPFS, "/run"),
        )
    )
    return st.one_of(st.just(()), st.lists(one, max_size=2, unique=True).map(tuple))


@st.composite
def services(draw: st.DrawFn) -> Service:
    constraint = st.sampled_from(
        ((), (), (), ("node.labels.zone == a",), ("node.labels.zone != a",))
    )
    most = draw(st.sampled_from((0, 0, 1, 2)))
    deploy = DeploySpec(
        draw(st.sampled_from((DeployMode.REPLICATED,) * 4 + (DeployMode.GLOBAL,))),
        draw(st.integers(0, 4)),
        Placement(draw(constraint), draw(st.sampled_from(((), ("node.labels.zone",)))), most),
        Resources(draw(st.sampled_from((0.0, 0.5))), draw(st.sampled_from((0, 1 << 30)))),
        update=UpdateConfig(
            draw(st.integers(0, 2)), monitor_s=1.0, order=draw(st.sampled_from(tuple(UpdateOrder)))
        ),
        on_host_lost=draw(st.sampled_from((None, None, None, *HostLoss))),
    )
    port = st.sampled_from(
        (
            (),
            (),
            (PortSpec(80, 8080, 8080, mode=PortMode.HOST),),
            (PortSpec(80, 8080, 8082, mode=PortMode.HOST),),
        )
    )
    image = draw(st.sampled_from(("x:1", "x:2")))
    container = ContainerSpec(
        image, mounts=draw(mounts()), one_shot=draw(st.sampled_from((False,) * 5 + (True,)))
    )
    return Service(container, deploy, draw(port))


@st.composite
def apps(draw: st.DrawFn, name: str) -> App:
    keys = draw(st.lists(st.sampled_from(("a", "b", "c")), min_size=1, unique=True))
    return App(name, {key: draw(services()) for key in sorted(keys)}, volumes=VOLUMES)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    hosts = {}
    for number in range(1, draw(st.integers(2, 6)) + 1):
        listeners = draw(st.sampled_from(((), (), (Listener(8080, "tcp", "127.0.0.1", "nginx"),))))
        facts = HostFacts(
            architecture="x86_64",
            cpus=draw(st.integers(1, 3)),
            memory_bytes=draw(st.integers(1, 4)) << 30,
            listeners=listeners,
        )
        labels = draw(st.sampled_from(({}, {"zone": "a"}, {"zone": "b"})))
        hosts[f"id{number}"] = HostRecord(f"id{number}", f"h{number}", 1.0, labels), facts
    world = World(hosts)
    world.strategy = draw(st.sampled_from(tuple(Strategy)))
    world.checks += (*promises.ALL, promises.DataStays())
    for name in ("shop", "blog"):
        world.apply(draw(apps(name)))
    world.pass_s(2.0)
    return world


def disturb(world: World, data: st.DataObject) -> None:
    """One thing that happens to the world."""
    host_id = data.draw(st.sampled_from(sorted(world.machines)))
    machine = world.machines[host_id]
    enrolled = host_id in world.records
    what = data.draw(
        st.sampled_from(
            (
                "cut",
                "cut",
                "heal",
                "crash",
                "boot",
                "leader",
                "apply",
                "host",
                "move",
                "remove",
                "forget",
            )
        )
    )
    if what == "cut":
        machine.connected = False
    elif what == "heal":
        machine.connected = True
    elif what == "crash":
        machine.up = False
    elif what == "boot":
        machine.up = True
    elif what == "leader":
        world.new_leader()
    elif what == "apply":
        world.apply(data.draw(apps(data.draw(st.sampled_from(("shop", "blog"))))))
    elif what == "remove":
        world.remove("blog")
    elif what == "host" and enrolled:
        world.change_host(host_id, **data.draw(host_changes(world.now)))
    elif what == "forget" and enrolled and len(world.records) > 2:
        world.forget_host(host_id)
    elif what == "move":
        moves = [
            (slot, posts[0][0])
            for slot, posts in sorted(world.posts().items())
            if slot[0] in world.apps and slot[1] in world.apps[slot[0]].app.services
        ]
        if moves:
            world.move(*data.draw(st.sampled_from(moves)))


def host_changes(now: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        (
            {"availability": Availability.CORDONED},
            {"availability": Availability.DRAINING},
            {"availability": Availability.DRAINING},
            {"availability": Availability.ACTIVE},
            {"maintenance": Maintenance(now, now + 60.0, "ann")},
            {"maintenance": None},
            {"labels": {"zone": "a"}},
            {"labels": {}},
        )
    )


def calm(world: World, seconds: float = 40.0) -> None:
    """Everything heals, everybody is let, and time passes."""
    for machine in world.machines.values():
        machine.connected = machine.up = True
    for host_id in world.records:
        world.change_host(host_id, availability=Availability.ACTIVE, maintenance=None)
    world.pass_s(seconds)


@given(worlds(), st.data())
@settings(max_examples=30)
def test_every_promise_holds_whatever_happens(world: World, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 6))):
        disturb(world, data)
        world.pass_s(data.draw(st.sampled_from((1.0, 4.0, 12.0, 30.0))))
    calm(world)
    # One container for each instance that is wanted and fits, none else, on every host that is still ours.
    running = [(host, instance) for host, instance in world.running() if host in world.records]
    wanted = [
        (host, item.instance)
        for host, orders in world.assignments.items()
        for item in orders.assignments
        if host in world.records and not world.has_ended(host, item.instance)
    ]
    assert sorted(running) == sorted(wanted)
    graves = [item for orders in world.assignments.values() for item in orders.tombstones]
    assert graves == []
    # A slot has two only where a change that goes start-first finds no room for the next.
    slots = Counter(slot_of(instance) for _, instance in wanted)
    for slot, number in slots.items():
        generations = {instance.generation for _, instance in wanted if slot_of(instance) == slot}
        assert number == len(generations) <= 2


@st.composite
def keepers(draw: st.DrawFn) -> App:
    """Services that keep their data where it is, now with it and now without, under one name or another."""
    found = {}
    for name in draw(st.sampled_from((("db",), ("database",), ("db", "worker")))):
        mount = Mount(MountKind.VOLUME, "/data", "data")
        where = draw(st.sampled_from(((), ("node.labels.zone == a",), ("node.labels.zone != a",))))
        container = ContainerSpec(draw(st.sampled_from(("x:1", "x:2"))), mounts=(mount,))
        deploy = DeploySpec(
            replicas=draw(st.integers(1, 2)),
            placement=Placement(where, (), draw(st.sampled_from((0, 1)))),
            update=UpdateConfig(0, monitor_s=1.0, order=draw(st.sampled_from(tuple(UpdateOrder)))),
        )
        found[name] = Service(container, deploy)
    return App("shop", found, volumes=VOLUMES)


def plain_world(count: int, labels: Mapping[str, str] = {}) -> World:
    facts = HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30)
    hosts = {
        f"id{n}": (HostRecord(f"id{n}", f"h{n}", 1.0, labels if n % 2 else {}), facts)
        for n in range(1, count + 1)
    }
    return World(hosts)


@given(st.data())
@settings(max_examples=100)
def test_data_stays_where_it_is_whatever_happens(data: st.DataObject) -> None:
    world = plain_world(4, {"zone": "a"})
    world.checks.append(promises.DataStays())
    world.apply(data.draw(keepers()))
    world.pass_s(2.0)
    for _ in range(data.draw(st.integers(2, 6))):
        host_id = data.draw(st.sampled_from(sorted(world.machines)))
        what = data.draw(st.sampled_from(("cut", "heal", "remove", "apply", "host", "leader")))
        if what in ("cut", "heal"):
            world.machines[host_id].connected = what == "heal"
        elif what == "remove":
            world.remove("shop")
            world.pass_s(2.0)
        elif what == "apply":
            world.apply(data.draw(keepers()))
        elif what == "host":
            world.change_host(host_id, **data.draw(host_changes(world.now)))
        else:
            world.new_leader()
        world.pass_s(data.draw(st.sampled_from((2.0, 15.0))))
    # What came up under another name than before is where that volume is.
    volumes = {home.host_id for home in world.homes.get("shop", HomesRecord()).slots.values()}
    for _, instance in world.running():
        assert instance.app == "shop"
    assert {host for host, _ in world.running()} <= volumes


@given(st.data())
@settings(max_examples=60)
def test_what_says_stop_never_runs_twice(data: st.DataObject) -> None:
    world = plain_world(5)
    service = Service(
        ContainerSpec("x", stop_grace_s=2.0), DeploySpec(replicas=2, on_host_lost=HostLoss.STOP)
    )
    world.apply(App("shop", {"web": service}))
    world.pass_s(2.0)
    for _ in range(data.draw(st.integers(2, 8))):
        host_id = data.draw(st.sampled_from(sorted(world.machines)))
        machine = world.machines[host_id]
        what = data.draw(
            st.sampled_from(("cut", "cut", "heal", "crash", "boot", "leader", "drain", "undrain"))
        )
        if what in ("cut", "heal"):
            machine.connected = what == "heal"
        elif what in ("crash", "boot"):
            machine.up = what == "boot"
        elif what == "leader":
            world.new_leader()
        else:
            drains = Availability.DRAINING if what == "drain" else Availability.ACTIVE
            world.change_host(host_id, availability=drains)
        for _ in range(data.draw(st.sampled_from((1, 5, 18)))):
            world.pass_s(1.0)
            slots = [slot_of(instance) for _, instance in world.running()]
            assert len(slots) == len(set(slots)), sorted(world.running())
    calm(world)
    assert len(list(world.running())) == 2


HOST_STATES: tuple[Mapping[str, Any], ...] = (
    {"availability": Availability.ACTIVE, "maintenance": None},
    {"availability": Availability.CORDONED},
    {"availability": Availability.DRAINING},
    {"maintenance": Maintenance(0.0, 1025.0, "ann")},
    {"maintenance": Maintenance(0.0, 9000.0, "ann")},
)


@given(st.data())
@settings(max_examples=50)
def test_hosts_are_lost_and_set_aside(data: st.DataObject) -> None:
    """Few kinds of services and many kinds of trouble with hosts."""
    world = plain_world(data.draw(st.sampled_from((3, 5))))
    world.checks += promises.ALL

    def spec(replicas: int) -> App:
        services = {
            "plain": Service(ContainerSpec("x"), DeploySpec(replicas=replicas)),
            "kept": Service(ContainerSpec("x"), DeploySpec(on_host_lost=HostLoss.KEEP)),
            "job": Service(ContainerSpec("x", one_shot=True)),
        }
        return App("shop", services)

    world.apply(spec(2))
    world.pass_s(2.0)
    for _ in range(data.draw(st.integers(2, 6))):
        host_id = data.draw(st.sampled_from(sorted(world.machines)))
        what = data.draw(st.sampled_from(("cut", "cut", "heal", "host", "host", "scale")))
        world.torn = data.draw(st.booleans())
        if what in ("cut", "heal"):
            world.machines[host_id].connected = what == "heal"
        elif what == "host":
            world.change_host(host_id, **data.draw(st.sampled_from(HOST_STATES)))
        else:
            world.apply(spec(data.draw(st.integers(1, 6))))
        world.pass_s(data.draw(st.sampled_from((1.0, 7.0, 12.0))))
    calm(world, 12.0)
    wanted = world.apps["shop"].app.services["plain"].deploy.replicas + 1
    assert len(list(world.running())) == wanted
