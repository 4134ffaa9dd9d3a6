"""Containers that nobody ordered are taken in where they are, if they are just what an app wants; else they hold things up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hullmark.core.adoption import takeover
from hullmark.core.generations import next_record, spec_hashes
from hullmark.core.schedule import plan
from hullmark.core.standing import Standing
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    Placement,
    PortMode,
    PortSpec,
    Service,
)
from hullmark.model.host import HostRecord
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import AppRecord, Home, HomesRecord, HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import CHANGE, CLUSTER, X86, committed, planned, snapshot

HOSTS = [HostRecord("h1", "h1", 1.0), HostRecord("h2", "h2", 1.0)]
PROOF = IncarnationProof("c1", 2, 1.0, "restored", "alice", "ecdsa-sha256", "", "")


def app_of(replicas: int = 1, image: str = "web:1", **more: Any) -> App:
    deploy = dataclasses.replace(DeploySpec(replicas=replicas), **more)
    return App("shop", {"web": Service(ContainerSpec(image), deploy)})


def record_of(app: App, generation: int = 4) -> AppRecord:
    return next_record(None, app, CHANGE, floor=generation - 1)


def runs(record: AppRecord, slot: int = 1, generation: int = 4, **more: Any) -> InstanceStatus:
    instance = InstanceId("shop", "web", slot, generation)
    found = InstanceStatus(
        instance,
        Phase.RUNNING,
        spec_hash=record.spec_hashes["web"],
        container_id=f"id-{instance.container_name}",
    )
    return dataclasses.replace(found, **more)


def state_of(
    orphans: Sequence[InstanceStatus] = (), instances: Sequence[InstanceStatus] = ()
) -> HostState:
    return HostState(
        X86,
        {one.instance.container_name: one for one in instances},
        {one.instance.container_name: one for one in orphans},
    )


def restored(
    record: AppRecord,
    states: Mapping[str, HostState],
    assigned: Mapping[str, Sequence[int]] = {},
    generation: int = 4,
) -> Snapshot:
    """The slots of `assigned`, by host, are assigned and not released."""
    orders = {
        host: HostAssignments(
            tuple(
                Assignment(
                    InstanceId("shop", "web", slot, generation),
                    record.spec_hashes["web"],
                    released=False,
                )
                for slot in slots
            )
        )
        for host, slots in assigned.items()
    }
    found = snapshot({"shop": record}, HOSTS, states)
    return dataclasses.replace(
        found, assignments=orders, cluster=dataclasses.replace(CLUSTER, proof=PROOF)
    )


def where(state: Snapshot) -> dict[str, list[tuple[str, bool]]]:
    return {
        host: [(one.instance.container_name, one.released) for one in orders.assignments]
        for host, orders in state.assignments.items()
        if orders.assignments
    }


def test_what_runs_just_so_is_assigned_where_it_runs() -> None:
    record = record_of(app_of(2))
    states = {"h1": state_of(), "h2": state_of([runs(record, 1), runs(record, 2)])}
    after = committed(restored(record, states), plan(restored(record, states)))
    assert where(after) == {"h2": [("shop.web.1.g4", True), ("shop.web.2.g4", True)]}


def test_it_takes_the_place_of_what_was_assigned_elsewhere_and_never_started() -> None:
    record = record_of(app_of())
    before = restored(record, {"h1": state_of(), "h2": state_of([runs(record)])}, {"h1": [1]})
    after = committed(before, plan(before))
    assert where(after) == {"h2": [("shop.web.1.g4", True)]}
    assert not any(orders.tombstones for orders in after.assignments.values())


def test_one_that_runs_where_it_is_assigned_stays_and_the_other_is_kept() -> None:
    record = record_of(app_of())
    states = {"h1": state_of(instances=[runs(record)]), "h2": state_of([runs(record)])}
    before = restored(record, states, {"h1": [1]})
    after = committed(before, plan(before))
    assert [name for name, _ in where(after)["h1"]] == ["shop.web.1.g4"]
    assert "h2" not in where(after)


def test_what_was_let_start_may_be_starting() -> None:
    record = record_of(app_of())
    before = restored(record, {"h1": state_of(), "h2": state_of([runs(record)])}, {"h1": [1]})
    [item] = before.assignments["h1"].assignments
    released = HostAssignments((dataclasses.replace(item, released=True),))
    before = dataclasses.replace(before, assignments={"h1": released})
    assert where(committed(before, plan(before))) == {"h1": [("shop.web.1.g4", True)]}


def test_what_does_not_fit_is_left_alone() -> None:
    record = record_of(app_of())
    other = record_of(app_of(image="web:2"))
    ports = (PublishedPort(80, 8080),)
    for orphan in (
        runs(other),
        runs(record, slot=2),
        runs(record, generation=3),
        runs(record, ports=ports),
    ):
        before = restored(record, {"h1": state_of(), "h2": state_of([orphan])})
        names = [
            name for host in where(committed(before, plan(before))).values() for name, _ in host
        ]
        assert names == ["shop.web.1.g4"]
        [placed] = where(committed(before, plan(before))).items()
        assert placed[1][0][0] == "shop.web.1.g4"


def test_a_host_that_may_not_have_it_does_not_get_it() -> None:
    record = record_of(app_of(placement=Placement(constraints=("node.hostname == h1",))))
    before = restored(record, {"h1": state_of(), "h2": state_of([runs(record)])})
    assert set(where(committed(before, plan(before)))) == {"h1"}


def test_a_slot_with_data_is_adopted_at_its_home_only() -> None:
    record = record_of(app_of())
    before = restored(record, {"h1": state_of(), "h2": state_of([runs(record)])}, {"h1": [1]})
    home = {"shop": HomesRecord({"web.1": Home("h1")})}
    before = dataclasses.replace(before, homes=home)
    assert where(committed(before, plan(before))) == {"h1": [("shop.web.1.g4", False)]}
    there = dataclasses.replace(before, homes={"shop": HomesRecord({"web.1": Home("h2")})})
    assert "h2" in where(committed(there, plan(there)))


def test_no_more_than_may_be_on_one_host() -> None:
    record = record_of(app_of(2, placement=Placement(max_replicas_per_node=1)))
    before = restored(
        record, {"h1": state_of(), "h2": state_of([runs(record, 1), runs(record, 2)])}
    )
    assert where(committed(before, plan(before)))["h2"] == [("shop.web.1.g4", True)]


def test_one_on_each_host_takes_in_those_that_are_there() -> None:
    record = record_of(app_of(mode=DeployMode.GLOBAL))
    states = {"h1": state_of([runs(record, 2)]), "h2": state_of([runs(record, 1)])}
    before = restored(record, states)
    assert where(committed(before, plan(before))) == {
        "h1": [("shop.web.2.g4", True)],
        "h2": [("shop.web.1.g4", True)],
    }


def test_nothing_starts_while_a_newer_one_is_there_and_that_is_told() -> None:
    record = record_of(app_of())
    newer = runs(record_of(app_of(image="web:2")), generation=5)
    before = restored(record, {"h1": state_of(), "h2": state_of([newer])}, {"h1": [1]})
    after = committed(before, plan(before))
    assert where(after) == {"h1": [("shop.web.1.g4", False)]}
    [view] = Standing(after).instances("shop")
    assert view.why == "not started: shop.web.1.g5 is there on h2; see: hullmark orphans"
    gone = dataclasses.replace(after, observed={"h1": state_of(), "h2": state_of()})
    assert where(committed(gone, plan(gone))) == {"h1": [("shop.web.1.g4", True)]}


def test_after_a_restore_nothing_starts_before_every_host_has_spoken() -> None:
    record = record_of(app_of())
    before = restored(record, {"h1": state_of()}, {"h1": [1]})
    silent = dataclasses.replace(before, heard_s={"h1": 1.0}, lost_after_s=10.0, waited_s=2.0)
    assert where(committed(silent, plan(silent))) == {"h1": [("shop.web.1.g4", False)]}
    [view] = Standing(silent).instances("shop")
    assert view.why == "not started: after the restore: host h2 has not said yet what it has"
    lost = dataclasses.replace(silent, waited_s=11.0)
    assert where(committed(lost, plan(lost))) == {"h1": [("shop.web.1.g4", True)]}
    ever = dataclasses.replace(silent, cluster=CLUSTER)
    assert where(committed(ever, plan(ever))) == {"h1": [("shop.web.1.g4", True)]}


def taken(before: Snapshot, app: App) -> tuple[AppRecord, dict[str, int]]:
    old = before.apps.get("shop")
    found = takeover(before, old, app, spec_hashes(app))
    return next_record(old, app, CHANGE, floor=9, takeover=found), found


def test_applying_the_newer_file_takes_the_newer_containers_in() -> None:
    old, new = record_of(app_of()), app_of(image="web:2")
    newer = runs(record_of(new), generation=5)
    before = restored(old, {"h1": state_of(), "h2": state_of([newer])}, {"h1": [1]})
    record, found = taken(before, new)
    assert found == {"web": 5}
    assert (record.generation, record.generations) == (10, {"web": 5})
    applied = dataclasses.replace(before, apps={"shop": record})
    after = committed(applied, plan(applied))
    assert where(after) == {"h2": [("shop.web.1.g5", True)]}
    assert plan(planned(after)).hosts == {}


def test_the_file_as_the_store_has_it_takes_in_a_newer_container_of_the_same_spec() -> None:
    old = record_of(app_of())
    before = restored(
        old, {"h1": state_of([runs(old, generation=6)]), "h2": state_of()}, {"h1": [1]}
    )
    record, found = taken(before, app_of())
    assert (found, record.generations) == ({"web": 6}, {"web": 6})
    again = dataclasses.replace(before, apps={"shop": record})
    assert taken(again, app_of()) == (record, {})


def test_an_app_that_the_store_never_had_is_taken_in() -> None:
    app = app_of()
    before = restored(record_of(app), {"h1": state_of([runs(record_of(app), generation=2)])})
    before = dataclasses.replace(before, apps={})
    record, found = taken(before, app)
    assert (found, record.generations) == ({"web": 2}, {"web": 2})


def test_another_spec_or_other_ports_take_over_nothing() -> None:
    app = app_of()
    specs = (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
    service = app.services["web"]
    with_port = App("shop", {"web": dataclasses.replace(service, ports=specs)})
    old = record_of(app)
    for status, asked in (
        (runs(old, generation=5), app_of(image="web:9")),
        (runs(old, generation=5), with_port),
        (runs(old, generation=5, ports=(PublishedPort(80, 9090),)), with_port),
        (runs(old, generation=4), app),
    ):
        before = restored(old, {"h1": state_of([status]), "h2": state_of()})
        assert taken(before, asked)[1] == {}
    right = runs(old, generation=5, ports=(PublishedPort(80, 8080),))
    before = restored(old, {"h1": state_of([right]), "h2": state_of()})
    assert taken(before, with_port)[1] == {"web": 5}


def test_what_an_older_version_made_is_taken_over_with_the_ports_that_its_engine_bound() -> None:
    app = app_of()
    specs = (PortSpec(80, 8080, 8080),)
    published = App("shop", {"web": dataclasses.replace(app.services["web"], ports=specs)})
    old = record_of(app)
    for ports in ((), (PublishedPort(80, 8080),)):
        before = restored(
            old, {"h1": state_of([runs(old, generation=5, ports=ports)]), "h2": state_of()}
        )
        assert taken(before, published)[1] == {"web": 5}


def test_jobs_are_done_only_with_what_runs() -> None:
    job = Service(ContainerSpec("job:1", one_shot=True))
    app = App("shop", {**app_of().services, "job": job})
    hashes = spec_hashes(app)
    ended = InstanceStatus(
        InstanceId("shop", "job", 1, 5), Phase.FAILED, spec_hash=hashes["job"], container_id="j"
    )
    web = dataclasses.replace(runs(record_of(app), generation=5), spec_hash=hashes["web"])
    alone = dataclasses.replace(
        restored(record_of(app), {"h1": state_of([ended]), "h2": state_of()}), apps={}
    )
    assert takeover(alone, None, app, hashes) == {}
    both = dataclasses.replace(alone, observed={"h1": state_of([ended, web]), "h2": state_of()})
    assert takeover(both, None, app, hashes) == {"job": 5, "web": 5}
