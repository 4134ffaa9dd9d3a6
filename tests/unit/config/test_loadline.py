"""The mark as a file: what it says, and what is wrong with it by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config.loadline import load_mark
from hullmark.errors import InvalidInput, Problem
from hullmark.model.loadline import LoadLine, Required

WHOLE = """\
require:
  - audit-trail
  - control: time
    level: 3
brake: 25%
drain: true
drain_after: 10m
"""


def written(folder: Path, text: str) -> str:
    file = folder / "mark.yaml"
    file.write_text(text)
    return str(file)


def test_a_whole_one(tmp_path: Path) -> None:
    read = load_mark(written(tmp_path, WHOLE))
    required = (Required("audit-trail"), Required("time", 3))
    assert read.line == LoadLine(required, True, 600.0, 0.25)


def test_nothing_said_is_the_defaults(tmp_path: Path) -> None:
    assert load_mark(written(tmp_path, "require: []\n")).line == LoadLine()
    assert load_mark(written(tmp_path, "brake: 0.5\n")).line == LoadLine(brake=0.5)


def test_a_masters_words_get_their_line(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)
    fields = ("line.require[1].level", "require[1].control", "brake", "require[9]", "what")
    found = load_mark(file).placed(Problem("no", field=field) for field in fields)
    assert [problem.line for problem in found] == [4, 3, 5, 1, 1]
    assert {problem.file for problem in found} == {file}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", ":1: not a mapping"),
        ("require: time\n", ":1: require: bad value (allowed: a list of controls)"),
        ("require:\n  - 7\n", ":2: require[0]: bad value"),
        ("require:\n  - level: 3\n", ":2: require[0].control: no control is named"),
        ("require:\n  - control: []\n", ":2: require[0].control: no control is named"),
        ("require:\n  - control: time\n    level: high\n", ":3: require[0].level: bad value"),
        ("require:\n  - control: time\n    lever: 3\n", ":3: require[0].lever: unknown key"),
        ("drains: true\n", ":1: drains: unknown key"),
        ("drain: sometimes\n", ":1: drain: bad value"),
        ("drain_after: 7\n", ":1: drain_after: bad value"),
        ("brake: true\n", ":1: brake: bad value"),
        ("brake: many%\n", ":1: brake: bad value"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        load_mark(file)
    assert [str(each) for each in caught.value.problems if f"{file}{problem}" in str(each)]
    assert len(caught.value.problems) == 1
