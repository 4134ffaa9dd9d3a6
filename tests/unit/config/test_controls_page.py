"""The page for users has every shipped control and every kind, and its examples can be used as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hullmark.config import load_controls_file, shipped_controls
from hullmark.model.checkkinds.generic import KINDS as GENERIC
from tests.unit.config.controlspage import control_rows, kind_rows

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operations" / "controls.md").read_text()
LINES = PAGE.splitlines()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("row", [*control_rows(), *kind_rows()])
def test_it_stands_there_as_it_is(row: str) -> None:
    assert row in LINES, "put this line into docs/operations/controls.md"


def test_nothing_stands_there_that_is_gone() -> None:
    known = {row.split(" | ")[0] for row in (*control_rows(), *kind_rows())}
    told = {
        line.split(" | ")[0] for line in LINES if re.match(r"\| `[a-z0-9_.-]+` \| .* \| ", line)
    }
    results = {"| `pass`", "| `n/a`"}
    assert told - known - results == set()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_can_be_used(number: int, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLES[number])
    before = load_controls_file(str(file), shipped_controls())
    ours = [spec for spec in before.specs if spec.file == str(file)]
    assert ours
    assert all(spec.checks for spec in ours)


def test_each_generic_kind_has_an_example() -> None:
    for kind in GENERIC:
        assert f"### `{kind}`" in PAGE
        assert any(f"kind: {kind}" in example for example in EXAMPLES), kind


def test_what_was_not_tried_says_so() -> None:
    untried = [example for example in EXAMPLES if "(untried)" in example]
    assert len(untried) == 3
    assert PAGE.count("(UNTRIED)") == 3
