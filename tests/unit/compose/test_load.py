"""Any file at all: an app that a master accepts, or an error that says where it is wrong."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from random import Random
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.compose import Loaded, check, load, shown
from hullmark.compose.keys import SECTIONS
from hullmark.errors import InvalidInput, Problem
from hullmark.model.app import App
from hullmark.model.wire import from_wire, to_wire

WARNING = re.compile(r".+:[0-9]+: .+: .+", re.DOTALL)


def accepted_or_refused(*contents: bytes) -> bool:
    """Whether it is an app. What is neither an app nor an InvalidInput fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, content in enumerate(contents):
            paths.append(Path(folder) / f"{number}.yaml")
            paths[-1].write_bytes(content)
        environment = {"A": "1", "PASSWORD": "hunter2"}
        problems: tuple[Problem, ...] = ()
        try:
            found: Optional[Loaded] = load(
                [str(path) for path in paths], project_name="shop", environment=environment
            )
        except InvalidInput as error:
            found, problems = None, error.problems
    if found is None:
        assert problems
        assert all(problem.message for problem in problems)
        return False
    assert check(found.app) == []
    assert from_wire(App, json.loads(json.dumps(to_wire(found.app)))) == found.app
    assert all(WARNING.fullmatch(line) for line in found.warnings), found.warnings
    json.dumps(shown(found.app))
    return True


KEYS = sorted({name for section in SECTIONS.values() for name in section.keys} | {"x-a", "<<", ""})
NAMES = st.sampled_from(
    ["web", "db", "default", "data", "a b", "-", "x-y", "NAME", "0", "日本", "a.b"]
)
TEXTS = st.sampled_from(
    ["", "web", "db", "data", "80", "8080:80", "1-3:4-6/udp", "./x:/y", "/a:/b:ro", "data:/d", "$A", "${B}",
     "${B:-x}", "${B:?no}", "$", "A=1", "PASSWORD=$PASSWORD", "10s", "-1", "64m", "0.5", "true", "no", "none", "host",
     "service:db", "always", "on-failure:3", "nginx:1", "service_healthy", "CMD", "CMD-SHELL", "0444", "10.0.0.0/24",
     "10.0.0.1", "::1", "~/x", "../x", ".", "/", "a\tb", "\x7f", "é", "node.labels.a == b", "replicated", "global"]
)  # fmt: skip
SCALARS = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)


def _inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.sampled_from(KEYS), NAMES, TEXTS)
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4))


VALUES = st.recursive(SCALARS, _inside, max_leaves=12)


def keys_of(path: str, values: Any) -> Any:
    return st.dictionaries(st.sampled_from(sorted(SECTIONS[path].keys)), values, max_size=5)


SERVICE = st.builds(
    lambda service, image: {"image": image, **service},
    keys_of("services.*", VALUES),
    st.one_of(st.just("nginx"), VALUES),
)
FILES = st.builds(
    lambda services, others: {"services": services, **others},
    st.dictionaries(NAMES, st.one_of(SERVICE, SERVICE, VALUES), min_size=1, max_size=3),
    keys_of("", st.one_of(st.dictionaries(NAMES, VALUES, max_size=3), VALUES)),
)


def written(value: Any) -> bytes:
    """JSON, which is YAML."""
    return json.dumps(value).encode()


@given(FILES)
def test_any_file(value: Any) -> None:
    accepted_or_refused(written(value))


@settings(max_examples=50)
@given(FILES, FILES)
def test_any_two_files(one: Any, other: Any) -> None:
    accepted_or_refused(written(one), written(other))


@settings(max_examples=50)
@given(FILES, FILES, st.randoms(use_true_random=False))
def test_any_tags(one: Any, other: Any, random: Random) -> None:
    def tagged(_: re.Match[str]) -> str:
        return '": ' + random.choice(["", "", "!reset ", "!override "])

    texts = [re.sub('": ', tagged, json.dumps(value)).encode() for value in (one, other)]
    accepted_or_refused(*texts)


@settings(max_examples=50)
@given(VALUES)
def test_any_value(value: Any) -> None:
    accepted_or_refused(written(value))


@settings(max_examples=50)
@given(st.sampled_from(sorted(SECTIONS["services.*"].keys)), VALUES)
def test_any_value_of_a_key(key: str, value: Any) -> None:
    accepted_or_refused(written({"services": {"web": {"image": "nginx", key: value}}}))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    accepted_or_refused(content)
    accepted_or_refused(b"services: {web: {image: a, command: " + content)


@settings(max_examples=50)
@given(st.text(alphabet="services:web{}[]-!&*#|>'\" \n$", max_size=120))
def test_any_text(text: str) -> None:
    accepted_or_refused(b"services:\n  web:\n    image: nginx\n    " + text.encode())


@pytest.mark.parametrize("path", sorted(SECTIONS))
@pytest.mark.parametrize(
    "wrong",
    ["text", 5, True, [], {}, [[]], {"a": []}, [None]],
    ids=repr,
)
def test_wrong_types_at_every_level(path: str, wrong: Any) -> None:
    """A section as a whole, and each of its keys, is something else than it should be."""
    accepted_or_refused(written(placed(path, wrong)))
    for key in SECTIONS[path].keys:
        accepted_or_refused(written(placed(path, {key: wrong})))


def placed(path: str, value: Any) -> Any:
    """A file that has the value at a section's path: `services.*.ports[]` and the like."""
    for part in reversed(path.replace("[]", ".[]").split(".") if path else []):
        value = [value] if part == "[]" else {"web" if part == "*" else part: value}
    if not isinstance(value, dict):
        return value
    services = value.get("services", {"web": {}})
    if isinstance(services, dict) and isinstance(services.get("web"), dict):
        services["web"].setdefault("image", "nginx")
    return {**value, "services": services}


def test_the_paths_of_the_table_can_be_placed() -> None:
    assert placed("services.*.ports[]", {"target": 1}) == {
        "services": {"web": {"image": "nginx", "ports": [{"target": 1}]}}
    }
    assert accepted_or_refused(written(placed("services.*.ports[]", {"target": 1})))
    assert not accepted_or_refused(written(placed("services.*.ports[]", 0)))
