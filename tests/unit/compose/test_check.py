"""What a master checks again: a good app passes, and no field takes nonsense."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.compose.check import MAX_APP_BYTES, check
from hullmark.errors import InvalidInput
from hullmark.model import wire
from hullmark.model.app import (
    App,
    Attachment,
    ClientAddress,
    Config,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeployMode,
    DeploySpec,
    FailureAction,
    FileRef,
    Healthcheck,
    Logging,
    Mount,
    MountKind,
    Network,
    Placement,
    PortMode,
    PortSpec,
    Resources,
    Restart,
    RestartCondition,
    Secret,
    Service,
    Ulimit,
    UpdateConfig,
    Volume,
)
from hullmark.model.loadline import Required
from hullmark.model.names import parse_container_name
from hullmark.model.orders import InstanceId
from tests.effort import at_most

HASH = hashlib.sha256(b"hello").hexdigest()

# Every field has a value that is not its default, so that a walk over the wire form meets all of them.
CONTAINER = ContainerSpec(
    image="registry.example/web:1",
    digest=f"sha256:{'0' * 64}",
    command=("run",),
    entrypoint=("/start",),
    environment={"A": "1"},
    labels={"a": "b"},
    annotations={"a": "b"},
    expose=("80/tcp",),
    mounts=(
        Mount(MountKind.BIND, "/b", "/srv", True, "rslave", "z", create_host_path=False),
        Mount(MountKind.VOLUME, "/v", "data", no_copy=True),
        Mount(MountKind.TMPFS, "/t", tmpfs_size_bytes=1, tmpfs_mode=0o1777),
    ),
    configs=(FileRef("site", "/site", "1", "2", 0o400),),
    secrets=(FileRef("key", "/key"),),
    user="www",
    group_add=("5",),
    working_dir="/srv",
    hostname="web",
    domainname="example.org",
    read_only=True,
    init=True,
    tty=True,
    stdin_open=True,
    cap_add=("NET_ADMIN",),
    cap_drop=("ALL",),
    security_opt=("no-new-privileges",),
    privileged=True,
    networks=(Attachment("net", ("w",), "10.9.0.9", "fd00::9", "02:42:ac:11:00:02"),),
    extra_hosts=("db:10.0.0.1",),
    dns=("10.0.0.1",),
    dns_search=("example.org",),
    dns_opt=("ndots:2",),
    pid="host",
    ipc="host",
    uts="host",
    userns_mode="host",
    cgroup="host",
    devices=("/dev/a:/dev/b:r",),
    sysctls={"net.core.somaxconn": "5"},
    ulimits={"nofile": Ulimit(1, 2)},
    shm_size_bytes=1,
    oom_score_adj=5,
    stop_signal="SIGINT",
    stop_grace_s=5.0,
    restart=Restart(RestartCondition.ON_FAILURE, 2.0, 3, 4.0),
    one_shot=True,
    healthcheck=Healthcheck(("CMD", "x"), 1.0, 2.0, 4, 5.0),
    logging=Logging("local", {"max-size": "1m"}),
    platform="linux/amd64",
    limits=Resources(1.0, 64 << 20, 5),
    memory_swap_bytes=128 << 20,
    scope="cde",
)
UPDATE = UpdateConfig(2, 1.0, monitor_s=2.0, max_failure_ratio=0.5)
DEPLOY = DeploySpec(
    replicas=2,
    placement=Placement(
        ("node.id == 1",), ("node.labels.a",), 3, (Required("audit-trail", 3), Required("time"))
    ),
    reservations=Resources(1.0, 64 << 20),
    labels={"a": "b"},
    update=UPDATE,
    rollback=UPDATE,
)
FULL = App(
    "shop",
    {
        "web": Service(
            CONTAINER,
            DEPLOY,
            (PortSpec(80, 8080, 8081, "udp", "10.0.0.1", PortMode.HOST),),
            (Dependency("db", DependencyCondition.HEALTHY, required=False),),
            uses=("shop/db", "bank/ledger"),
            exposed=("80/tcp",),
            ingress=("node.labels.edge == a",),
            client_address=ClientAddress.PROXY,
            drain_s=1.0,
        ),
        "db": Service(ContainerSpec("db", network_mode="none")),
    },
    {
        "net": Network(True, "10.9.0.0/24", "10.9.0.1", {"a": "b"}, {"o": "p"}, enable_ipv6=True),
        "out": Network(external="other"),
    },
    {"data": Volume("local", {"o": "p"}, {"a": "b"}), "old": Volume(external="old")},
    {"site": Config(base64.b64encode(b"hello").decode(), HASH, 5)},
    {"key": Secret("/etc/key")},
)
ENUMS = {
    "kind",
    "mode",
    "condition",
    "pull_policy",
    "failure_action",
    "order",
    "on_host_lost",
    "client_address",
}


def test_a_good_app_passes() -> None:
    assert check(FULL) == []


def test_the_full_app_has_every_field() -> None:
    """Else the tests below would pass over one that is new."""
    plain = {"pull_policy", "network_mode", "on_host_lost", "external", "disabled", "mode"}
    values: list[Any] = [CONTAINER, DEPLOY, UPDATE, CONTAINER.healthcheck, FULL.networks["net"]]
    values.append(FULL.services["web"])
    for value in values:
        kind: Any = type(value)
        for name, _, default in wire.fields_of(kind):
            if name not in plain | {"failure_action", "order"}:
                assert getattr(value, name) != default, (kind, name)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def changed(path: tuple[Any, ...], value: Any) -> App:
    wired = copy.deepcopy(wire.to_wire(FULL))
    place = wired
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return wire.from_wire(App, wired)


LEAVES = [
    pytest.param(path, id=".".join(map(str, path)))
    for path, value in leaves(wire.to_wire(FULL))
    if isinstance(value, str) and not (path[-1] in ENUMS and path[-2:] != ("x",))
]
NUMBERS = [
    pytest.param(path, value, id=".".join(map(str, path)))
    for path, value in leaves(wire.to_wire(FULL))
    if isinstance(value, (int, float)) and not isinstance(value, bool)
]


@pytest.mark.parametrize("path", LEAVES)
@pytest.mark.parametrize("nonsense", ["a\0b", "x" * (200 << 10)])
def test_no_text_takes_nonsense(path: tuple[Any, ...], nonsense: str) -> None:
    found = check(changed(path, nonsense))
    assert found
    assert len(str(found)) < 4000


@pytest.mark.parametrize(("path", "value"), NUMBERS)
def test_no_number_takes_nonsense(path: tuple[Any, ...], value: Any) -> None:
    for nonsense in (-(1 << 61), 1 << 62):
        if not (path[-1] in ("soft", "hard") and nonsense > 0):
            assert check(changed(path, type(value)(nonsense))), nonsense


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 64, "é", "\ud800", "a\nb"])
@pytest.mark.parametrize("kind", ["services", "networks", "volumes", "configs", "secrets"])
def test_names(kind: str, name: str) -> None:
    mapping = dict(getattr(FULL, kind))
    mapping[name] = next(iter(mapping.values()))
    changes: dict[str, Any] = {kind: mapping}
    found = check(dataclasses.replace(FULL, **changes))
    assert [each for each in found if each.field == kind and "not a name" in each.message]


def with_container(**changes: Any) -> App:
    services = dict(FULL.services)
    spec = dataclasses.replace(CONTAINER, **changes)
    services["web"] = dataclasses.replace(services["web"], container=spec)
    return dataclasses.replace(FULL, services=services)


def with_web(**changes: Any) -> App:
    services = dict(FULL.services)
    services["web"] = dataclasses.replace(services["web"], **changes)
    return dataclasses.replace(FULL, services=services)


@pytest.mark.parametrize(
    ("app", "field", "message"),
    [
        (App("shop", {}), "services", "no services"),
        (dataclasses.replace(FULL, name="Shop.1"), "name", "does not fit"),
        (with_container(image="A b"), "services.web.container.image", "does not fit"),
        (
            with_container(image=f"sha256:{'0' * 64}"),
            "services.web.container.image",
            "does not fit",
        ),
        (with_container(environment={"A=B": "x"}), "services.web.container.environment", "A=B"),
        (with_container(environment={"": "x"}), "services.web.container.environment", "fit"),
        (
            with_container(labels={"io.hullmark.app": "other"}),
            "services.web.container.labels",
            "io.hullmark.app",
        ),
        (
            with_container(mounts=(Mount(MountKind.BIND, "/x:/etc", "/srv"),)),
            "services.web.container.mounts[0].target",
            "does not fit",
        ),
        (
            with_container(mounts=(Mount(MountKind.BIND, "/x", "/a/../etc"),)),
            "services.web.container.mounts[0].source",
            "does not fit",
        ),
        (
            with_container(mounts=(Mount(MountKind.BIND, "/x", "/etc:/y"),)),
            "services.web.container.mounts[0].source",
            "does not fit",
        ),
        (
            with_container(mounts=(Mount(MountKind.VOLUME, "/x", "gone"),)),
            "services.web.container.mounts[0].source",
            "no volume 'gone'",
        ),
        (
            with_container(mounts=(Mount(MountKind.TMPFS, "/x", "data"),)),
            "services.web.container.mounts[0].source",
            "a tmpfs has no source",
        ),
        (
            with_container(mounts=(Mount(MountKind.VOLUME, "/key/"),)),
            "services.web.container",
            "/key is the target of two",
        ),
        (
            with_container(networks=(Attachment("gone"),)),
            "services.web.container.networks[0].network",
            "no network 'gone'",
        ),
        (
            with_container(networks=(Attachment("net"), Attachment("net"))),
            "services.web.container.networks[1]",
            "twice",
        ),
        (
            with_container(networks=(Attachment("net", ipv4_address="10.1.0.1"),)),
            "services.web.container.networks[0].ipv4_address",
            "not an address for containers",
        ),
        (
            with_container(network_mode="host"),
            "services.web.container.networks",
            "no meaning with network_mode host",
        ),
        (
            with_container(network_mode="container:x", networks=()),
            "services.web.container.network_mode",
            "does not fit",
        ),
        (
            with_container(configs=(FileRef("gone", "/x"),)),
            "services.web.container.configs[0].source",
            "no 'gone'",
        ),
        (
            with_container(secrets=(FileRef("site", "/x"),)),
            "services.web.container.secrets[0].source",
            "no 'site'",
        ),
        (with_web(uses=("shop/gone",)), "services.web.uses[0]", "no service gone"),
        (with_web(uses=("shop/web",)), "services.web.uses[0]", "uses itself"),
        (with_web(uses=("bank/a", "bank/a")), "services.web.uses[1]", "twice"),
        (with_web(uses=("ledger",)), "services.web.uses[0]", "does not fit"),
        (
            with_web(uses=tuple(f"bank/s{number}" for number in range(101))),
            "services.web.uses",
            "101 of them",
        ),
        (
            with_container(network_mode="host", networks=()),
            "services.web.uses",
            "every process of the host",
        ),
        (
            with_container(network_mode="none", networks=()),
            "services.web.uses",
            "reaches nothing",
        ),
        (
            with_container(healthcheck=Healthcheck(("sh", "x"))),
            "services.web.container.healthcheck.test",
            "not a check",
        ),
        (
            with_container(ulimits={"nofile": Ulimit(2, 1)}),
            "services.web.container.ulimits.nofile",
            "above the hard one",
        ),
        (
            with_container(memory_swap_bytes=1),
            "services.web.container.memory_swap_bytes",
            "needs a memory limit",
        ),
        (
            with_container(stop_grace_s=float("nan")),
            "services.web.container.stop_grace_s",
            "does not fit",
        ),
        (
            with_web(deploy=DeploySpec(DeployMode.GLOBAL, 2)),
            "services.web.deploy.replicas",
            "once on each host",
        ),
        (
            with_web(deploy=DeploySpec(placement=Placement(require=(Required("A B"),)))),
            "services.web.deploy.placement.require[0].control",
            '"A B" does not fit',
        ),
        (
            with_web(deploy=DeploySpec(placement=Placement(require=(Required("a", 5),)))),
            "services.web.deploy.placement.require[0].level",
            "5 does not fit",
        ),
        (
            with_web(deploy=DeploySpec(placement=Placement(require=(Required("a"),) * 2))),
            "services.web.deploy.placement.require[1]",
            "stands there twice",
        ),
        (
            with_web(deploy=DeploySpec(placement=Placement(require=(Required("a"),) * 101))),
            "services.web.deploy.placement.require",
            "101 of them",
        ),
        (
            with_web(deploy=DeploySpec(placement=Placement(("node.role == manager",)))),
            "services.web.deploy.placement.constraints[0]",
            "does not fit",
        ),
        (
            with_web(
                deploy=DeploySpec(rollback=UpdateConfig(failure_action=FailureAction.ROLLBACK))
            ),
            "services.web.deploy.rollback.failure_action",
            "nothing to go back to",
        ),
        (
            with_web(ports=(PortSpec(80, 90, 80),)),
            "services.web.ports[0]",
            "published from 90 to 80",
        ),
        (with_web(ports=(PortSpec(80, 0, 80),)), "services.web.ports[0]", "published from 0 to 80"),
        (
            with_web(ports=(PortSpec(80, 80, 80), PortSpec(81, 80, 80))),
            "services.web.ports[1]",
            "taken twice",
        ),
        (with_web(ports=(PortSpec(80),) * 1001), "services.web.ports", "1001 ports"),
        (
            with_web(ports=(PortSpec(53, 53, 53, "udp"),)),
            "services.web.ports[0].mode",
            "udp is published with mode: host only",
        ),
        (
            with_web(depends_on=(Dependency("gone"),)),
            "services.web.depends_on[0]",
            "no service gone",
        ),
        (
            with_web(depends_on=(Dependency("db"), Dependency("db"))),
            "services.web.depends_on[1]",
            "twice",
        ),
        (
            with_web(depends_on=(Dependency("web"),)),
            "services.web.depends_on",
            "a circle: web -> web",
        ),
        (
            dataclasses.replace(FULL, networks={**FULL.networks, "x": Network(gateway="10.0.0.1")}),
            "networks.x.gateway",
            "a gateway needs a subnet",
        ),
        (
            dataclasses.replace(FULL, networks={**FULL.networks, "x": Network(external="host")}),
            "networks.x.external",
            "does not fit",
        ),
        (
            dataclasses.replace(FULL, secrets={"key": Secret("etc/key")}),
            "secrets.key.path",
            "does not fit",
        ),
        (
            dataclasses.replace(FULL, configs={"site": Config("aGVsbG8=", HASH, 6)}),
            "configs.site.size_bytes",
            "the content has 5 bytes",
        ),
        (
            dataclasses.replace(FULL, configs={"site": Config("aGVsbG8=", "0" * 64, 5)}),
            "configs.site.sha256",
            "not the hash",
        ),
        (
            dataclasses.replace(FULL, configs={"site": Config("a GVs", HASH, 5)}),
            "configs.site.content_b64",
            "not base64",
        ),
    ],
)
def test_refused(app: App, field: str, message: str) -> None:
    found = check(app)
    assert [each for each in found if each.field == field and message in each.message], found


def config(size: int) -> Config:
    content = bytes(size)
    digest = hashlib.sha256(content).hexdigest()
    return Config(base64.b64encode(content).decode(), digest, size)


def test_sizes() -> None:
    at_most = dataclasses.replace(FULL, configs={**FULL.configs, "a": config(256 << 10)})
    assert check(at_most) == []
    too_big = dataclasses.replace(FULL, configs={**FULL.configs, "a": config((256 << 10) + 1)})
    assert check(too_big)[0].field == "configs.a.content_b64"
    many = {f"c{index}": config((200 << 10) + index) for index in range(4)}
    whole = check(dataclasses.replace(FULL, configs={**FULL.configs, **many}))
    assert "the app takes" in whole[0].message
    assert str(MAX_APP_BYTES) in whole[0].allowed


def test_the_longest_names_make_a_name_that_engines_take() -> None:
    app, service = "a" * 63, "s" * 63
    assert check(App(app, {service: Service(ContainerSpec("x"))})) == []
    instance = InstanceId(app, service, 5000, 10**8)
    assert len(instance.container_name) < 255
    assert parse_container_name(instance.container_name) == instance


def test_values_of_variables_are_not_quoted() -> None:
    found = check(with_container(environment={"A": "hush\0"}))
    assert [each.field for each in found] == ["services.web.container.environment.A"]
    assert "hush" not in str(found[0])


def test_an_answer_stays_small_and_quick() -> None:
    names = [f"s{index}" for index in range(3000)]
    chain = {
        name: Service(ContainerSpec("\0" * 100), depends_on=tuple(map(Dependency, names[-20:])))
        for name in names
    }
    with at_most(5.0):
        found = check(App("shop", chain))
    assert len(found) == 100
    assert sum(len(str(each)) for each in found) < 50_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from([path for path, _ in leaves(wire.to_wire(FULL))]), JSON)
def test_whatever_a_client_sends_is_an_app_that_can_be_stored_or_an_error(
    path: tuple[Any, ...], value: Any
) -> None:
    try:
        app = changed(path, value)
    except InvalidInput:
        return
    if not check(app):
        assert wire.from_wire(App, wire.to_wire(app)) == app
        assert wire.canonical(wire.to_wire(app))
