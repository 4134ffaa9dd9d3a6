"""What a person is told to type for each container that no order names."""

from __future__ import annotations

import dataclasses

from hullmark.core.orphans import orphan_views
from hullmark.model.api import OrphanView
from hullmark.model.host import HostFacts
from hullmark.model.observed import InstanceStatus
from hullmark.model.snapshot import Snapshot
from tests.unit.core.test_adoption import app_of, record_of, restored, runs, state_of

RECORD = record_of(app_of())


def only(state: Snapshot) -> OrphanView:
    [view] = orphan_views(state)
    return view


def on_h2(status: InstanceStatus) -> Snapshot:
    return restored(RECORD, {"h1": state_of(), "h2": state_of([status])}, {"h1": [1]})


def test_a_newer_one_is_taken_in_by_its_file() -> None:
    view = only(on_h2(runs(RECORD, generation=5)))
    assert view.take_in == "hullmark apply FILE"
    assert view.why == "newer than generation 4 of shop/web; FILE: the one that made it"
    assert (view.host, view.remove) == ("h2", "docker rm -f shop.web.1.g5")


def test_so_is_one_whose_app_or_service_is_not_there() -> None:
    gone = dataclasses.replace(on_h2(runs(RECORD)), apps={})
    assert only(gone).take_in == "hullmark apply FILE"
    leaving = {"shop": dataclasses.replace(RECORD, removing=True)}
    assert "no app shop" in only(dataclasses.replace(gone, apps=leaving)).why
    api = dataclasses.replace(runs(RECORD).instance, service="api")
    view = only(on_h2(dataclasses.replace(runs(RECORD), instance=api)))
    assert (view.take_in, "no such service" in view.why) == ("hullmark apply FILE", True)


def test_an_older_one_has_no_way_in() -> None:
    assert only(on_h2(runs(RECORD, generation=3))).take_in == ""
    assert only(on_h2(runs(RECORD, spec_hash="0" * 64))).take_in == ""


def test_a_slot_too_many_is_scaled_to() -> None:
    view = only(on_h2(runs(RECORD, slot=3)))
    assert (view.take_in, view.why) == ("hullmark scale shop/web=3", "shop/web has 1")


def test_one_whose_slot_is_assigned_elsewhere_is_moved_to_unless_that_one_is_there() -> None:
    assert only(on_h2(runs(RECORD))).take_in == "hullmark move shop/web.1 --to h2"
    states = {"h1": state_of(instances=[runs(RECORD)]), "h2": state_of([runs(RECORD)])}
    view = only(restored(RECORD, states, {"h1": [1]}))
    assert (view.take_in, view.why) == ("", "its slot has another on h1")
    alone = restored(RECORD, {"h1": state_of(), "h2": state_of([runs(RECORD)])})
    assert only(alone).take_in == ""


def test_the_engine_of_the_host_removes_it() -> None:
    state = dataclasses.replace(state_of([runs(RECORD)]), facts=HostFacts(engine="Podman Engine"))
    view = only(restored(RECORD, {"h2": state}))
    assert view.remove == "podman rm -f shop.web.1.g4"
