"""The pages for users have every shipped control and every kind, and its examples can be used as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hullmark.config import load_controls_file, shipped_controls
from hullmark.model.checkkinds.generic import KINDS as GENERIC
from tests.unit.config.controlspage import control_rows, key_rows, kind_rows

PAGES = Path(__file__).resolve().parents[3] / "docs" / "operations"
PAGE, KINDS_PAGE = ((PAGES / name).read_text() for name in ("controls.md", "check-kinds.md"))
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


ROW = re.compile(r"^\| `[a-z0-9_.-]+` \| .* \|$", re.MULTILINE)


def test_controls_and_kinds_stand_there_as_they_are() -> None:
    """All rows and no others; a difference shows the lines to put there."""
    assert [row for row in ROW.findall(PAGE) if not row.startswith(("| `pass`", "| `n/a`"))] == [
        *control_rows()
    ]
    assert ROW.findall(KINDS_PAGE) == [*kind_rows(), *key_rows()]


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
