"""The gate before a real engine: what goes through it, with what the engine is about to get, and that nothing goes past it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Callable

import pytest

from hullmark.engine.docker_api import DockerApiEngine
from hullmark.engine.protocol import Deed, DeedKind, OpenGate, Passage
from hullmark.errors import ImageUnavailable, PolicyRefused
from hullmark.model.app import Attachment, Bundle, ContainerSpec, Mount, MountKind, Network, Volume
from hullmark.model.ejection import EngineRestart
from tests.integration.shipyard import CLUSTER, IMAGE, Yard, request_for

one_engine = pytest.mark.parametrize(
    "engine", ["docker", pytest.param("podman", marks=pytest.mark.full)], indirect=True
)
"""For what is the gate's own, whatever an engine does."""

SPEC = ContainerSpec(
    IMAGE,
    stop_grace_s=1,
    networks=(Attachment("front"), Attachment("back")),
    mounts=(Mount(MountKind.VOLUME, "/data", "data"),),
)
SHOP = Bundle(
    "shop",
    "web",
    SPEC,
    {"front": Network(), "back": Network()},
    volumes={"data": Volume()},
)


class Watching:
    """Lets everything pass that is not of the kinds that it refuses, and keeps all that came."""

    def __init__(self) -> None:
        self.seen: list[tuple[Deed, Passage]] = []
        self.refused: set[DeedKind] = set()

    @contextlib.contextmanager
    def passing(self, deed: Deed) -> Iterator[Passage]:
        if deed.kind in self.refused:
            raise PolicyRefused(f"{deed.kind.value}: not here (50-test.yaml:1)")
        passage = Passage(deed.container_id)
        self.seen.append((deed, passage))
        yield passage

    def kinds(self) -> list[str]:
        return [deed.kind.value for deed, _ in self.seen]

    def last(self, kind: DeedKind) -> tuple[Deed, Passage]:
        return next(one for one in reversed(self.seen) if one[0].kind is kind)


@pytest.fixture
def gate() -> Watching:
    return Watching()


@pytest.fixture
def gated(yard: Yard, gate: Watching) -> Iterator[Yard]:
    engine = DockerApiEngine(
        yard.daemon.socket,
        registries=yard.folder / "registries.d",
        subnet_pool=str(yard.engine._places._pool),
        gate=gate,
    )
    yield replace(yard, engine=engine)
    engine.close()


def test_a_containers_life_goes_through_it_in_order(gated: Yard, gate: Watching) -> None:
    container_id = gated.create(SHOP)
    engine, name = gated.engine, gated.inspect(container_id)["Name"].lstrip("/")
    engine.start(container_id)
    pid = gated.pid(container_id)
    engine.set_restart_policy(container_id, EngineRestart("always"))
    engine.set_restart_policy(container_id, EngineRestart())
    engine.stop(container_id)
    engine.remove(container_id)
    for key in SHOP.networks:
        engine.remove_network("shop", key)
    engine.remove_volume("shop", "data")
    assert gate.kinds() == [
        "network.create",
        "network.create",
        "volume.create",
        "container.create",
        "network.connect",
        "container.start",
        "container.update",
        "container.update",
        "container.stop",
        "container.remove",
        "network.remove",
        "network.remove",
        "volume.remove",
    ]
    created, made = gate.last(DeedKind.CONTAINER_CREATE)
    assert created.body["Image"] == IMAGE
    assert created.request is not None
    assert made.container_id == container_id
    of_it = [deed for deed, _ in gate.seen if deed.kind.value.startswith("container.")]
    assert {deed.name for deed in of_it} == {name}
    started, process = gate.last(DeedKind.CONTAINER_START)
    assert started.container_id == container_id
    assert process.fields["pid"] == str(pid)


def test_before_a_start_it_is_given_what_the_container_is_by_then(
    gated: Yard, gate: Watching
) -> None:
    container_id = gated.create(Bundle("shop", "web", ContainerSpec(IMAGE)))
    gated.sdk.containers.get(container_id).rename("renamed-by-hand")
    gated.engine.start(container_id)
    deed, _ = gate.last(DeedKind.CONTAINER_START)
    assert deed.name == "renamed-by-hand"
    assert deed.body["State"]["Running"] is False
    assert deed.body["HostConfig"]["Privileged"] is False


@one_engine
def test_one_that_is_there_already_is_said_to_be(gated: Yard, gate: Watching) -> None:
    request = request_for(Bundle("shop", "web", ContainerSpec(IMAGE)))
    first = gated.engine.create(request)
    assert gated.engine.create(request) == first
    _, passage = gate.last(DeedKind.CONTAINER_CREATE)
    assert passage.container_id == first
    assert "already" in passage.fields["found"]


@one_engine
def test_what_changes_nothing_does_not_go_through_it(gated: Yard, gate: Watching) -> None:
    container_id = gated.run(SHOP)
    gate.seen.clear()
    engine = gated.engine
    gated.prepare(SHOP)
    engine.listed()
    engine.container(container_id)
    engine.restart_policy(container_id)
    engine.check_health(container_id)
    engine.inspected(container_id)
    engine.inspected_image(IMAGE)
    engine.inspected_network("shop_front")
    engine.inspected_volume("shop_data")
    engine.remove_network("shop", "front")  # in use
    engine.stop("nothing-of-that-name")
    engine.remove("nothing-of-that-name")
    assert gate.kinds() == []


def state_of(yard: Yard) -> dict[str, Any]:
    """All that the calls of the protocol could change, as the engine itself has it."""
    sdk = yard.sdk
    return {
        "containers": {
            one.id: (
                one.name,
                one.status,
                one.attrs["HostConfig"]["RestartPolicy"],
                sorted(one.attrs["NetworkSettings"]["Networks"]),
            )
            for one in sdk.containers.list(all=True)
        },
        "networks": sorted(str(one.name) for one in sdk.networks.list()),
        "volumes": sorted(str(one.name) for one in sdk.volumes.list()),
        "images": sorted(str(one.id) for one in sdk.images.list()),
    }


def test_nothing_goes_past_a_gate_that_refuses_all(gated: Yard, gate: Watching, yard: Yard) -> None:
    engine = gated.engine
    runs, down = gated.run(SHOP), gated.create(Bundle("shop", "down", ContainerSpec(IMAGE)))
    yard.engine.ensure_network(CLUSTER, "old", "front", Network())
    yard.engine.ensure_volume(CLUSTER, "old", "data", Volume())
    gate.refused = set(DeedKind)
    before = state_of(gated)
    changing: list[Callable[[], object]] = [
        lambda: engine.create(request_for(Bundle("shop", "new", ContainerSpec(IMAGE)))),
        lambda: engine.start(down),
        lambda: engine.stop(runs),
        lambda: engine.remove(down),
        lambda: engine.set_restart_policy(runs, EngineRestart("always")),
        lambda: engine.ensure_network(CLUSTER, "new", "front", Network()),
        lambda: engine.ensure_network(CLUSTER, "old", "front", Network(internal=True)),
        lambda: engine.remove_network("old", "front"),
        lambda: engine.ensure_volume(CLUSTER, "new", "data", Volume()),
        lambda: engine.remove_volume("old", "data"),
        lambda: engine.pull(Bundle("shop", "x", ContainerSpec("127.0.0.1:1/none:1"))),
    ]
    for change in changing:
        with pytest.raises(PolicyRefused, match="50-test"):
            change()
    assert state_of(gated) == before


@one_engine
def test_a_container_whose_second_network_is_refused_is_not_started(
    gated: Yard, gate: Watching
) -> None:
    gate.refused = {DeedKind.NETWORK_CONNECT}
    with pytest.raises(PolicyRefused):
        gated.run(SHOP)
    (left,) = gated.engine.listed()
    assert not gated.inspect(left.container_id)["State"]["Running"]
    gate.refused = set()
    assert gated.run(SHOP), "it goes on where it was, once it may"


class Failing(OpenGate):
    """Keeps what went wrong within it."""

    def __init__(self) -> None:
        self.seen: list[BaseException] = []

    @contextlib.contextmanager
    def passing(self, deed: Deed) -> Iterator[Passage]:
        try:
            with super().passing(deed) as passage:
                yield passage
        except BaseException as error:
            self.seen.append(error)
            raise


@one_engine
def test_a_pull_that_fails_ends_within_the_gate(yard: Yard) -> None:
    gate = Failing()
    engine = DockerApiEngine(yard.daemon.socket, gate=gate)
    with pytest.raises(ImageUnavailable):
        engine.pull(Bundle("shop", "x", ContainerSpec("127.0.0.1:1/none:1")))
    engine.close()
    assert len(gate.seen) == 1
