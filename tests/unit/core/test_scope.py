"""What is of the cardholder data environment, and what is not, are never placed on one host."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from hullmark.core.explain import explanation
from hullmark.core.loadlinecheck import asked_for
from hullmark.core.loadlinestanding import brakes, mark_findings, mark_view
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
from hullmark.model.control import Status
from hullmark.model.explanation import SlotExplanation
from hullmark.model.loadline import LoadLine, LoadLineRecord, Override, Required
from tests.unit.core import markpromises
from tests.unit.core.fleets import CHANGE
from tests.unit.core.markpromises import control, posture
from tests.unit.core.test_lost_hosts import world_of
from tests.unit.core.world import World

ROUTING = "container-routing"
CARDS = Service(ContainerSpec("cards", scope="cde"), DeploySpec(replicas=4))
SHOP = Service(ContainerSpec("shop"), DeploySpec(replicas=4))


def scoped(world: World, scopes: dict[str, str]) -> World:
    """Hosts of these scopes, which prove what services of a scope need."""
    for host_id, word in scopes.items():
        machine = world.machines[host_id]
        machine.facts = dataclasses.replace(machine.facts, scope=word)
        proves(world, host_id)
    world.pass_s(1.0)
    return world


def proves(world: World, host_id: str, status: Optional[Status] = Status.PASS) -> None:
    """Whether neighbours get into its containers, as it says; None: it says nothing of its controls."""
    found = [] if status is None else [control(ROUTING, status, since=world.now)]
    world.machines[host_id].posture = posture(*found) if found else None


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


# what a scope needs


def cards(replicas: int = 1, **more: object) -> App:
    deploy = DeploySpec(replicas=replicas, **more)  # type: ignore[arg-type]
    return App("shop", {"cards": dataclasses.replace(CARDS, deploy=deploy)})


def cardholders(count: int) -> World:
    world = scoped(world_of(count), {f"id{number + 1}": "cde" for number in range(count)})
    world.checks += markpromises.ALL
    return world


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.FAIL, "FAILS"),
        (Status.ERROR, "could not be checked"),
        (Status.NOT_RUN, "has not been checked lately"),
        (Status.NOT_APPLICABLE, "has no tool there"),
        (None, "is not known there"),
    ],
)
def test_a_host_that_does_not_keep_neighbours_out_gets_no_new_work(
    status: Optional[Status], said: str
) -> None:
    world = cardholders(1)
    proves(world, "id1", status)
    world.apply(cards())
    world.pass_s(2.0)
    assert hosts_of(world, "cards") == set()
    found = explained(world, "cards")[0]
    assert [(item.filter, item.text) for item in found.refusals] == [
        ("mark", f'control "container routing" {said}, and scope cde needs it')
    ]
    assert found.nearest == 'h1, once "container routing" is proven there'
    assert found.commands == (
        "hullmark controls container-routing --host h1",
        "hullmark mark override container-routing --ticket TEXT",
    )
    proves(world, "id1")
    world.pass_s(2.0)
    assert hosts_of(world, "cards") == {"id1"}


def test_what_runs_stays_where_neighbours_get_in_later() -> None:
    world = cardholders(2)
    line = LoadLine((Required("audit-trail"),), drain=True, drain_after_s=1.0)
    world.loadline = LoadLineRecord(line, CHANGE, (Override("audit-trail", "a", "T", 0.0, 9e9),))
    world.apply(cards(2))
    world.pass_s(2.0)
    before = sorted(world.running())
    assert len(before) == 2
    proves(world, "id1", Status.FAIL)
    world.pass_s(60.0)
    assert sorted(world.running()) == before, "not even where the mark says drain"
    world.apply(cards(4))
    world.pass_s(3.0)
    new = [host_id for host_id, item in world.running() if (host_id, item) not in before]
    assert new == ["id2", "id2"]


def test_hosts_that_keep_neighbours_out_are_used_however_few_they_are() -> None:
    world = cardholders(4)
    for host_id in ("id1", "id2", "id3"):
        proves(world, host_id, Status.FAIL)
    world.apply(cards(3))
    world.pass_s(3.0)
    assert hosts_of(world, "cards") == {"id4"}
    assert brakes(world.snapshot()) == ()
    own = Placement(require=(Required(ROUTING),))
    world.apply(cards(4, placement=own))
    world.pass_s(3.0)
    assert [each.control for each in brakes(world.snapshot())] == [ROUTING]
    assert len(list(world.running())) == 3, "what a person asks for is the brake's"


def test_a_person_may_decide_otherwise() -> None:
    world = cardholders(1)
    proves(world, "id1", Status.FAIL)
    world.apply(cards())
    world.pass_s(2.0)
    assert asked_for(world.snapshot()) == {ROUTING}
    word = Override(ROUTING, "ann", "INC-1", world.now, world.now + 60.0, "shop")
    world.loadline = LoadLineRecord(overrides=(word,))
    world.pass_s(2.0)
    assert hosts_of(world, "cards") == {"id1"}


def test_others_need_nothing_of_it() -> None:
    world = scoped(world_of(1), {})
    proves(world, "id1", Status.FAIL)
    world.apply(App("shop", {"shop": SHOP}))
    world.pass_s(2.0)
    assert hosts_of(world, "shop") == {"id1"}
    assert mark_view(world.snapshot()).hosts == ()


def test_hosts_of_cardholder_data_that_let_neighbours_in_are_listed() -> None:
    world = cardholders(2)
    proves(world, "id1", Status.FAIL)
    world.pass_s(2.0)
    (found,) = mark_view(world.snapshot()).hosts
    assert (found.host, [miss.control for miss in found.misses]) == ("h1", [ROUTING])
    ((_, note, _),) = mark_findings(world.snapshot())
    assert note == (
        "1 host gets no new work, by the mark: "
        'h1 (control "container routing" FAILS, and scope cde needs it)'
    )
