"""No request that a policy forbids passes, whatever it is made of; no field that nobody knows does; and what is allowed does."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core import judging, requestform
from hullmark.core.judgement import cited
from hullmark.core.requestform import Record
from hullmark.model.app import Bundle, ContainerSpec
from hullmark.model.orders import PublishedPort
from hullmark.model.policy import PathSight, Policy
from tests.unit.compose.test_check import FULL
from tests.unit.core.policyworld import ENGINES, GOOD, STRICT, body, policy, sights
from tests.unit.core.test_judging import ALWAYS, BUILT_IN, SPECS
from tests.unit.model.values import values

ENGINE = st.sampled_from(ENGINES)
MANY = [(rule, changes) for rule, changes in SPECS if len(changes) == 1]


@given(
    st.lists(st.sampled_from(MANY), max_size=4, unique_by=lambda each: next(iter(each[1]))),
    st.sets(st.sampled_from(sorted(STRICT))),
    ENGINE,
)
def test_what_any_of_the_rules_forbids_is_refused_with_whatever_else(
    attacks: list[tuple[str, dict[str, Any]]], keys: set[str], engine: str
) -> None:
    """Any rules in force, any attacks at once: each attack is named by its rule, and nothing is without one."""
    changes = {key: value for _, attack in attacks for key, value in attack.items()}
    made = body(replace(GOOD, **changes), engine)
    keys |= {"mounts.write"} if "mounts.read" in keys else set()
    rules = policy({key: STRICT[key] for key in keys})
    found = {v.rule for v in judging.judge_creation(made, sights(made, engine), rules)}
    moot = OF_THE_UNPRIVILEGED if "privileged" in changes else ()
    moot += ("images.from", "images.digest") if "digest" in changes else ()
    for rule, attack in attacks:
        built_in = rule in ALWAYS and "user" not in attack
        if built_in or (rule in keys and rule not in moot):
            assert rule in found
    if not attacks:
        assert not found
    assert found <= {*keys, *ALWAYS, *BUILT_IN}


OF_THE_UNPRIVILEGED: tuple[str, ...] = (
    *("capabilities.add", "capabilities.drop", "seccomp", "apparmor", "selinux", "system_paths"),
)
"""Who may have a privileged container isn't asked for these."""
TEXTS = st.sampled_from(
    [
        "",
        "host",
        "0",
        "root",
        "ALL",
        "/",
        "/etc",
        "/run",
        "container:x",
        "a:b:c",
        "seccomp=unconfined",
    ]
)
SPEC_FIELDS = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup", "user")
LIST_FIELDS = ("cap_add", "cap_drop", "security_opt", "group_add", "devices")


@given(values(ContainerSpec), st.data(), ENGINE)
@settings(max_examples=60)
def test_whatever_passes_has_none_of_what_is_forbidden(
    spec: ContainerSpec, data: st.DataObject, engine: str
) -> None:
    """Against a second, plain reading of the request, which shares nothing with the judgement."""
    good = {name: getattr(GOOD, name) for name in GOOD.__dataclass_fields__}
    names = sorted(good)
    taken = data.draw(st.sets(st.sampled_from(names), max_size=5))
    changes = {name: getattr(spec, name) for name in taken}
    for name in data.draw(st.sets(st.sampled_from(SPEC_FIELDS), max_size=1)):
        changes[name] = data.draw(TEXTS)
    for name in data.draw(st.sets(st.sampled_from(LIST_FIELDS), max_size=1)):
        changes[name] = tuple(data.draw(st.lists(TEXTS, max_size=3)))
    changes.update(configs=(), secrets=(), image=GOOD.image)
    try:
        made = body(replace(GOOD, **changes), engine)
    except (KeyError, ValueError, OverflowError):
        return  # the engine room makes no request of it
    if not judging.judge_creation(made, sights(made, engine), policy(STRICT)):
        assert list(breaches(made)) == []


def breaches(made: Mapping[str, Any]) -> Iterator[str]:
    host = made["HostConfig"]
    yield from breaches_of_rights(made, host)
    yield from breaches_of_files(host)
    if not 0 < host.get("Memory", 0) <= 512 << 20 or not 0 < host.get("PidsLimit", 0) <= 200:
        yield "limits"


def breaches_of_rights(made: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[str]:
    if host.get("Privileged") or not host.get("ReadonlyRootfs"):
        yield "privileged, or may write its root"
    if host.get("NetworkMode") not in ("none", "shop_default", "edge"):
        yield f"network {host.get('NetworkMode')}"
    for mode in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        if host.get(mode, "") == "host" or ":" in host.get(mode, "").replace("auto:size=", ""):
            yield f"{mode} {host[mode]}"
    caps = {name.upper().replace("CAP_", "") for name in host.get("CapAdd", ())}
    if caps - {"NET_BIND_SERVICE"} or "ALL" not in map(str.upper, host.get("CapDrop", ())):
        yield f"capabilities {caps}"
    user, _, group = made.get("User", "1000:1000").partition(":")
    if not (user.isdigit() and int(user) and group.isdigit() and int(group)):
        yield f"user {made.get('User')}"
    options = [text.replace(":", "=", 1) for text in host.get("SecurityOpt", ())]
    if any("unconfined" in text or "disable" in text for text in options):
        yield f"options {options}"


def breaches_of_files(host: Mapping[str, Any]) -> Iterator[str]:
    sources = [text.split(":")[0] for text in host.get("Binds", ())]
    sources += [mount.get("Source", "") for mount in host.get("Mounts", ())]
    for source in sources:
        if source.startswith("/") and not f"{source}/".startswith(("/srv/read/", "/srv/write/")):
            yield f"mount of {source}"
    for device in host.get("Devices", ()):
        if device["PathOnHost"] != "/dev/fuse":
            yield f"device {device}"
    for name in host.get("Sysctls", {}):
        if not name.startswith("net.") or "/" in name:
            yield f"sysctl {name}"


# -- fields


def places(
    value: object, form: object, path: tuple[object, ...] = ()
) -> Iterator[tuple[object, ...]]:
    """Every object of a request in which fields have names of their own."""
    if isinstance(form, Record) and isinstance(value, dict):
        yield path
        for key, item in value.items():
            yield from places(item, form.fields[key], (*path, key))
    elif isinstance(form, requestform.MapOf) and isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, form.value, (*path, key))
    elif isinstance(form, requestform.ListOf) and isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, form.item, (*path, number))


@pytest.mark.parametrize("engine", ENGINES)
@given(st.data())
def test_a_field_that_nobody_knows_is_refused_by_its_name(engine: str, data: st.DataObject) -> None:
    made = copy.deepcopy(body(engine=engine))
    path = data.draw(st.sampled_from(list(places(made, requestform.CREATION))))
    name = data.draw(
        st.sampled_from(FOREIGN) | st.text(min_size=1, max_size=8).map(lambda t: f"X{t}")
    )
    at: Any = made
    for step in path:
        at = at[step]
    at[name] = data.draw(st.sampled_from([True, 1, "x", None, [], {}, ["x"], {"a": "b"}]))
    found = judging.judge_creation(made, sights(made, engine), Policy())
    told = f"{cited(name)} is a field that no rule knows"
    assert any(v.rule == "request" and told in v.message for v in found)


FOREIGN = (
    *("VolumesFrom", "DeviceRequests", "DeviceCgroupRules", "Runtime", "CgroupParent", "Links"),
    *(
        "PublishAllPorts",
        "MaskedPaths",
        "ReadonlyPaths",
        "StorageOpt",
        "ContainerIDFile",
        "Isolation",
    ),
    *("privileged", "hostconfig", "HOSTCONFIG", "binds", "CAPADD", "VolumeOptions", "DriverOpts"),
    *("Capabilities", "CpuRealtimeRuntime", "BlkioDeviceReadBps", "OomKillDisable", "Volumes"),
)
"""What the engines' APIs have and we never send; and other spellings, which engines take for the same."""


@pytest.mark.parametrize("wrong", [None, 1, True, "x", [], {}, [1], {"a": 1}, 2.5, 1 << 70])
@given(data=st.data())
def test_a_field_of_another_form_never_passes_as_it_was(wrong: object, data: st.DataObject) -> None:
    """Also none in which the judgement itself would fail."""
    made = copy.deepcopy(body())
    path = data.draw(st.sampled_from(list(places(made, requestform.CREATION))))
    at: Any = made
    for step in path:
        at = at[step]
    if not at:
        return
    key = data.draw(st.sampled_from(sorted(at)))
    if type(at[key]) is type(wrong):
        return
    at[key] = wrong
    try:
        seen = sights(made)
    except (AttributeError, TypeError, ValueError):
        seen = sights(body())
    assert judging.judge_creation(made, seen, policy(STRICT))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("service", sorted(FULL.services))
def test_every_field_that_the_engine_room_can_send_is_known(service: str, engine: str) -> None:
    spec = FULL.services[service].container
    bundle = Bundle(
        FULL.name, service, spec, FULL.networks, FULL.volumes, FULL.configs, FULL.secrets
    )
    ports = (PublishedPort(80, 0), PublishedPort(81, 81, "udp", "127.0.0.1"))
    made = body(spec, engine, ports, bundle)
    found = judging.judge_creation(made, sights(made, engine), Policy())
    assert [v for v in found if "no rule knows" in v.message or "has a form" in v.message] == []


@given(values(ContainerSpec), ENGINE)
@settings(max_examples=60)
def test_all_that_the_engine_room_makes_can_be_judged(spec: ContainerSpec, engine: str) -> None:
    try:
        made = body(replace(spec, configs=(), secrets=(), image="a/b"), engine)
    except (KeyError, ValueError, OverflowError):
        return
    judging.judge_creation(made, sights(made, engine), policy(STRICT))
    assert not [
        v
        for v in judging.judge_creation(made, sights(made, engine), Policy())
        if "no rule knows" in v.message
    ]


@given(st.text(max_size=20), st.booleans())
def test_no_path_outside_of_the_lists_is_mounted(tail: str, write: bool) -> None:
    made = body()
    source = "/" + tail
    made["HostConfig"]["Binds"] = [f"{source}:/x:{'rw' if write else 'ro'}"]
    made["HostConfig"].pop("Mounts")
    seen = sights(made, paths={source: PathSight("/elsewhere/x")})
    assert judging.judge_creation(made, seen, policy(STRICT))
