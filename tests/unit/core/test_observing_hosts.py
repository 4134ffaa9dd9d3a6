"""A host whose agent only observes gets nothing new, and what it has is left to it."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.absence import engine_trouble
from hullmark.model.app import App, ContainerSpec, DeployMode, DeploySpec, HostLoss, Service
from hullmark.model.control import Mode
from hullmark.model.observed import HostProblem, HostState
from tests.unit.core.test_lost_hosts import cut, reasons, web, where, world_of
from tests.unit.core.test_scope import explained, hosts_of
from tests.unit.core.world import World


def observing(world: World, *host_ids: str) -> World:
    for host_id, machine in world.machines.items():
        word = Mode.OBSERVE.value if host_id in host_ids else ""
        machine.facts = dataclasses.replace(machine.facts, mode=word)
    world.pass_s(1.0)
    return world


@pytest.mark.parametrize("mode", list(DeployMode))
def test_nothing_new_comes_there(mode: DeployMode) -> None:
    world = observing(world_of(3), "id2")
    replicas = 1 if mode is DeployMode.GLOBAL else 6
    web = Service(ContainerSpec("web"), DeploySpec(mode, replicas=replicas))
    world.apply(App("shop", {"web": web}))
    world.pass_s(3.0)
    assert hosts_of(world, "web") == {"id1", "id3"}


def test_what_it_has_stays_assigned_to_it() -> None:
    world = world_of(2)
    world.apply(App("shop", {"web": Service(ContainerSpec("web"), DeploySpec(replicas=4))}))
    world.pass_s(3.0)
    assert hosts_of(world, "web") == {"id1", "id2"}
    before = dict(world.posts())
    observing(world, "id2")
    world.pass_s(60.0)
    assert dict(world.posts()) == before


def test_it_is_said_why_and_what_would_mend_it() -> None:
    world = observing(world_of(1), "id1")
    world.apply(App("shop", {"web": Service(ContainerSpec("web"))}))
    (found,) = explained(world, "web")
    (refusal,) = found.refusals
    assert (refusal.filter, refusal.text, refusal.hosts) == ("mode", "observes only", ("h1",))
    assert found.nearest == "h1, once its agent.yaml says mode: run"
    observing(world)
    world.pass_s(3.0)
    assert hosts_of(world, "web") == {"id1"}


def test_what_runs_there_is_as_it_was_seen_last() -> None:
    state = HostState(problems=(HostProblem("mode.observe", "this host only observes"),))
    assert engine_trouble(state) == "the host only observes"


def test_nobody_stops_there_what_would_be_stopped_before_it_runs_elsewhere() -> None:
    world = world_of(3, web(on_host_lost=HostLoss.STOP))
    first = where(world)
    observing(world, first)
    cut(world, first, 60.0)
    assert where(world) == first
    assert "nobody stops it there" in reasons(world)[0]
    world.machines[first].connected = True
    observing(world)
    world.pass_s(3.0)
    cut(world, first, 60.0)
    assert where(world) != first
