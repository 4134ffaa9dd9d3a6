"""Values of rules: what is read, and that what can't be meant is refused with what can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hullmark.config import load_policy
from hullmark.errors import InvalidInput
from hullmark.model.policy import RULES, Form, Policy


def load(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "50-test.yaml"
    file.write_text(text)
    return load_policy(str(file))


READ: list[tuple[str, str, Any]] = [
    ("privileged", "false", False),
    ("host_namespaces", "[network, pid]", ("network", "pid")),
    ("capabilities.add", "[CAP_CHOWN, net_admin]", ("CHOWN", "NET_ADMIN")),
    ("capabilities.add", "any", None),
    ("capabilities.drop", "[]", ()),
    ("devices", '["/dev/dri/*"]', ("/dev/dri/*",)),
    ("mounts.read", "[/, /srv/]", ("/", "/srv")),
    ("mounts.propagation", "[rslave]", ("rslave",)),
    ("images.from", "[registry.example.com:5000/shop, '*.example.com']", None),
    ("limits.require", "[memory]", ("memory",)),
    ("limits.memory", "1.5GiB", 3 << 29),
    ("limits.memory", "512m", 512 << 20),
    ("limits.memory", "1000", 1000),
    ("limits.cpus", "0.5", 0.5),
    ("limits.oom_score_adj", "-100", -100.0),
    ("limits.ulimits", "{NOFILE: 65536}", {"nofile": 65536}),
    ("ports.published", "[443, 8000-8999, 53/udp]", ("443", "8000-8999", "53/udp")),
    ("ports.addresses", "[127.0.0.1, 10.0.0.0/8, '::1']", ("127.0.0.1", "10.0.0.0/8", "::1")),
]


@pytest.mark.parametrize(("key", "text", "value"), READ)
def test_what_is_read(tmp_path: Path, key: str, text: str, value: Any) -> None:
    group, _, name = key.rpartition(".")
    written = f"{group}:\n  {name}: {text}\n" if group else f"{name}: {text}\n"
    rule = load(tmp_path, written).given[key]
    assert rule.line == (2 if group else 1)
    if key != "images.from":
        assert rule.value == value


WRONG = [
    ("privileged", "yes", "true or false"),
    ("privileged", "any", "true or false"),
    ("host_namespaces", "[net]", "network"),
    ("capabilities.add", "[NET_BIND_SERVIC]", "NET_BIND_SERVICE"),
    ("capabilities.drop", "any", "[] for none"),
    ("limits.require", "[disk]", "memory"),
    ("mounts.read", "/srv", "a list"),
    ("mounts.read", "[srv]", "absolute"),
    ("mounts.write", "[/srv/../etc]", "`..`"),
    ("mounts.write", "[//etc]", "absolute"),
    ("mounts.write", "['/a b ']", "a list"),
    ("mounts.propagation", "[bind]", "rshared"),
    ("images.from", "['https://registry.example.com']", "REGISTRY"),
    ("images.from", "['registry.example.com/shop:1']", "REGISTRY"),
    ("limits.memory", "lots", "512MiB"),
    ("limits.memory", "-1", "512MiB"),
    ("limits.cpus", "'2'", "a number"),
    ("limits.ulimits", "{nofile: -1}", "nofile"),
    ("ports.published", "[0]", "ports"),
    ("ports.published", "[9000-8000]", "ports"),
    ("ports.published", "[70000]", "ports"),
    ("ports.published", "443", "ports"),
    ("ports.addresses", "[host.example]", "addresses"),
    ("ports.addresses", "[10.0.0.1/8]", "addresses"),
    ("sysctls", "[1]", "a list"),
    ("sysctls", "", "a list"),
]


@pytest.mark.parametrize(("key", "text", "allowed"), WRONG)
def test_what_is_refused(tmp_path: Path, key: str, text: str, allowed: str) -> None:
    group, _, name = key.rpartition(".")
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, f"{group}: {{{name}: {text}}}\n" if group else f"{name}: {text}\n")
    (problem,) = caught.value.problems
    assert problem.field == key
    assert allowed in problem.allowed


def test_every_rule_can_be_written(tmp_path: Path) -> None:
    """By its default, and as `any` where that may be said."""
    words = {Form.YES: "true", Form.SIZE: "any", Form.NUMBER: "any", Form.TABLE: "any"}
    for key, about in RULES.items():
        group, _, name = key.rpartition(".")
        text = words.get(about.form, "[]")
        policy = load(tmp_path, f"{group}: {{{name}: {text}}}\n" if group else f"{name}: {text}\n")
        assert list(policy.given) == [key]


def test_exemptions_are_read_in_order_and_the_later_wins(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        "privileged: false\n"
        "apps:\n"
        "  monitor:\n"
        "    privileged: true\n"
        "    mounts: {read: [/proc]}\n"
        "  monitor/web*:\n"
        "    privileged: false\n",
    )
    assert not policy.rules_for("shop", "web")["privileged"].yes
    assert policy.rules_for("monitor", "db")["privileged"].yes
    web = policy.rules_for("monitor", "web-1")
    assert (web["privileged"].yes, web["privileged"].line) == (False, 7)
    assert web["mounts.read"].items == ("/proc",)
    assert policy.rules_for("monitor-2", "db")["privileged"].yes is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apps: [monitor]\n", "not a mapping"),
        ("apps:\n  monitor: [privileged]\n", "not a mapping"),
        ("apps:\n  Monitor:\n    privileged: true\n", "no pattern"),
        ("apps:\n  a/b/c:\n    privileged: true\n", "no pattern"),
        ("apps:\n  monitor:\n    scope: cde\n", "can't be an app's"),
        ("apps:\n  monitor:\n    priviledged: true\n", "did you mean privileged?"),
        ("scope: CDE\n", "bad value"),
        ("on_violation: kill\n", "bad value"),
        ("mounts.read: [/a]\nmounts: {read: [/b]}\n", "stands here and in line 1"),
        ("mounts: [/a]\n", "not a mapping"),
        ("mounts: {raed: [/a]}\n", "did you mean mounts.read?"),
    ],
)
def test_what_is_wrong_with_the_form(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text)
    assert said in caught.value.message


def test_the_digest_is_of_what_the_files_hold(tmp_path: Path) -> None:
    first = load(tmp_path, "privileged: false\n")
    assert load(tmp_path, "privileged: false\n") == first
    assert load(tmp_path, "privileged: false\n#\n").digest != first.digest


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("host_namespaces: [pid, net]", "net"),
        ("capabilities: {add: [CHOWN, NET_BIND]}", "NET_BIND"),
        ("mounts: {read: [/srv, etc]}", "etc"),
        ("images: {from: [docker.io, 'reg.example.com/x@sha256:5e1f...']}", "reg.example.com/x@sha256:5e1f..."),
        ("ports: {published: [443, 99999]}", "99999"),
        ("ports: {addresses: [127.0.0.1, 10.0.0.1/8]}", "10.0.0.1/8"),
    ],
)  # fmt: skip
def test_the_item_of_a_list_that_is_wrong_is_named(tmp_path: Path, text: str, item: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, f"{text}\n")
    (problem,) = caught.value.problems
    assert problem.message == f"bad value {item!r}"
