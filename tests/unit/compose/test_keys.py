"""The table of keys: docs/compose.md says the same, and the translation does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hullmark.compose.keys import SECTIONS, Key, Section, Treatment
from tests.unit.compose.apps import build, problems

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compose.md"
NONSENSE = [{"": [[1]]}]

# What else a mapping needs so that only the key in question is wrong.
BESIDE: dict[str, dict[str, Any]] = {
    "services.*": {"image": "x"},
    "services.*.depends_on.*": {"condition": "service_started"},
    "services.*.env_file[]": {"path": "x", "required": False},
    "services.*.ports[]": {"target": 80},
    "services.*.volumes[]": {"type": "volume", "target": "/x"},
    "services.*.ulimits.*": {"soft": 1, "hard": 2},
    "services.*.configs[]": {"source": "site"},
    "services.*.secrets[]": {"source": "key"},
    "services.*.devices[]": {"source": "/dev/x"},
    "networks.*.ipam.config[]": {"subnet": "10.9.0.0/24"},
    "configs.*": {"content": "x"},
    "secrets.*": {"file": "/x"},
}
NAMES = {"services": "web", "depends_on": "db", "networks": "default", "ulimits": "nofile"}
VALUES: dict[str, Any] = {
    "annotations": {"a": "b"},
    "links": ["db:other"],
    "labels": {"a": "b"},
    "restart": True,
    "start_interval": "1s",
}
# Honoured while the files are read and merged, so that nothing of them is left to read.
READ_BEFORE = {"name", "version", "extends", "profiles"}


def every_key(*treatments: Treatment) -> list[Any]:
    return [
        pytest.param(section, key, id=f"{section.path or 'top'}-{key.name}")
        for section in SECTIONS.values()
        for key in section.keys.values()
        if key.treatment in treatments
    ]


def text(section: Section, key: str, value: Any) -> str:
    """A file with the key in its place, in line 2."""
    document: dict[str, Any] = {
        "services": {"web": {"image": "x"}, "db": {"image": "x"}},
        "networks": {"default": {}},
        "configs": {"site": {"content": "x"}},
        "secrets": {"key": {"file": "/x"}},
    }
    place: Any = document
    path = ""
    for step in filter(None, section.path.split(".")):
        path = f"{path}.{step}".lstrip(".")
        name = step.replace("[]", "")
        if name == "*":
            name = NAMES.get(path.split(".")[-2], "x")
        inner = dict(BESIDE.get(path, {}))
        place[name] = [inner] if step.endswith("[]") else {**place.get(name, {}), **inner}
        place = inner if step.endswith("[]") else place[name]
        if path.startswith("services.*.volumes[].") and section.path == path:
            mount = document["services"]["web"]["volumes"][0]
            mount.update({"type": name, "source": "/x"} if name == "bind" else {"type": name})
    place.pop(key, None)
    if section.path == "configs.*" and key in ("file", "environment"):
        place.pop("content")
    place["MARK"] = 0
    entry = f"\n{json.dumps(key)}: {json.dumps(value)}\n"
    return json.dumps(document).replace('"MARK": 0', entry)


def field(section: Section, key: str) -> str:
    path = section.path.replace("[]", "[0]")
    parts = path.split(".") if path else []
    steps = [
        NAMES.get(parts[index - 1], "x") if part == "*" else part
        for index, part in enumerate(parts)
    ]
    return ".".join([*steps, key])


@pytest.mark.parametrize(("section", "key"), every_key(Treatment.REFUSED))
def test_refused(section: Section, key: Key) -> None:
    found = problems(text(section, key.name, VALUES.get(key.name, "x")))
    at = f"compose.yaml:2: {field(section, key.name)}: is not supported: "
    assert [line for line in found if line.startswith(at)], found
    assert build(text(section, key.name, None))[1] == ()


@pytest.mark.parametrize(("section", "key"), every_key(Treatment.WARNED))
def test_warned(section: Section, key: Key) -> None:
    _, warnings = build(text(section, key.name, VALUES.get(key.name, "x")))
    at = f"compose.yaml:2: {field(section, key.name)}"
    assert [line for line in warnings if line.startswith(at)], warnings


@pytest.mark.parametrize(("section", "key"), every_key(Treatment.HONOURED))
def test_honoured_keys_are_read(section: Section, key: Key) -> None:
    """What is read complains about nonsense; a key that nobody reads would not."""
    if key.name in READ_BEFORE and section.path in ("", "services.*"):
        return
    found = problems(text(section, key.name, NONSENSE))
    name = "services.web.deploy.update_config" if "update_config" in section.path else ""
    at = f"compose.yaml:2: {name + '.' + key.name if name else field(section, key.name)}"
    assert [line for line in found if line.startswith(at)], found


@pytest.mark.parametrize("section", SECTIONS.values(), ids=lambda each: each.path or "top")
def test_unknown(section: Section) -> None:
    found = problems(text(section, "zzzz", 1))
    at = f"compose.yaml:2: {field(section, 'zzzz')}: unknown key (allowed: "
    assert [line for line in found if line.startswith(at)], found
    near = min((name for name in section.keys if len(name) > 3), default="")
    found = problems(text(section, f"{near}x", 1))
    assert [line for line in found if f"did you mean {near}?" in line], found


def test_every_reason_is_given() -> None:
    for section in SECTIONS.values():
        for key in section.keys.values():
            assert key.treatment is Treatment.HONOURED or key.why, (section.path, key.name)


def test_the_page_says_what_the_table_says() -> None:
    page = PAGE.read_text()
    assert re.findall(r"^### .*`(.*)`$", page, re.MULTILINE) == [
        section.path or "top level" for section in SECTIONS.values()
    ]
    for section in SECTIONS.values():
        heading = f"### {section.title}: `{section.path or 'top level'}`"
        block = page.split(f"{heading}\n\n")[1].split("\n\n")[0]
        expected = ["| Key | | How, or why |", "|---|---|---|"]
        expected += [
            f"| `{key.name}` | {key.treatment.value} | {key.why} |" for key in section.keys.values()
        ]
        assert block.strip().splitlines() == expected
