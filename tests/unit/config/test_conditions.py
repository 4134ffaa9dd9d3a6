"""A control that looks for what must not be: none of its checks may fail for being broken, as that would count as a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import Controls, load_controls_file, shipped_controls
from hullmark.errors import InvalidInput
from hullmark.model.control import SOUGHT, Condition


def load(folder: Path, check: str, condition: str = "none") -> Controls:
    file = folder / "site.yaml"
    file.write_text(
        f"controls:\n  - id: it\n    function: site-it\n    title: It\n    condition: {condition}\n"
        f"    checks:\n      - {check}\n"
    )
    return load_controls_file(str(file), shipped_controls())


@pytest.mark.parametrize(
    "check",
    [
        "{id: x, kind: clamav.eicar}",
        "{id: x, kind: audittrail.canary}",
        "{id: x, kind: log_canary, files: [/var/log/x], within: 5s}",
    ],
)
def test_a_check_that_fails_where_its_tool_is_broken_is_refused(tmp_path: Path, check: str) -> None:
    assert load(tmp_path, check, "all").specs
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, check)
    assert "it.condition" in str(caught.value.problems[0])


def test_a_command_is_told_that_it_looks_for_what_must_not_be(tmp_path: Path) -> None:
    check = "{id: x, kind: command, argv: [/opt/edr/ctl], must_match: tampered}"
    for condition, sought in (("none", True), ("all", None), ("any", None)):
        (spec,) = (s for s in load(tmp_path, check, condition).specs if s.control_id == "it")
        assert spec.condition is Condition(condition)
        assert spec.checks[0].given.get(SOUGHT) is sought
