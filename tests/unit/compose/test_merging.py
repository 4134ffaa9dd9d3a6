"""One file over another: the Specification's rules, and the place of every value."""

from __future__ import annotations

from typing import Any

import pytest

from hullmark import document
from hullmark.compose.merging import TAGS, Merging, copied
from hullmark.document import MapValue


def parsed(text: str, name: str) -> MapValue:
    value = document.parse(text.encode(), name, tags=TAGS)
    assert isinstance(value, MapValue)
    return value


def merge(base: str, over: str) -> tuple[MapValue, list[str]]:
    merging = Merging()
    merged = merging.mappings(copied(parsed(base, "a.yaml")), parsed(over, "b.yaml"))
    return merged, [str(problem) for problem in merging.problems]


def merged_key(key: str, base: str, over: str) -> Any:
    """What a key of a service comes to."""
    merged, problems = merge(
        f"services: {{web: {{{key}: {base}}}}}", f"services: {{web: {{{key}: {over}}}}}"
    )
    assert problems == []
    return merged["services"]["web"].get(key, "absent")


@pytest.mark.parametrize(
    ("key", "base", "over", "expected"),
    [
        # single values, mappings, lists
        ("image", "a", "b", "b"),
        ("privileged", "true", "false", False),
        ("image", "a", "null", "a"),
        ("image", "null", "b", "b"),
        (
            "healthcheck",
            "{test: [CMD, a], retries: 2, interval: 1s}",
            "{test: [CMD, b], retries: 3}",
            {"test": ["CMD", "b"], "retries": 3, "interval": "1s"},
        ),
        (
            "deploy",
            "{replicas: 1, placement: {constraints: [a, b]}}",
            "{placement: {constraints: [c]}}",
            {"replicas": 1, "placement": {"constraints": ["a", "b", "c"]}},
        ),
        # shell commands are replaced
        ("command", "[a, b]", "[c]", ["c"]),
        ("command", "a b", "[c]", ["c"]),
        ("command", "[a]", "null", None),
        ("entrypoint", "[a, b]", "c", "c"),
        # pairs
        ("environment", "{A: 1, B: 2}", "{B: 3, C: 4}", {"A": 1, "B": 3, "C": 4}),
        ("environment", "[A=1, B=2]", "{B: 3}", {"A": "1", "B": 3}),
        ("environment", "{A: 1}", "[B=x=y, A]", {"A": None, "B": "x=y"}),
        ("environment", "{A: 1}", "{A: null}", {"A": None}),
        ("labels", "[a=1]", "[a=2, b]", {"a": "2", "b": None}),
        ("sysctls", "{net.core.somaxconn: 1}", "[net.core.somaxconn=2]", {"net.core.somaxconn": "2"}),
        # lists that hold an entry once
        ("ports", '["80:80"]', '["81:80"]', ["80:80", "81:80"]),
        ("ports", '["80:80", 90]', '["80:80/tcp", 90]', ["80:80/tcp", 90]),
        ("ports", '["80:80"]', '["80:80/udp"]', ["80:80", "80:80/udp"]),
        ("ports", '["80:80"]', '["127.0.0.1:80:80"]', ["80:80", "127.0.0.1:80:80"]),
        (
            "ports",
            '["8080:80"]',
            "[{target: 80, published: 8080, mode: host}]",
            [{"target": 80, "published": 8080, "mode": "host"}],
        ),
        ("volumes", "[foo:/work, /tmp]", "[bar:/work]", ["bar:/work", "/tmp"]),
        ("volumes", "[foo:/work:ro]", "[./bar:/work/]", ["./bar:/work/"]),
        (
            "volumes",
            "[foo:/work]",
            "[{type: tmpfs, target: /work}]",
            [{"type": "tmpfs", "target": "/work"}],
        ),
        ("tmpfs", "/run", "[/tmp, /run:size=1m]", ["/run:size=1m", "/tmp"]),
        ("devices", "[/dev/a:/dev/x]", "[/dev/b:/dev/x:r]", ["/dev/b:/dev/x:r"]),
        ("secrets", "[a, b]", "[{source: c, target: a}]", [{"source": "c", "target": "a"}, "b"]),
        ("configs", "[a]", "[{source: b, target: /a}]", [{"source": "b", "target": "/a"}]),
        ("expose", '["80", 81]', "[80, 82]", [80, 81, 82]),
        ("cap_add", "[A, B]", "[B, C]", ["A", "B", "C"]),
        ("dns", "1.1.1.1", "[8.8.8.8]", ["1.1.1.1", "8.8.8.8"]),
        ("dns", "[1.1.1.1]", "8.8.8.8", ["1.1.1.1", "8.8.8.8"]),
        ("env_file", "a.env", "[{path: a.env, required: false}]", [{"path": "a.env", "required": False}]),
        # two forms
        (
            "depends_on",
            "[a, b]",
            "{b: {condition: service_healthy}}",
            {"a": {"condition": "service_started"}, "b": {"condition": "service_healthy"}},
        ),
        ("depends_on", "[a]", "[a, b]", ["a", "a", "b"]),
        ("networks", "[a]", "{b: {aliases: [x]}}", {"a": None, "b": {"aliases": ["x"]}}),
        ("networks", "{a: {aliases: [x]}}", "[a, b]", {"a": {"aliases": ["x"]}, "b": None}),
        ("networks", "{a: {aliases: [x, y]}}", "{a: {aliases: [y, z]}}", {"a": {"aliases": ["x", "y", "z"]}}),
        ("extra_hosts", "[a:1.1.1.1, b:2.2.2.2]", "{a: 3.3.3.3}", ["b:2.2.2.2", "a=3.3.3.3"]),
        ("extra_hosts", '["a=::1", "a=1.1.1.1"]', "[b=2.2.2.2]", ["a=::1", "a=1.1.1.1", "b=2.2.2.2"]),
        ("ulimits", "{nofile: 10, nproc: 5}", "{nofile: {soft: 1, hard: 2}}", {"nofile": {"soft": 1, "hard": 2}, "nproc": 5}),
        ("logging", "{driver: a, options: {x: 1}}", "{options: {y: 2}}", {"driver": "a", "options": {"x": 1, "y": 2}}),
        ("logging", "{driver: a, options: {x: 1}}", "{driver: b}", {"driver": "b"}),
        # tags
        ("ports", '["80:80"]', "!reset []", "absent"),
        ("ports", '["80:80"]', '!override ["81:80"]', ["81:80"]),
        ("environment", "{A: 1, B: 2}", "{A: !reset null}", {"B": 2}),
        ("environment", "{A: 1, B: 2}", "!override {C: 3}", {"C": 3}),
        ("command", "[a]", "!reset null", "absent"),
        ("volumes", "[a:/a]", "[!reset b:/b, c:/c]", ["a:/a", "c:/c"]),
        ("labels", "null", "!override {a: 1}", {"a": 1}),
        ("deploy", "null", "{replicas: !reset 1, mode: !override global}", {"mode": "global"}),
    ],
)  # fmt: skip
def test_keys_of_a_service(key: str, base: str, over: str, expected: Any) -> None:
    assert merged_key(key, base, over) == expected


def test_sections_are_merged_by_name() -> None:
    merged, problems = merge(
        "services: {a: {image: a}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}, m: }",
        "services: {b: {image: b}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]}}}\n"
        "volumes: {v: {labels: [x=1]}}",
    )
    assert problems == []
    assert merged == {
        "services": {"a": {"image": "a"}, "b": {"image": "b"}},
        "networks": {
            "n": {"ipam": {"config": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1"}]}},
            "m": None,
        },
        "volumes": {"v": {"labels": ["x=1"]}},
    }


def test_each_value_keeps_its_place() -> None:
    merged, _ = merge(
        'services:\n  web:\n    image: a\n    ports:\n      - "80:80"\n    environment: [A=1]\n',
        'services:\n  web:\n    ports:\n      - "81:81"\n      - "80:80/tcp"\n    environment:\n      B: 2\n',
    )
    web = merged["services"]["web"]
    assert document.line_of(web, "image") == ("a.yaml", 3)
    assert document.line_of(web, "ports") == ("b.yaml", 3)
    assert [document.line_of(web["ports"], index) for index in range(2)] == [
        ("b.yaml", 5),
        ("b.yaml", 4),
    ]
    assert document.line_of(web["environment"], "A") == ("a.yaml", 6)
    assert document.line_of(web["environment"], "B") == ("b.yaml", 7)


def test_forms_that_cannot_be_merged() -> None:
    _, problems = merge(
        "services:\n  web:\n    ports: [80]\n    deploy:\n      mode: global\n    image: a",
        "services:\n  web:\n    ports: {a: b}\n    deploy: 3\n    image: [b]",
    )
    assert problems == [
        (
            "b.yaml:3: services.web.ports: a mapping here, but a list in a.yaml:3"
            " (allowed: the same form in both, or !override)"
        ),
        (
            "b.yaml:4: services.web.deploy: a single value here, but a mapping in a.yaml:4"
            " (allowed: the same form in both, or !override)"
        ),
        (
            "b.yaml:5: services.web.image: a list here, but a single value in a.yaml:6"
            " (allowed: the same form in both, or !override)"
        ),
    ]


def test_neither_side_is_changed() -> None:
    base = parsed("services: {web: {ports: [80], environment: {A: 1}}}", "a.yaml")
    over = parsed("services: {web: {ports: [81], environment: {A: !reset x}}}", "b.yaml")
    before = repr(base), repr(over)
    Merging().mappings(base, over)
    assert (repr(base), repr(over)) == before
