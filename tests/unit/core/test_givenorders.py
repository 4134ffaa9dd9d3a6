"""What a plan orders anew is told once, by host and app."""

from __future__ import annotations

import dataclasses

from hullmark.core.givenorders import LISTED_MOST, Given, given, listed
from hullmark.core.schedule import Plan
from hullmark.model.epoch import Epoch
from hullmark.model.orders import Assignment, InstanceId, Tombstone
from hullmark.model.records import HostAssignments
from tests.unit.core.world import World


def instance(service: str, slot: int = 1, generation: int = 1, app: str = "shop") -> InstanceId:
    return InstanceId(app, service, slot, generation)


def orders(*run: InstanceId, remove: tuple[InstanceId, ...] = ()) -> HostAssignments:
    return HostAssignments(
        tuple(Assignment(each, "hash") for each in run),
        tuple(Tombstone(each, Epoch(1, 1), "it was replaced") for each in remove),
    )


OLD, NEW, OTHER = instance("web"), instance("web", generation=2), instance("db", app="blog")


def test_what_is_new_is_given_and_only_that() -> None:
    snapshot = dataclasses.replace(
        World({}).snapshot(), assignments={"h1": orders(OLD, remove=(instance("api"),))}
    )
    made = Plan({"h1": orders(NEW, OTHER, remove=(instance("api"), OLD)), "h2": orders(OTHER)})
    assert list(given(snapshot, made)) == [
        Given("h1", "blog", ("blog/db.1 g1",)),
        Given("h1", "shop", ("shop/web.1 g2",), ("shop/web.1 g1 (it was replaced)",)),
        Given("h2", "blog", ("blog/db.1 g1",)),
    ]
    known = dataclasses.replace(snapshot, assignments=made.hosts)
    assert list(given(known, made)) == []


def test_a_long_list_says_how_many_more() -> None:
    assert listed(["a", "b"]) == "a, b"
    names = [str(number) for number in range(LISTED_MOST + 3)]
    assert listed(names).endswith(" and 3 more")
