from __future__ import annotations

import dataclasses

import pytest

from hullmark.model import wire
from hullmark.model.app import (
    App,
    Attachment,
    Bundle,
    Config,
    ContainerSpec,
    DeploySpec,
    FileRef,
    Mount,
    MountKind,
    Network,
    PortSpec,
    Secret,
    Service,
    Volume,
    bundle,
)
from hullmark.model.observed import Health, InstanceStatus, Phase
from hullmark.model.orders import InstanceId

WEB = ContainerSpec(
    "nginx",
    mounts=(
        Mount(MountKind.VOLUME, "/data", "data"),
        Mount(MountKind.VOLUME, "/anonymous"),
        Mount(MountKind.BIND, "/host", "/logs"),
    ),
    networks=(Attachment("front"), Attachment("undeclared")),
    configs=(FileRef("conf", "/etc/conf"),),
    secrets=(FileRef("key", "/run/secrets/key"),),
)
APP = App(
    "shop",
    {"web": Service(WEB), "db": Service(ContainerSpec("postgres"))},
    networks={"front": Network(), "back": Network(internal=True)},
    volumes={"data": Volume(), "logs": Volume(), "/logs": Volume()},
    configs={"conf": Config("YQ==", "00", 1), "other": Config("Yg==", "01", 1)},
    secrets={"key": Secret("/k"), "other": Secret("/o")},
)


def test_a_bundle_holds_what_the_service_uses_and_no_more() -> None:
    assert bundle(APP, "web") == Bundle(
        "shop",
        "web",
        WEB,
        networks={"front": Network()},
        volumes={"data": Volume()},
        configs={"conf": Config("YQ==", "00", 1)},
        secrets={"key": Secret("/k")},
    )
    assert bundle(APP, "db") == Bundle("shop", "db", ContainerSpec("postgres"))
    with pytest.raises(KeyError):
        bundle(APP, "none")


def test_the_spec_hash_is_of_what_a_container_is() -> None:
    before = wire.digest(bundle(APP, "web"))
    placed = Service(WEB, DeploySpec(replicas=9), (PortSpec(80, 80, 80),))
    for same in (
        dataclasses.replace(APP, services={**APP.services, "web": placed}),
        dataclasses.replace(APP, networks={**APP.networks, "back": Network()}),
        dataclasses.replace(APP, services={"web": APP.services["web"]}),
    ):
        assert wire.digest(bundle(same, "web")) == before
    for other in (
        dataclasses.replace(APP, networks={"front": Network(internal=True)}),
        dataclasses.replace(APP, configs={"conf": Config("Yg==", "01", 1)}),
        dataclasses.replace(APP, name="shop2"),
    ):
        assert wire.digest(bundle(other, "web")) != before


@pytest.mark.parametrize(
    ("phase", "health", "serving"),
    [
        (Phase.RUNNING, Health.NONE, True),
        (Phase.RUNNING, Health.HEALTHY, True),
        (Phase.RUNNING, Health.STARTING, False),
        (Phase.RUNNING, Health.UNHEALTHY, False),
        (Phase.STARTING, Health.HEALTHY, False),
        (Phase.COMPLETED, Health.NONE, False),
    ],
)
def test_serving(phase: Phase, health: Health, serving: bool) -> None:
    assert InstanceStatus(InstanceId("a", "b", 1, 1), phase, health).serving is serving
