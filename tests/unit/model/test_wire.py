"""Every value survives its way through JSON, and what is no value is refused with its place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullmark.errors import InvalidInput
from hullmark.model import wire
from hullmark.model.app import (
    App,
    Attachment,
    Bundle,
    Config,
    ContainerSpec,
    Dependency,
    Healthcheck,
    Mount,
    MountKind,
    Network,
    Resources,
    Restart,
    RestartCondition,
    Secret,
    Service,
    Ulimit,
    Volume,
)
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostRecord
from hullmark.model.orders import Orders
from hullmark.model.protocol import PollRequest
from tests.unit.model.values import TEXT, dataclasses_of_the_model, values

TYPES = dataclasses_of_the_model()


def problems(cls: type, data: Any, **how: bool) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        wire.from_wire(cls, data, **how)
    return [str(problem) for problem in caught.value.problems]


def test_the_whole_model_is_tried() -> None:
    assert {App, Orders, PollRequest, Epoch} < set(TYPES)
    assert len(TYPES) > 60


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_a_value_comes_back_through_json(cls: type, data: st.DataObject) -> None:
    value = data.draw(values(cls))
    text = wire.canonical(wire.to_wire(value))
    back: Any = wire.from_wire(cls, json.loads(text))
    assert back == value
    assert wire.canonical(wire.to_wire(back)) == text
    assert wire.from_wire(cls, json.loads(text), ignore_unknown=True) == value
    form = wire.full(value)
    assert list(form) == [name for name, _, _ in wire.fields_of(cls)]
    assert wire.from_wire(cls, json.loads(json.dumps(form))) == value


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_every_type_is_frozen_and_refuses_what_it_does_not_know(cls: Any) -> None:
    assert cls.__dataclass_params__.frozen
    found = problems(cls, {"no_such_key": 1})
    required = [name for name, _, default in wire.fields_of(cls) if default is wire.MISSING]
    assert [line for line in found if line.endswith("is missing")] == [
        f"{name}: is missing" for name in required
    ]
    assert found[-1].startswith("no_such_key: unknown key (allowed: ")
    assert problems(cls, []) == ["expected an object, got a list"]


def test_defaults_are_left_out() -> None:
    spec = ContainerSpec("nginx")
    assert wire.to_wire(spec) == {"image": "nginx"}
    assert wire.to_wire(dataclasses.replace(spec, command=())) == {"image": "nginx", "command": []}
    assert wire.to_wire(dataclasses.replace(spec, init=False)) == {"image": "nginx", "init": False}
    assert wire.to_wire(Restart(delay_s=0.0)) == {"delay_s": 0.0}


def test_problems_name_their_field_and_come_all_at_once() -> None:
    data = {
        "name": 5,
        "services": {
            "web": {
                "container": {
                    "image": "x",
                    "mounts": [{"kind": "bind", "target": "/a"}, {"kind": "drive", "target": None}],
                    "environment": {"A": 1},
                    "restart": {"delay_s": "soon"},
                    "read_only": 1,
                    "command": "run",
                },
                "deploy": {"replicas": True, "replics": 2},
                "depends_on": {},
            },
            "db": [],
        },
    }
    assert problems(App, data) == [
        "name: expected a string, got 5",
        'services.web.container.command: expected a list, got "run"',
        "services.web.container.environment.A: expected a string, got 1",
        'services.web.container.mounts[1].kind: unknown value "drive" (allowed: bind, volume, tmpfs)',
        "services.web.container.mounts[1].target: expected a string, got nothing",
        "services.web.container.read_only: expected true or false, got 1",
        'services.web.container.restart.delay_s: expected a number, got "soon"',
        "services.web.deploy.replicas: expected a whole number, got true",
        *(line for line in problems(App, data) if "replics: unknown key" in line),
        "services.web.depends_on: expected a list, got an object",
        "services.db: expected an object, got a list",
    ]


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Epoch, {"incarnation": 1.0, "term": 1}, "incarnation: expected a whole number, got 1.0"),
        (Epoch, {"incarnation": 1, "term": "1"}, 'term: expected a whole number, got "1"'),
        (Restart, {"delay_s": float("nan")}, "delay_s: the number is out of range"),
        (Restart, {"delay_s": float("inf")}, "delay_s: the number is out of range"),
        (Restart, {"delay_s": 1 << 64}, "delay_s: expected a number, got 18446744073709551616"),
        (Restart, {"condition": None}, "condition: unknown value nothing"),
        (
            Dependency,
            {"service": "x" * 99, "required": 0},
            "required: expected true or false, got 0",
        ),
        (Dependency, {"service": "\ud800"}, "service: half of a surrogate pair"),
        (
            Service,
            {"container": {"image": "x", "labels": {"\udfff": ""}}},
            "container.labels: half of",
        ),
        (HostRecord, None, "expected an object, got nothing"),
        (HostRecord, "x" * 99, f'expected an object, got "{"x" * 56}...'),
    ],
)
def test_what_is_no_value(kind: type, data: Any, message: str) -> None:
    assert problems(kind, data)[0].startswith(message)


def test_a_whole_number_will_do_for_a_number() -> None:
    back = wire.from_wire(Restart, {"delay_s": 2})
    assert back == Restart(delay_s=2.0)
    assert wire.canonical(wire.to_wire(back)) == b'{"delay_s":2.0}'


def test_unknown_keys_are_let_pass_between_daemons_at_every_depth() -> None:
    data = {
        "cluster_id": "c",
        "host_id": "h",
        "new": 1,
        "epoch": {"incarnation": 1, "term": 2, "new": []},
        "bundles": {"x": {"app": "a", "service": "s", "container": {"image": "i", "new": {}}}},
    }
    orders = wire.from_wire(Orders, data, ignore_unknown=True)
    assert orders.epoch == Epoch(1, 2)
    assert orders.bundles["x"].container == ContainerSpec("i")
    assert len(problems(Orders, data)) == 3


WORDS = st.sampled_from(("name", "services", "web", "container", "image", "x"))


def _inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4))


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    _inside,
    max_leaves=12,
)


@given(ANYTHING)
def test_anything_is_an_app_or_invalid(data: Any) -> None:
    try:
        app = wire.from_wire(App, data)
    except InvalidInput:
        return
    assert wire.from_wire(App, wire.to_wire(app)) == app
    assert len(wire.digest(app)) == 64


# canonical form and digest


@given(st.dictionaries(TEXT, st.integers(), max_size=5), st.randoms(use_true_random=False))
def test_canonical_form_does_not_depend_on_order(data: dict[str, int], random: Any) -> None:
    items = list(data.items())
    random.shuffle(items)
    assert wire.canonical(dict(items)) == wire.canonical(data)


def test_canonical_form_is_utf8_without_white_space() -> None:
    assert wire.canonical({"b": [1, 2.5, None, True], "a": "é\n"}) == (
        '{"a":"é\\n","b":[1,2.5,null,true]}'.encode()
    )


EVERYTHING = Bundle(
    "shop",
    "web",
    ContainerSpec(
        "nginx:1",
        digest="sha256:00",
        command=("run", "é"),
        environment={"B": "2", "A": "1"},
        mounts=(Mount(MountKind.VOLUME, "/data", "data"),),
        networks=(Attachment("front", aliases=("www",)),),
        ulimits={"nofile": Ulimit(1024, 2048)},
        stop_grace_s=1.5,
        restart=Restart(RestartCondition.ON_FAILURE, max_attempts=3),
        healthcheck=Healthcheck(("CMD", "true"), interval_s=5.0),
        limits=Resources(0.5, 64 << 20),
    ),
    networks={"front": Network(internal=True)},
    volumes={"data": Volume(driver_options={"type": "none"})},
    configs={"conf": Config("YQ==", "ca978112", 1)},
    secrets={"key": Secret("/etc/key")},
)


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        (ContainerSpec("nginx"), hashlib.sha256(b'{"image":"nginx"}').hexdigest()),
        (Epoch(1, 4), hashlib.sha256(b'{"incarnation":1,"term":4}').hexdigest()),
        (EVERYTHING, "34560ef85dc278e3c49ac5c4030a57833b7ff35dde35ffff3a56ae2d81ceaeb8"),
    ],
)
def test_digests_of_stored_values_never_change(value: Any, digest: str) -> None:
    """Spec hashes are labels of running containers: another digest of the same spec would make all anew."""
    assert wire.digest(value) == digest


@dataclass(frozen=True)
class Older:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Newer:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    colour: str = ""
    inner: Optional[Older] = None


@given(TEXT, st.dictionaries(TEXT, TEXT, max_size=2))
def test_a_new_field_with_a_default_changes_no_digest(name: str, labels: dict[str, str]) -> None:
    assert wire.digest(Newer(name, labels)) == wire.digest(Older(name, labels))


@dataclass(frozen=True)
class Wrong:
    value: set[int]


def test_a_type_without_a_wire_form_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="has no wire form"):
        wire.from_wire(Wrong, {"value": []})
    with pytest.raises(TypeError, match="has no wire form"):
        wire.to_wire({1, 2})


def test_mounts_by_kind() -> None:
    mount = Mount(MountKind.TMPFS, "/tmp", tmpfs_mode=0)  # 0 is not "not set"
    assert wire.to_wire(mount) == {"kind": "tmpfs", "target": "/tmp", "tmpfs_mode": 0}
    assert wire.from_wire(Mount, wire.to_wire(mount)) == mount
