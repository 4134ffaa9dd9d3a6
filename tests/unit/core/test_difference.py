from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings

from hullmark.core.difference import changed_fields, compare
from hullmark.core.generations import next_record
from hullmark.core.schedule import Unplaced
from hullmark.model import wire
from hullmark.model.api import Difference
from hullmark.model.app import (
    App,
    Config,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    FileRef,
    Network,
    PortMode,
    PortSpec,
    Secret,
    Service,
    Volume,
)
from hullmark.model.explanation import Refusal, SlotExplanation
from tests.unit.core.fleets import CHANGE, app_specs

SECRET = "hunter2"
WEB = Service(
    ContainerSpec("web:1", environment={"A": "1"}, configs=(FileRef("conf", "/etc/conf"),)),
    DeploySpec(replicas=2),
)
APP = App(
    "shop",
    {"web": WEB, "job": Service(ContainerSpec("job:1", one_shot=True))},
    networks={"front": Network()},
    volumes={"data": Volume()},
    configs={"conf": Config("YQ==", "00", 1)},
)
OLD = next_record(None, APP, CHANGE)


def differences(app: App) -> list[Difference]:
    return list(compare(OLD, next_record(OLD, app, CHANGE)).differences)


def with_web(**change: Any) -> App:
    return dataclasses.replace(
        APP, services={**APP.services, "web": dataclasses.replace(WEB, **change)}
    )


def test_a_new_app() -> None:
    answer = compare(None, OLD)
    assert (answer.changed, answer.generation) == (True, 1)
    assert answer.differences == (
        Difference("create", "service job", "1 instance"),
        Difference("create", "service web", "2 instances"),
    )


def test_nothing_differs() -> None:
    answer = compare(OLD, next_record(OLD, APP, CHANGE))
    assert (answer.changed, answer.generation, answer.differences) == (False, 1, ())


JOB_AGAIN = Difference("replace", "service job", "runs once for each generation")


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (
            with_web(deploy=DeploySpec(replicas=5)),
            [Difference("scale", "service web", "2 to 5", ("deploy.replicas",))],
        ),
        (
            with_web(deploy=DeploySpec(replicas=2, labels={"x": "y"})),
            [
                Difference(
                    "change",
                    "service web",
                    "no container is made again for it",
                    ("deploy.labels.x",),
                )
            ],
        ),
        (
            with_web(deploy=DeploySpec(DeployMode.GLOBAL, replicas=2)),
            [
                Difference(
                    "change", "service web", "no container is made again for it", ("deploy.mode",)
                )
            ],
        ),
        (
            with_web(ports=(PortSpec(80, 80, 80, mode=PortMode.HOST),)),
            [JOB_AGAIN, Difference("replace", "service web", "2 instances", ("ports",))],
        ),
        (
            dataclasses.replace(APP, configs={"conf": Config("Yg==", "01", 1)}),
            [
                JOB_AGAIN,
                Difference("replace", "service web", "2 instances", ("configs.conf",)),
                Difference("change", "config conf", "", ("content_b64", "sha256")),
            ],
        ),
        (
            dataclasses.replace(APP, services={"job": APP.services["job"]}),
            [Difference("remove", "service web", "2 instances")],
        ),
        (
            dataclasses.replace(
                APP,
                networks={},
                volumes={"data": Volume(driver="x")},
                secrets={"key": Secret("/k")},
            ),
            [
                Difference("remove", "network front"),
                Difference(
                    "change", "volume data", "one that exists already stays as it is", ("driver",)
                ),
                Difference("create", "secret key"),
            ],
        ),
        (
            dataclasses.replace(APP, volumes={}),
            [Difference("change", "volume data", "not used any more; it stays on its hosts")],
        ),
    ],
)
def test_differences(app: App, expected: list[Difference]) -> None:
    assert differences(app) == expected


def test_values_are_never_shown() -> None:
    spec = dataclasses.replace(
        WEB.container,
        environment={"A": SECRET, SECRET[:2]: "x"},
        command=(SECRET,),
        labels={"l": SECRET},
    )
    app = dataclasses.replace(
        with_web(container=spec),
        configs={"conf": Config(SECRET, SECRET, 7)},
        secrets={"k": Secret(SECRET)},
    )
    answer = compare(OLD, next_record(OLD, app, CHANGE))
    assert SECRET not in wire.canonical(wire.to_wire(answer)).decode()
    assert "container.environment.A" in answer.differences[1].fields


def test_what_is_being_removed_counts_as_gone() -> None:
    removing = dataclasses.replace(OLD, removing=True)
    answer = compare(removing, next_record(removing, APP, CHANGE))
    assert {one.action for one in answer.differences} == {"create"}


def test_instances_that_would_not_fit() -> None:
    refusals = (Refusal("port", "port 80/tcp taken", ("h2",), "h2 by edge/lb.1", "edge/lb"),)
    reasons = ("host h1: silent", "host h2: port 80/tcp taken")
    unplaced = [
        Unplaced("shop", "web", 2, 1, reasons, refusals, "h1"),
        Unplaced("shop", "web", 0, 1, ("no host is enrolled",)),
        Unplaced("blog", "web", 1, 1, ("of another app",)),
    ]
    answer = compare(None, OLD, unplaced)
    assert answer.unplaced[0] == "web.2: host h1: silent; host h2: port 80/tcp taken"
    assert answer.stuck == (
        SlotExplanation("shop/web.2", 2, 1, "h1", "; ".join(reasons), refusals),
        SlotExplanation("shop/web", 0, 1, "", "no host is enrolled"),
    )


@given(app_specs(), app_specs())
@settings(max_examples=25)
def test_fields_are_named_exactly_where_apps_differ(one: App, other: App) -> None:
    found = list(changed_fields(one, other))
    assert bool(found) is (one != other)
    assert len(set(found)) == len(found)
    assert found == list(changed_fields(other, one))
    record = next_record(None, one, CHANGE)
    answer = compare(record, next_record(record, other, CHANGE))
    assert bool(answer.differences) is answer.changed is (one != other)
