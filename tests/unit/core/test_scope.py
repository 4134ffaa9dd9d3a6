"""What is of the cardholder data environment, and what is not, are never placed on one host."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.explain import explanation
from hullmark.core.schedule import plan
from hullmark.model import scope
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    Placement,
    Service,
    UpdateConfig,
)
from hullmark.model.explanation import SlotExplanation
from tests.unit.core.test_lost_hosts import world_of
from tests.unit.core.world import World

CARDS = Service(ContainerSpec("cards", scope="cde"), DeploySpec(replicas=4))
SHOP = Service(ContainerSpec("shop"), DeploySpec(replicas=4))


def scoped(world: World, scopes: dict[str, str]) -> World:
    for host_id, word in scopes.items():
        machine = world.machines[host_id]
        machine.facts = dataclasses.replace(machine.facts, scope=word)
    world.pass_s(1.0)
    return world


def hosts_of(world: World, service: str) -> set[str]:
    return {
        host_id
        for host_id, orders in world.assignments.items()
        for item in orders.assignments
        if item.instance.service == service
    }


def explained(world: World, service: str) -> tuple[SlotExplanation, ...]:
    snapshot = world.snapshot()
    found = explanation(snapshot, plan(snapshot).unplaced, world.apps["shop"], service)
    return found.services[0].slots


@pytest.mark.parametrize(
    ("service", "host", "fits"),
    [
        ("cde", "cde", True),
        ("cde", "out", False),
        ("cde", "", False),
        ("", "", True),
        ("", "out", True),
        ("out", "", True),
        ("out", "cde", False),
        ("", "cde", False),
        ("cde", "unknown", False),
        ("", "unknown", False),
        ("out", "unknown", False),
    ],
)
def test_which_fit(service: str, host: str, fits: bool) -> None:
    assert scope.fits(service, host) is fits


@pytest.mark.parametrize("mode", list(DeployMode))
def test_each_goes_only_where_it_belongs(mode: DeployMode) -> None:
    world = scoped(world_of(4), {"id1": "cde", "id2": "cde", "id3": "out"})
    apart = DeploySpec(mode, replicas=1 if mode is DeployMode.GLOBAL else 4)
    services = {
        name: dataclasses.replace(service, deploy=apart)
        for name, service in (("cards", CARDS), ("shop", SHOP))
    }
    world.apply(App("shop", services))
    world.pass_s(3.0)
    assert hosts_of(world, "cards") == {"id1", "id2"}
    assert hosts_of(world, "shop") == {"id3", "id4"}


def test_who_says_nothing_of_a_scope_is_told_what_was_not_asked_for() -> None:
    world = scoped(world_of(1), {"id1": "cde"})
    world.apply(App("shop", {"web": Service(ContainerSpec("web"))}))
    (found,) = explained(world, "web")[0].refusals
    assert (found.text, found.nearest) == (
        "x-hullmark.scope: cde not asked for",
        "h1, host is cde",
    )


def test_why_it_fits_nowhere() -> None:
    world = scoped(world_of(3), {"id2": "out", "id3": "unknown"})
    world.apply(App("shop", {"web": dataclasses.replace(CARDS, deploy=DeploySpec())}))
    found = explained(world, "web")[0]
    assert found.why == "no host fits"
    assert [(item.filter, item.text, item.hosts, item.nearest) for item in found.refusals] == [
        ("scope", "scope cde asked for", ("h1", "h2"), "h1, host is out"),
        ("scope", "its policy can't be read, so it starts nothing", ("h3",), "h3"),
    ]
    assert found.nearest.startswith("h3, once its policy can be read")
    scoped(world, {"id3": ""})
    found = explained(world, "web")[0]
    assert found.nearest == "a host whose own policy says scope: cde; h1 is not one"
    assert found.commands == ()


def test_what_runs_stays_where_a_hosts_scope_changed_until_it_is_replaced() -> None:
    world = scoped(world_of(2), {"id2": "cde"})
    world.apply(App("shop", {"web": dataclasses.replace(SHOP, deploy=DeploySpec())}))
    world.pass_s(3.0)
    assert hosts_of(world, "web") == {"id1"}
    scoped(world, {"id1": "cde", "id2": "out"})
    world.pass_s(20.0)
    assert hosts_of(world, "web") == {"id1"}, "the host's own policy says whether it is stopped"
    world.apply(App("shop", {"web": Service(ContainerSpec("other"))}))
    world.pass_s(30.0)
    assert hosts_of(world, "web") == {"id2"}


def test_a_constraint_that_fails_counts_although_the_scope_does_too() -> None:
    world = scoped(world_of(2), {})
    world.change_host("id1", labels={"zone": "a"})
    world.change_host("id2", labels={"zone": "a"})
    deploy = DeploySpec(placement=Placement(("node.labels.zone == a",)))
    world.apply(App("shop", {"web": Service(ContainerSpec("x"), deploy)}))
    world.pass_s(3.0)
    (first,) = hosts_of(world, "web")
    scoped(world, {first: "cde"})
    world.change_host(first, labels={})
    world.pass_s(30.0)
    assert hosts_of(world, "web") == {"id1", "id2"} - {first}


def test_a_service_that_becomes_cde_goes_to_a_host_that_is() -> None:
    world = scoped(world_of(3), {"id2": "cde", "id3": "cde"})
    deploy = DeploySpec(replicas=2, update=UpdateConfig(monitor_s=1.0))
    world.apply(App("shop", {"web": Service(ContainerSpec("x"), deploy)}))
    world.pass_s(3.0)
    assert hosts_of(world, "web") == {"id1"}
    world.apply(App("shop", {"web": Service(ContainerSpec("x", scope="cde"), deploy)}))
    world.pass_s(60.0)
    assert hosts_of(world, "web") == {"id2", "id3"}
