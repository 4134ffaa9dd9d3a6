"""The page for users has every rule, with its default, and its examples are what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hullmark
from hullmark.config import load_policy
from hullmark.model.policy import RULES, Form

PAGE = Path(hullmark.__file__).parents[2] / "docs/operations/policy.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, str]]:
    """Form and default by rule."""
    found = {}
    for names, form, default, _ in ROW.findall(PAGE.read_text()):
        for name in re.findall(r"`([a-z_.]+)`", names):
            found[name] = (form, default.replace("*", "").replace("`", ""))
    return found


def test_every_rule_stands_there() -> None:
    assert list(rows()) == list(RULES)


@pytest.mark.parametrize("key", RULES)
def test_its_default_is_as_it_is(key: str) -> None:
    form, told = rows()[key]
    default = RULES[key].default
    if RULES[key].form is Form.YES:
        assert (form, told) == ("true, false", str(default).lower())
    elif default == ():
        assert told == "[]"
    else:
        assert default is None
        assert told.startswith("any")


def test_the_example_is_a_policy(tmp_path: Path) -> None:
    found = re.search(
        r"```yaml\n# /etc/hullmark/policy.d/50-site.yaml\n(.*?)```", PAGE.read_text(), re.S
    )
    assert found is not None
    file = tmp_path / "50-site.yaml"
    file.write_text(found[1])
    assert load_policy(str(file)).scope == "cde"
