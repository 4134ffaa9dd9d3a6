from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.generations import (
    MAX_REPLICAS,
    highest_generation,
    is_pinned,
    known_digests,
    next_record,
    pinned,
    scaled,
)
from hullmark.errors import InvalidInput, NotFound
from hullmark.model import wire
from hullmark.model.app import (
    App,
    Attachment,
    ClientAddress,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    Network,
    PortMode,
    PortSpec,
    Service,
    bundle,
)
from hullmark.model.host import HostRecord
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, Tombstone
from hullmark.model.records import HostAssignments
from tests.unit.core.fleets import CHANGE, snapshot

DIGEST = "sha256:" + "0" * 64
JOB = Service(ContainerSpec("job:1", one_shot=True))
APP = App(
    "shop",
    {
        "web": Service(ContainerSpec("web:1", networks=(Attachment("front"),))),
        "db": Service(ContainerSpec("db:1")),
        "job": JOB,
    },
    networks={"front": Network(), "back": Network()},
)
FIRST = next_record(None, APP, CHANGE)


def with_service(name: str, **change: Any) -> App:
    changed = dataclasses.replace(APP.services[name], **change)
    return dataclasses.replace(APP, services={**APP.services, name: changed})


def test_a_new_app() -> None:
    assert FIRST.generation == 1
    assert FIRST.generations == {"web": 1, "db": 1, "job": 1}
    assert FIRST.spec_hashes == {name: wire.digest(bundle(APP, name)) for name in APP.services}


def test_applying_the_same_changes_nothing() -> None:
    assert next_record(FIRST, APP, CHANGE) is FIRST


@pytest.mark.parametrize(
    ("app", "moved"),
    [
        (with_service("web", container=ContainerSpec("web:2")), {"web", "job"}),
        (with_service("web", ports=(PortSpec(80, 80, 80, mode=PortMode.HOST),)), {"web", "job"}),
        (with_service("job", container=ContainerSpec("job:2", one_shot=True)), {"job"}),
        (with_service("web", deploy=DeploySpec(replicas=3)), set()),
        (with_service("web", ports=(PortSpec(80, 80, 80),)), set()),
        (with_service("web", uses=("shop/db",)), set()),
        (with_service("web", exposed=("80/tcp",), ingress=("node.id == 1",)), set()),
        (with_service("web", drain_s=60.0, client_address=ClientAddress.PROXY), set()),
        (
            dataclasses.replace(APP, networks={**APP.networks, "back": Network(internal=True)}),
            set(),
        ),
        (
            dataclasses.replace(APP, networks={**APP.networks, "front": Network(internal=True)}),
            {"web", "job"},
        ),
        (
            dataclasses.replace(APP, services={**APP.services, "new": JOB}),
            {"new", "job"},
        ),
    ],
)
def test_only_what_changed_is_made_again(app: App, moved: set[str]) -> None:
    record = next_record(FIRST, app, CHANGE)
    assert record.generation == 2
    assert {name for name, at in record.generations.items() if at == 2} == moved
    assert set(record.generations) == set(record.spec_hashes) == set(app.services)


def test_a_service_that_went_and_came_back_is_a_new_one() -> None:
    services = {name: APP.services[name] for name in ("web", "job")}
    without = next_record(FIRST, dataclasses.replace(APP, services=services), CHANGE)
    assert without.generations == {"web": 1, "job": 1}
    back = next_record(without, APP, CHANGE)
    assert back.generations == {"web": 1, "db": 3, "job": 3}


def test_a_removed_app_begins_above_its_former_life() -> None:
    removing = dataclasses.replace(FIRST, removing=True)
    assert next_record(removing, APP, CHANGE).generations == {"web": 2, "db": 2, "job": 2}
    assert next_record(None, APP, CHANGE, floor=9).generation == 10


def test_the_highest_generation_anywhere() -> None:
    def instance(generation: int, app: str = "shop") -> InstanceId:
        return InstanceId(app, "web", 1, generation)

    def state(**sides: InstanceId) -> HostState:
        found = {side: {"x": InstanceStatus(one, Phase.RUNNING)} for side, one in sides.items()}
        return HostState(**found)  # type: ignore[arg-type]

    empty = snapshot({}, [HostRecord("h1", "h1", 1.0)], {})
    assert highest_generation(empty, "shop") == 0
    others = dataclasses.replace(
        empty,
        assignments={"h1": HostAssignments((Assignment(instance(9, "blog"), ""),))},
        observed={"h1": state(orphans=instance(9, "blog"))},
    )
    assert highest_generation(others, "shop") == 0
    for found in (
        {"assignments": {"h1": HostAssignments((Assignment(instance(4), ""),))}},
        {"assignments": {"h1": HostAssignments((), (Tombstone(instance(4), CHANGE_EPOCH),))}},
        {"observed": {"h1": state(instances=instance(4))}},
        {"observed": {"h1": state(orphans=instance(4))}},
    ):
        changed: Any = found
        assert highest_generation(dataclasses.replace(empty, **changed), "shop") == 4
    lying = dataclasses.replace(empty, observed={"h1": state(orphans=instance(10**9))})
    assert highest_generation(lying, "shop") == 0, "its next one would have no name that is ours"


CHANGE_EPOCH = snapshot({}, [], {}).leader.epoch


def test_scaling() -> None:
    app = scaled(APP, {"web": 3, "db": 0})
    assert {name: one.deploy.replicas for name, one in app.services.items()} == {
        "web": 3,
        "db": 0,
        "job": 1,
    }
    with pytest.raises(NotFound, match="app shop has no service cache, none") as missing:
        scaled(APP, {"none": 1, "cache": 1, "web": 2})
    assert missing.value.remedy == "its services: db, job, web"


@pytest.mark.parametrize(
    ("replicas", "problem"),
    [
        ({}, "services: no service is named (allowed: SERVICE: NUMBER)"),
        ({"web": -1}, f"services.web: -1 is out of range (allowed: 0 to {MAX_REPLICAS})"),
        ({"web": MAX_REPLICAS + 1}, "services.web: 5001 is out of range (allowed: 0 to 5000)"),
    ],
)
def test_numbers_that_cannot_be(replicas: dict[str, int], problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        scaled(APP, replicas)
    assert [str(one) for one in caught.value.problems] == [problem]


def test_a_global_service_has_no_number() -> None:
    app = with_service("web", deploy=DeploySpec(DeployMode.GLOBAL))
    with pytest.raises(InvalidInput, match="once on each host"):
        scaled(app, {"web": 2})


def test_digests() -> None:
    app = pinned(APP, {"web": DIGEST, "db": "", "none": DIGEST})
    assert app.services["web"].container.digest == DIGEST
    assert app.services["db"] == APP.services["db"]
    assert set(app.services) == set(APP.services)
    assert [is_pinned(app.services[name]) for name in ("web", "db")] == [True, False]
    assert is_pinned(Service(ContainerSpec(f"web@{DIGEST}")))


def test_a_known_digest_is_kept_while_the_image_is_written_the_same_way() -> None:
    old = next_record(None, pinned(APP, {"web": DIGEST, "db": DIGEST}), CHANGE)
    assert known_digests(old, APP) == {"web": DIGEST, "db": DIGEST}
    assert known_digests(None, APP) == {}
    assert known_digests(dataclasses.replace(old, removing=True), APP) == {}
    other = with_service("web", container=ContainerSpec("web:2"))
    assert known_digests(old, other) == {"db": DIGEST}
    platform = with_service("web", container=ContainerSpec("web:1", platform="linux/arm64"))
    assert known_digests(old, platform) == {"db": DIGEST}
    assert known_digests(old, pinned(APP, {"web": DIGEST})) == {"db": DIGEST}
