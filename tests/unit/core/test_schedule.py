"""The scheduler's promises, held against random fleets."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core import constraints
from hullmark.core.schedule import plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeployMode,
    DeploySpec,
    HostLoss,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Service,
    UpdateConfig,
    Volume,
)
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import Health, HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import (
    LOST_S,
    app_specs,
    applied,
    committed,
    fleets,
    obeyed,
    one_host,
    planned,
    silent,
    snapshot,
    with_record,
)

ANY_ADDRESS = ""


def clash(one: PublishedPort, other: PublishedPort) -> bool:
    """Written anew, so that it does not share a mistake with the scheduler."""
    if one.published == 0 or one.published != other.published or one.protocol != other.protocol:
        return False
    return ANY_ADDRESS in (one.host_ip, other.host_ip) or one.host_ip == other.host_ip


def assert_ports_are_apart(state: Snapshot) -> None:
    """No two instances share a port, one that still has to go included, unless they follow each other
    in one slot."""
    for orders in state.assignments.values():
        held = [(item.instance, port) for item in orders.assignments for port in item.ports]
        held += [(item.instance, port) for item in orders.tombstones for port in item.ports]
        for index, (one, port) in enumerate(held):
            for other, second in held[index + 1 :]:
                same_slot = (one.app, one.service, one.slot) == (
                    other.app,
                    other.service,
                    other.slot,
                )
                follows = same_slot and one.generation != other.generation
                assert follows or not clash(port, second), (one, other, port)


def assert_capacity_holds(state: Snapshot) -> None:
    for host_id, orders in state.assignments.items():
        facts = state.observed[host_id].facts
        wanted = [
            state.apps[item.instance.app].app.services[item.instance.service].deploy.reservations
            for item in orders.assignments
        ]
        assert sum(item.memory_bytes for item in wanted) <= facts.memory_bytes
        assert sum(item.cpus for item in wanted) <= facts.cpus + 1e-6


def assert_constraints_hold(state: Snapshot) -> None:
    for host_id, orders in state.assignments.items():
        host, facts = state.hosts[host_id], state.observed[host_id].facts
        counts = Counter(
            (item.instance.app, item.instance.service)
            for item in orders.assignments
            # One whose turn to be replaced has not come is where its own generation wanted it.
            if item.instance.generation
            == state.apps[item.instance.app].generations[item.instance.service]
        )
        for (app, name), count in counts.items():
            placement = state.apps[app].app.services[name].deploy.placement
            assert constraints.failing(placement.constraints, host, facts) is None
            assert count <= (placement.max_replicas_per_node or count)


def assert_all_are_placed_or_explained(state: Snapshot) -> None:
    made = plan(state)
    explained = {(item.app, item.service, item.slot) for item in made.unplaced}
    assert all(item.reasons and all(item.reasons) for item in made.unplaced)
    placed = [
        (item.instance.app, item.instance.service, item.instance.slot)
        for orders in state.assignments.values()
        for item in orders.assignments
    ]
    assert len(set(placed)) == len(placed), "a slot is in two places"
    assert not explained & set(placed)
    for app, record in state.apps.items():
        for name, service in record.app.services.items():
            if service.deploy.mode is DeployMode.REPLICATED:
                slots = {(app, name, slot) for slot in range(1, service.deploy.replicas + 1)}
                assert slots <= explained | set(placed)
                of_service = {item for item in placed if item[:2] == (app, name)}
                assert of_service <= slots


@given(fleets())
@settings(max_examples=20)
def test_a_first_plan_keeps_every_promise(fleet: Snapshot) -> None:
    state = planned(fleet)
    assert_ports_are_apart(state)
    assert_capacity_holds(state)
    assert_constraints_hold(state)
    assert_all_are_placed_or_explained(state)
    assert plan(state).hosts == {}


@given(fleets())
@settings(max_examples=20)
def test_planning_is_at_rest_once_carried_out(fleet: Snapshot) -> None:
    state = planned(obeyed(planned(fleet), {}))
    again = obeyed(state, {})
    for _ in range(4):  # each round may release what waits for another
        state = planned(again)
        again = obeyed(state, {})
    assert plan(again).hosts == {}


@given(fleets(), st.data())
@settings(max_examples=25)
def test_changes_keep_every_promise(fleet: Snapshot, data: st.DataObject) -> None:
    """Apps change at any moment, with what was ordered before obeyed or not."""
    state = planned(fleet)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            state = obeyed(state, {})
        name = data.draw(st.sampled_from(("shop", "blog")))
        state = planned(applied(state, data.draw(app_specs(name))))
        assert_ports_are_apart(state)
        assert_all_are_placed_or_explained(state)
    for _ in range(12):  # each replaces one of a service
        state = planned(obeyed(state, {}))
    assert_constraints_hold(state)
    assert_all_are_placed_or_explained(state)
    assert all(orders.tombstones == () for orders in state.assignments.values())
    assert plan(state).hosts == {}


@given(fleets(), st.data())
@settings(max_examples=20)
def test_nothing_moves_without_need(fleet: Snapshot, data: st.DataObject) -> None:
    """Another app comes, hosts come: what is placed stays."""
    state = obeyed(planned(fleet), {})
    before = homes(state)
    added = HostRecord("id9", "h9", 1.0, {"zone": "a"})
    state = dataclasses.replace(
        state,
        hosts={**state.hosts, "id9": added},
        observed={
            **state.observed,
            "id9": HostState(HostFacts("h9", architecture="x86_64", cpus=9)),
        },
        heard_s={**state.heard_s, "id9": 1.0},
    )
    state = planned(applied(state, data.draw(app_specs("late"))))
    after = homes(state)
    assert {instance: after.get(instance) for instance in before} == before


def homes(state: Snapshot) -> dict[InstanceId, str]:
    return {
        item.instance: host_id
        for host_id, orders in state.assignments.items()
        for item in orders.assignments
    }


@given(fleets(), st.data())
@settings(max_examples=20)
def test_hosts_that_are_silent_and_not_lost_are_left_alone(
    fleet: Snapshot, data: st.DataObject
) -> None:
    state = obeyed(planned(fleet), {})
    before = homes(state)
    away = data.draw(st.lists(st.sampled_from(sorted(state.hosts)), unique=True))
    unlabelled = {
        host_id: dataclasses.replace(host, labels={}) if host_id in away else host
        for host_id, host in state.hosts.items()
    }
    still = {**state.heard_s, **dict.fromkeys(away, 59.0)}
    later = planned(
        dataclasses.replace(state, hosts=unlabelled, heard_s=still, lost_after_s=LOST_S)
    )
    after = homes(later)
    left = {i for i, host_id in before.items() if host_id not in away}
    assert {i: after.get(i) for i in before if i not in left} == {
        i: host_id for i, host_id in before.items() if i not in left
    }


@given(fleets(), st.integers(0, 4), st.data())
@settings(max_examples=20)
def test_scaling_keeps_the_lower_slots(fleet: Snapshot, replicas: int, data: st.DataObject) -> None:
    state = obeyed(planned(fleet), {})
    record = state.apps["shop"]
    name = data.draw(st.sampled_from(sorted(record.app.services)))
    service = record.app.services[name]
    deploy = dataclasses.replace(service.deploy, replicas=replicas)
    services = {**record.app.services, name: dataclasses.replace(service, deploy=deploy)}
    before = homes(state)
    scaled = planned(applied(state, dataclasses.replace(record.app, services=services)))
    after = homes(scaled)
    for instance, host_id in before.items():
        of_service = (instance.app, instance.service) == ("shop", name)
        replicated = service.deploy.mode is DeployMode.REPLICATED
        if of_service and replicated and instance.slot > replicas:
            assert instance not in after
        else:
            assert after.get(instance) == host_id
    # And back again: what has not gone yet simply stays, unless others waited for its room.
    if not plan(state).unplaced:
        assert homes(planned(applied(scaled, record.app))) == before


@given(fleets(), st.data())
@settings(max_examples=20)
def test_a_release_is_never_taken_back(fleet: Snapshot, data: st.DataObject) -> None:
    state = planned(fleet)
    released: set[InstanceId] = set()
    for _ in range(4):
        services = data.draw(
            st.fixed_dictionaries({key: st.sampled_from(list(Phase)) for key in ("a", "b", "c")})
        )
        state = planned(obeyed(state, services, data.draw(st.sampled_from(list(Health)))))
        now = {
            item.instance
            for orders in state.assignments.values()
            for item in orders.assignments
            if item.released
        }
        assert released <= now
        released = now


@given(fleets(), st.booleans())
@settings(max_examples=20)
def test_a_removed_app_goes_from_every_host(fleet: Snapshot, volumes: bool) -> None:
    state = obeyed(planned(fleet), {})
    record = state.apps["shop"]
    with_volume = dataclasses.replace(record.app, volumes={"data": Volume()})
    state = with_record(
        state,
        dataclasses.replace(record, app=with_volume, removing=True, remove_volumes=volumes),
    )
    others = {i: host_id for i, host_id in homes(state).items() if i.app != "shop"}
    state = planned(state)
    assert all(instance.app != "shop" for instance in homes(state))
    for _ in range(4):
        state = planned(obeyed(state, {}))
    assert "shop" not in state.apps
    assert {i: homes(state)[i] for i in others} == others
    for orders in state.assignments.values():
        assert orders.tombstones == ()
        assert orders.volume_removals == ()


def test_volumes_are_removed_on_every_host_and_block_a_new_life() -> None:
    hosts = [HostRecord("h1", "h1", 1.0), HostRecord("h2", "h2", 1.0)]
    spec = App("shop", {"web": Service(ContainerSpec("x"))}, volumes={"data": Volume()})
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = obeyed(planned(applied(state, spec)), {})
    state = silent(state, ["h2"])
    record = dataclasses.replace(state.apps["shop"], removing=True, remove_volumes=True)
    state = planned(with_record(state, record))
    assert "shop" in state.apps
    assert {len(orders.volume_removals) for orders in state.assignments.values()} == {1}
    # h1 has done it, h2 is away: the record goes, h2's order stays.
    state = planned(obeyed(planned(obeyed(state, {})), {}))
    assert "shop" not in state.apps
    assert state.assignments["h1"].volume_removals == ()
    assert len(state.assignments["h2"].volume_removals) == 1
    # A new life of the app must not lose its volume to that order.
    back = dataclasses.replace(state, heard_s={"h2": 1.0}, hosts={"h2": state.hosts["h2"]})
    made = plan(applied(back, spec))
    assert "still being removed" in made.unplaced[0].reasons[0]
    state = planned(obeyed(planned(applied(back, spec)), {}))
    assert [str(i) for i in homes(state)] == ["shop/web.1"]


def test_an_instance_without_its_app_is_left_alone() -> None:
    """Its record can't be gone unless we lost it; that is no reason to stop anything."""
    state = obeyed(planned(one_host(App("shop", {"web": Service(ContainerSpec("x"))}))), {})
    lost = dataclasses.replace(state, apps={})
    assert plan(lost).hosts == {}


def test_a_replaced_instance_keeps_its_host_and_port() -> None:
    at_once = DeploySpec(replicas=2, update=UpdateConfig(parallelism=0))
    service = Service(
        ContainerSpec("x:1"), at_once, (PortSpec(80, 8000, 8009, mode=PortMode.HOST),)
    )
    state = obeyed(planned(one_host(App("shop", {"web": service}))), {})
    changed = dataclasses.replace(service, container=ContainerSpec("x:2"))
    state = planned(applied(state, App("shop", {"web": changed})))
    orders = state.assignments["h1"]
    assert [item.ports[0].published for item in orders.assignments] == [8000, 8001]
    assert [item.ports[0].published for item in orders.tombstones] == [8000, 8001]


def test_a_port_is_free_only_when_its_holder_is_gone() -> None:
    fixed = (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
    state = one_host(App("shop", {"web": Service(ContainerSpec("x"), ports=fixed)}))
    state = obeyed(planned(state), {})
    state = planned(applied(state, App("shop", {"www": Service(ContainerSpec("x"), ports=fixed)})))
    assert plan(state).unplaced[0].reasons == (
        "host h1: port 8080/tcp taken by shop/web.1, which is being removed",
    )
    state = planned(obeyed(state, {}))
    assert [str(i) for i in homes(state)] == ["shop/www.1"]


def test_an_orphan_holds_its_ports() -> None:
    fixed = (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
    state = one_host(App("shop", {"web": Service(ContainerSpec("x"), ports=fixed)}))
    orphan = InstanceId("old", "web", 1, 3)
    status = InstanceStatus(orphan, Phase.RUNNING, ports=(PublishedPort(80, 8080),))
    with_orphan = HostState(HostFacts(), orphans={orphan.container_name: status})
    state = dataclasses.replace(state, observed={"h1": with_orphan})
    reason = plan(state).unplaced[0].reasons[0]
    assert reason == "host h1: port 8080/tcp taken by the orphan old.web.1.g3"


def test_a_slot_moves_only_when_it_is_gone_from_its_former_host() -> None:
    hosts = [HostRecord("a", "a", 1.0, {"zone": "a"}), HostRecord("b", "b", 1.0, {"zone": "b"})]

    def spec(zone: str) -> App:
        placement = Placement((f"node.labels.zone == {zone}",))
        deploy = DeploySpec(placement=placement, on_host_lost=HostLoss.KEEP)
        return App("shop", {"web": Service(ContainerSpec("x"), deploy)})

    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = obeyed(planned(applied(state, spec("a"))), {})
    assert homes(state) == {InstanceId("shop", "web", 1, 1): "a"}
    state = planned(applied(state, spec("b")))
    assert homes(state) == {}
    waiting = "waits until the former shop/web.1 is gone from a"
    assert waiting in plan(state).unplaced[0].reasons[0]
    assert "which is silent" in plan(silent(state, ["a"])).unplaced[0].reasons[0]
    state = planned(obeyed(state, {}))
    assert homes(state) == {InstanceId("shop", "web", 1, 1): "b"}


def test_spread() -> None:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(3)]
    service = Service(ContainerSpec("x"), DeploySpec(replicas=7))
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = planned(applied(state, App("shop", {"web": service})))
    assert sorted(Counter(homes(state).values()).values()) == [2, 2, 3]


def test_a_host_without_an_engine_is_the_last_choice() -> None:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(2)]
    away = HostState(problems=(HostProblem("engine.unavailable", "no answer"),))
    service = Service(ContainerSpec("x"), DeploySpec(replicas=4))
    state = snapshot({}, hosts, {"h0": away, "h1": HostState()})
    state = planned(applied(state, App("shop", {"web": service})))
    assert Counter(homes(state).values()) == {"h1": 4}
    state = snapshot({}, hosts[:1], {"h0": away})
    state = planned(applied(state, App("shop", {"web": service})))
    assert Counter(homes(state).values()) == {"h0": 4}, "but one, where there is no other"


def test_spread_over_a_label() -> None:
    zones = ("a", "a", "a", "b")
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0, {"zone": zone}) for n, zone in enumerate(zones)]
    placement = Placement(spread=("node.labels.zone",))
    service = Service(ContainerSpec("x"), DeploySpec(replicas=4, placement=placement))
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = planned(applied(state, App("shop", {"web": service})))
    by_zone: dict[str, int] = defaultdict(int)
    for host_id in homes(state).values():
        by_zone[state.hosts[host_id].labels["zone"]] += 1
    assert by_zone == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("node.platform.arch", {"h0": 1, "h1": 1, "h2": 2}),
        ("node.hostname", {"h0": 2, "h1": 1, "h2": 1}),
        ("node.id", {"h0": 2, "h1": 1, "h2": 1}),
        ("node.platform.os", {"h0": 2, "h1": 1, "h2": 1}),
    ],
)
def test_spread_over_other_keys(key: str, expected: dict[str, int]) -> None:
    hosts = [HostRecord(f"h{n}", f"name{n}", 1.0) for n in range(3)]
    architectures = ("x86_64", "amd64", "aarch64")
    states = {
        host.host_id: HostState(HostFacts(architecture=name))
        for host, name in zip(hosts, architectures)
    }
    service = Service(
        ContainerSpec("x"), DeploySpec(replicas=4, placement=Placement(spread=(key,)))
    )
    state = planned(applied(snapshot({}, hosts, states), App("shop", {"web": service})))
    assert Counter(homes(state).values()) == expected


def test_explanations_count_hosts_that_fail_alike() -> None:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(4)]
    states = {f"h{n}": HostState(HostFacts(memory_bytes=(n + 1) << 30)) for n in range(4)}
    reserved = DeploySpec(reservations=Resources(memory_bytes=8 << 30))
    state = snapshot({}, hosts, states)
    state = silent(state, ["h0"])
    state = applied(state, App("shop", {"web": Service(ContainerSpec("x"), reserved)}))
    assert plan(state).unplaced[0].reasons == (
        "host h0: silent for 60 s",
        "3 hosts: memory: need 8 GiB (h3, free 4 GiB)",
    )


def test_no_host_at_all() -> None:
    state = snapshot({}, [], {})
    state = applied(state, App("shop", {"web": Service(ContainerSpec("x"))}))
    assert plan(state).unplaced[0].reasons == ("no host is enrolled",)


def test_global_services_follow_the_hosts() -> None:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(2)]
    everywhere = Service(ContainerSpec("x"), DeploySpec(mode=DeployMode.GLOBAL))
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = planned(applied(state, App("logs", {"ship": everywhere})))
    assert sorted(homes(state).values()) == ["h0", "h1"]
    before = homes(state)
    added = HostRecord("h2", "h2", 1.0)
    state = dataclasses.replace(
        state,
        hosts={**state.hosts, "h2": added},
        observed={**state.observed, "h2": HostState()},
        heard_s={**state.heard_s, "h2": 1.0},
    )
    after = homes(planned(state))
    assert before.items() <= after.items()
    assert sorted(after.values()) == ["h0", "h1", "h2"]


def test_a_global_service_that_fits_nowhere_is_explained() -> None:
    placement = Placement(("node.labels.gpu == yes",))
    deploy = DeploySpec(mode=DeployMode.GLOBAL, placement=placement)
    state = one_host(App("ml", {"train": Service(ContainerSpec("x"), deploy)}))
    assert plan(state).unplaced[0].reasons == ("host h1: constraint node.labels.gpu == yes",)


def test_an_optional_dependency_that_failed_is_not_waited_for() -> None:
    for required, expected in ((True, False), (False, True)):
        web = Service(
            ContainerSpec("x"),
            depends_on=(Dependency("job", DependencyCondition.COMPLETED, required),),
        )
        job = Service(ContainerSpec("y", one_shot=True))
        state = planned(one_host(App("shop", {"web": web, "job": job})))
        state = planned(obeyed(state, {"job": Phase.FAILED}))
        released = {i.instance.service: i.released for i in state.assignments["h1"].assignments}
        assert released == {"job": True, "web": expected}


def test_a_plan_against_a_silent_world_places_nothing_new() -> None:
    state = one_host(App("shop", {"web": Service(ContainerSpec("x"))}))
    unheard = dataclasses.replace(state, heard_s={}, observed={})
    made = plan(unheard)
    assert made.hosts == {}
    assert made.unplaced[0].reasons == ("host h1: not heard since this leader began",)
    # Nor is anything replaced there before it is heard: what it serves is not known.
    state = planned(obeyed(planned(state), {}))
    changed = applied(state, App("shop", {"web": Service(ContainerSpec("y"))}))
    assert plan(dataclasses.replace(changed, heard_s={}, observed={})).hosts == {}
    orders = plan(changed).hosts["h1"]
    assert [item.instance.generation for item in orders.assignments] == [2]
    assert [item.instance.generation for item in orders.tombstones] == [1]


def test_committing_twice_is_the_same() -> None:
    state = one_host(App("shop", {"web": Service(ContainerSpec("x"))}))
    made = plan(state)
    assert plan(committed(state, made)).hosts == {}


def many_hosts(count: int, **facts: Any) -> Snapshot:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in range(count)]
    return snapshot({}, hosts, {host.host_id: HostState(HostFacts(**facts)) for host in hosts})


def web(container: str = "x", ports: tuple[PortSpec, ...] = (), **deploy: Any) -> App:
    return App("shop", {"web": Service(ContainerSpec(container), DeploySpec(**deploy), ports)})


def test_most_on_one_host() -> None:
    placement = Placement(max_replicas_per_node=2)
    state = planned(applied(many_hosts(3), web(replicas=7, placement=placement)))
    assert sorted(Counter(homes(state).values()).values()) == [2, 2, 2]
    (unplaced,) = plan(state).unplaced
    assert unplaced.slot == 7
    assert unplaced.reasons == ("3 hosts: max_replicas_per_node: 2 there already",)
    # A lower limit moves those that are too many; they go first, and have no other place.
    lower = Placement(max_replicas_per_node=1)
    state = planned(applied(obeyed(state, {}), web(replicas=7, placement=lower)))
    assert sorted(Counter(homes(state).values()).values()) == [1, 1, 1]
    reasons = {item.reason for orders in state.assignments.values() for item in orders.tombstones}
    assert reasons == {"more than 1 on this host (max_replicas_per_node)"}


def test_a_host_that_no_longer_fits_gives_its_instances_up() -> None:
    placement = Placement(("node.labels.zone == a",))
    hosts = [HostRecord("a", "a", 1.0, {"zone": "a"}), HostRecord("b", "b", 1.0)]
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = obeyed(planned(applied(state, web(placement=placement))), {})
    moved = {"a": HostRecord("a", "a", 1.0), "b": HostRecord("b", "b", 1.0, {"zone": "a"})}
    state = planned(dataclasses.replace(state, hosts=moved))
    assert homes(state) == {}
    (tombstone,) = state.assignments["a"].tombstones
    assert tombstone.reason == "does not fit this host any more: constraint node.labels.zone == a"
    assert homes(planned(obeyed(state, {}))) == {InstanceId("shop", "web", 1, 1): "b"}


def test_one_reservation_too_many() -> None:
    reserved = Resources(cpus=1.0, memory_bytes=1 << 30)
    state = planned(
        applied(many_hosts(2, cpus=2, memory_bytes=8 << 30), web(replicas=5, reservations=reserved))
    )
    assert sorted(Counter(homes(state).values()).values()) == [2, 2]
    assert plan(state).unplaced[0].reasons == ("2 hosts: CPUs: need 1 (h0, free 0)",)
    # Room that shrinks takes nothing away from what is there.
    smaller = {
        host_id: dataclasses.replace(item, facts=HostFacts(cpus=1))
        for host_id, item in obeyed(state, {}).observed.items()
    }
    assert plan(dataclasses.replace(state, observed=smaller)).hosts == {}


def test_instances_share_a_range_of_ports() -> None:
    ports = (PortSpec(80, 8000, 8002, mode=PortMode.HOST), PortSpec(443, 0, 0, mode=PortMode.HOST))
    state = planned(applied(many_hosts(2), web(replicas=7, ports=ports)))
    assert sorted(Counter(homes(state).values()).values()) == [3, 3]
    for orders in state.assignments.values():
        assert [item.ports[0].published for item in orders.assignments] == [8000, 8001, 8002]
        assert {item.ports[1].published for item in orders.assignments} == {0}
    assert plan(state).unplaced[0].reasons == ("2 hosts: no port free in 8000-8002/tcp",)


def test_a_port_that_proxies_answer_keeps_no_instance_off_a_host() -> None:
    ports = (PortSpec(80, 80, 80),)
    state = planned(applied(many_hosts(1), web(replicas=3, ports=ports)))
    (orders,) = state.assignments.values()
    assert [item.ports for item in orders.assignments] == [(), (), ()]
    assert plan(state).unplaced == ()


def test_an_instance_that_an_older_version_gave_a_port_keeps_it_where_it_is() -> None:
    state = planned(applied(many_hosts(2), web(ports=(PortSpec(80, 80, 80, mode=PortMode.HOST),))))
    ((host_id, orders),) = state.assignments.items()
    record = state.apps["shop"]
    proxied = dataclasses.replace(record.app.services["web"], ports=(PortSpec(80, 80, 80),))
    app = dataclasses.replace(record.app, services={"web": proxied})
    upgraded = with_record(state, dataclasses.replace(record, app=app))
    assert plan(upgraded).hosts == {}
    # On another host the proxy answers: a successor has no port of its own.
    moved = planned(silent(upgraded, [host_id]))
    (other,) = set(moved.assignments) - {host_id}
    assert [item.ports for item in moved.assignments[other].assignments] == [()]
    assert orders.assignments[0].ports[0].published == 80


def test_a_job_runs_again_only_when_a_container_of_its_app_changed() -> None:
    job = Service(ContainerSpec("job", one_shot=True))

    def of(image: str, replicas: int = 1) -> App:
        return App(
            "shop",
            {"web": Service(ContainerSpec(image), DeploySpec(replicas=replicas)), "job": job},
        )

    state = obeyed(planned(one_host(of("x:1"))), {"job": Phase.COMPLETED})
    ran = {i for i in homes(state) if i.service == "job"}
    state = obeyed(planned(applied(state, of("x:1", 3))), {"job": Phase.COMPLETED})
    assert {i for i in homes(state) if i.service == "job"} == ran
    state = planned(applied(state, of("x:2", 3)))
    assert {i.generation for i in homes(state) if i.service == "job"} == {3}


def test_a_chain_is_released_link_by_link() -> None:
    db = Service(ContainerSpec("db"))
    job = Service(
        ContainerSpec("job", one_shot=True),
        depends_on=(Dependency("db", DependencyCondition.HEALTHY),),
    )
    front = Service(
        ContainerSpec("web"), depends_on=(Dependency("job", DependencyCondition.COMPLETED),)
    )
    state = planned(one_host(App("shop", {"db": db, "job": job, "web": front})))

    def released(state: Snapshot) -> set[str]:
        return {i.instance.service for i in state.assignments["h1"].assignments if i.released}

    assert released(state) == {"db"}
    state = planned(obeyed(state, {}, Health.STARTING))
    assert released(state) == {"db"}
    state = planned(obeyed(state, {}, Health.HEALTHY))
    assert released(state) == {"db", "job"}
    state = planned(obeyed(state, {"job": Phase.RUNNING}, Health.HEALTHY))
    assert released(state) == {"db", "job"}
    state = planned(obeyed(state, {"job": Phase.COMPLETED}, Health.HEALTHY))
    assert released(state) == {"db", "job", "web"}


def test_a_tombstone_goes_when_its_host_says_so_under_the_same_orders() -> None:
    state = obeyed(planned(one_host(web())), {})
    state = planned(applied(state, web("y")))
    (tombstone,) = state.assignments["h1"].tombstones
    # A report made under older orders says nothing about it, even where it lacks the instance.
    early = dataclasses.replace(state.observed["h1"], instances={}, accepted_revision=1)
    assert plan(dataclasses.replace(state, observed={"h1": early})).hosts == {}
    # Still there, or an orphan by now: it stays.
    there = obeyed(state, {}).observed["h1"]
    name = tombstone.instance.container_name
    status = InstanceStatus(tombstone.instance, Phase.STOPPING)
    for side in ("instances", "orphans"):
        found = {**getattr(there, side), name: status}
        sides: dict[str, Any] = {side: found}
        still = dataclasses.replace(there, **sides)
        orders = planned(dataclasses.replace(state, observed={"h1": still})).assignments["h1"]
        assert orders.tombstones == (tombstone,)
    assert planned(obeyed(state, {})).assignments["h1"].tombstones == ()


def test_an_instance_that_is_wanted_again_is_not_removed() -> None:
    """Scaled down and up before its host obeyed: the tombstone is withdrawn."""
    state = obeyed(planned(one_host(web(replicas=2))), {})
    less = planned(applied(state, web(replicas=1)))
    assert len(less.assignments["h1"].tombstones) == 1
    again = planned(applied(less, web(replicas=2)))
    assert again.assignments["h1"].tombstones == ()
    assert homes(again) == homes(state)


def test_a_large_fleet_is_planned_in_bounded_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The figure is for people; only what was planned is judged, for clocks here are not our own."""
    apps = [
        App(f"app{n}", {"web": Service(ContainerSpec("x"), DeploySpec(replicas=40), PORTS)})
        for n in range(50)
    ]
    state = many_hosts(300, cpus=8, memory_bytes=16 << 30)
    for one in apps:
        state = applied(state, one)
    began = time.perf_counter()
    made = plan(state)
    took_s = time.perf_counter() - began
    state = obeyed(committed(state, made), {})
    began = time.perf_counter()
    again = plan(state)
    with capsys.disabled():
        again_s = time.perf_counter() - began
        print(f"\n300 hosts, 2000 instances: first plan {took_s:.2f} s, next {again_s:.2f} s")
    assert len(homes(state)) == 2000
    assert made.unplaced == ()
    assert max(Counter(homes(state).values()).values()) == 7
    assert {
        item.released for orders in state.assignments.values() for item in orders.assignments
    } == {True}
    assert again.hosts == {}


PORTS = (PortSpec(80, 8000, 8999, mode=PortMode.HOST),)
