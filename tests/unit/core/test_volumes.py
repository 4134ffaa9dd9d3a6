"""Removing the volumes of a removed app: ordered everywhere, remembered, and only its own."""

from __future__ import annotations

import dataclasses

from hullmark.core.schedule import plan
from hullmark.model.app import App, ContainerSpec, Service, Volume
from hullmark.model.host import HostRecord
from hullmark.model.observed import HostState
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import applied, obeyed, planned, silent, snapshot, with_record

APP = App(
    "shop",
    {"web": Service(ContainerSpec("x"))},
    volumes={"data": Volume(), "logs": Volume(), "shared": Volume(external="nas")},
)


def running(*host_ids: str) -> Snapshot:
    hosts = [HostRecord(host_id, host_id, 1.0) for host_id in host_ids]
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    return obeyed(planned(applied(state, APP)), {})


def removed(state: Snapshot, *, volumes: bool) -> Snapshot:
    record = dataclasses.replace(state.apps["shop"], removing=True, remove_volumes=volumes)
    return planned(with_record(state, record))


def removals(state: Snapshot, host_id: str) -> list[str]:
    return [item.volume for item in state.assignments[host_id].volume_removals]


def test_only_the_apps_own_volumes_are_removed_and_only_where_asked_for() -> None:
    state = removed(running("h1", "h2"), volumes=True)
    assert removals(state, "h1") == removals(state, "h2") == ["data", "logs"]
    kept = removed(running("h1"), volumes=False)
    assert removals(kept, "h1") == []


def test_a_removal_that_is_done_is_not_ordered_again() -> None:
    state = removed(running("h1"), volumes=True)
    for _ in range(3):
        state = planned(obeyed(state, {}))
    assert "shop" not in state.apps
    assert removals(state, "h1") == []
    assert plan(state).hosts == {}


def test_the_order_outlives_the_apps_record_where_the_host_is_away() -> None:
    away = silent(removed(running("h1"), volumes=True), ["h1"])
    assert "shop" not in planned(away).apps, "its order stands in the host's own list"
    assert removals(planned(away), "h1") == ["data", "logs"]


def test_a_report_under_older_orders_does_not_count() -> None:
    state = removed(running("h1"), volumes=True)
    early = dataclasses.replace(
        state.observed["h1"], removed_volumes=("shop_data", "shop_logs"), accepted_revision=1
    )
    told = planned(dataclasses.replace(state, observed={"h1": early}))
    assert removals(told, "h1") == ["data", "logs"]
    assert "shop" in told.apps


def test_a_host_that_was_never_enrolled_is_no_obstacle() -> None:
    """Its record is gone; what it ran is beyond reach, and the app's record must not stay for ever."""
    state = removed(running("h1"), volumes=True)
    gone = dataclasses.replace(state, hosts={}, observed={}, heard_s={})
    assert plan(gone).finished == ("shop",)
    assert plan(gone).hosts == {"h1": NO_ASSIGNMENTS}
