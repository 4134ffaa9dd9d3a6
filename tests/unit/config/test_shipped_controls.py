"""Controls and frameworks as they are shipped: valid, complete, and each of use to the other."""

from __future__ import annotations

import pytest

from hullmark.config import (
    framework_names,
    load_controls,
    load_framework,
    shipped_controls,
    shipped_frameworks,
)
from hullmark.core.checks import JUDGES
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import ControlSpec
from hullmark.model.functions import FUNCTIONS

CONTROLS = {
    each.control_id: each for each in load_controls(shipped_controls(), "/nonexistent").specs
}
FRAMEWORKS = framework_names(shipped_frameworks(), "/nonexistent")


@pytest.mark.parametrize("control", CONTROLS.values(), ids=list(CONTROLS))
def test_a_shipped_control_says_all_that_people_need(control: ControlSpec) -> None:
    assert control.function in FUNCTIONS
    assert control.rationale
    assert control.remediation
    assert control.enabled
    assert len({check.check_id for check in control.checks}) == len(control.checks)


def test_every_kind_has_a_judge_and_every_judge_a_kind() -> None:
    assert set(KINDS) == set(JUDGES)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_names_functions_that_are_there(name: str) -> None:
    framework = load_framework(name, site_dir="/nonexistent")
    named = {each for one in framework.requirements for each in one.functions}
    assert named <= set(FUNCTIONS) | set(CONTROLS)
    carried = {control.function for control in CONTROLS.values()}
    assert named <= carried | set(CONTROLS), "a requirement that no host could ever prove"


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_function_is_evidence_for_something(name: str) -> None:
    framework = load_framework(name, site_dir="/nonexistent")
    unused = [
        control.control_id
        for control in CONTROLS.values()
        if not framework.of(control.control_id, control.function)
    ]
    assert unused == []
