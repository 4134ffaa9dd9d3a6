"""Which hosts are asked what they think of a change that is only planned, and of what."""

from __future__ import annotations

import base64
import dataclasses

from hullmark.core.concerned import Wanted, concerned
from hullmark.core.generations import next_record
from hullmark.core.schedule import plan
from hullmark.model.app import (
    App,
    Config,
    ContainerSpec,
    DeploySpec,
    FileRef,
    PortMode,
    PortSpec,
    Service,
)
from tests.unit.core.fleets import CHANGE
from tests.unit.core.test_lost_hosts import world_of
from tests.unit.core.world import World

WEB = Service(
    ContainerSpec("web"), DeploySpec(replicas=2), (PortSpec(80, 8080, 8080, mode=PortMode.HOST),)
)
DB = Service(ContainerSpec("db"))


def planned(world: World, app: App) -> Wanted:
    snapshot = world.snapshot()
    record = next_record(snapshot.apps.get(app.name), app, CHANGE)
    future = dataclasses.replace(snapshot, apps={**snapshot.apps, app.name: record})
    return concerned(snapshot, record, plan(future))


def test_each_host_is_asked_of_what_it_would_get_with_its_ports() -> None:
    world = world_of(3)
    world.pass_s(1.0)
    config = Config(base64.b64encode(b"hello").decode(), "0" * 64, 5)
    spec = dataclasses.replace(WEB.container, configs=(FileRef("site", "/site"),))
    web = dataclasses.replace(WEB, container=spec)
    wanted = planned(world, App("shop", {"web": web}, configs={"site": config}))
    assert len(wanted) == 2
    for services in wanted.values():
        intended = services["web"]
        assert [port.published for port in intended.ports] == [8080]
        assert intended.bundle.configs["site"].content_b64 == ""
        assert intended.bundle.configs["site"].size_bytes == 5


def test_what_a_rollout_comes_to_later_is_asked_too_and_what_stays_is_not() -> None:
    world = world_of(3)
    world.apply(App("shop", {"web": WEB, "db": DB}))
    world.apply(App("other", {"web": WEB_ELSEWHERE}))
    world.pass_s(5.0)
    homes = {
        host_id
        for host_id, orders in world.assignments.items()
        if any((i.instance.app, i.instance.service) == ("shop", "web") for i in orders.assignments)
    }
    assert len(homes) == 2
    changed = dataclasses.replace(WEB, container=ContainerSpec("web:2"))
    wanted = planned(world, App("shop", {"web": changed, "db": DB}))
    assert homes <= set(wanted)
    assert {name for services in wanted.values() for name in services} == {"web"}
    assert {one["web"].bundle.container.image for one in wanted.values()} == {"web:2"}


def test_scaling_asks_the_new_hosts_only() -> None:
    world = world_of(3)
    world.apply(App("shop", {"web": WEB}))
    world.pass_s(5.0)
    before = set(world.assignments)
    more = dataclasses.replace(WEB, deploy=DeploySpec(replicas=3))
    wanted = planned(world, App("shop", {"web": more}))
    assert len(wanted) == 1
    assert not set(wanted) & before


WEB_ELSEWHERE = Service(ContainerSpec("elsewhere"))
