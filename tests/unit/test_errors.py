"""The error tree keeps its promises to the command line."""

from __future__ import annotations

import importlib
import pkgutil

import hullmark
from hullmark import errors


def every_error(
    kind: type[errors.HullmarkError] = errors.HullmarkError,
) -> set[type[errors.HullmarkError]]:
    return {kind}.union(*(every_error(each) for each in kind.__subclasses__()))


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = {
        line.lstrip(" │├└─").split()[0]: int(line.lstrip(" │├└─").split()[1])
        for line in (errors.__doc__ or "").splitlines()
        if line.startswith("    ") and len(line.lstrip(" │├└─").split()) > 1
    }
    found = {kind for kind in every_error() if kind.__module__ == errors.__name__}
    assert drawn == {kind.__name__: kind.exit_code for kind in found}


def test_a_room_may_narrow_an_error_but_not_change_its_exit_code() -> None:
    for module in pkgutil.walk_packages(hullmark.__path__, "hullmark."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    narrowed = [kind for kind in every_error() if kind.__module__ != errors.__name__]
    assert narrowed
    for kind in narrowed:
        assert "exit_code" not in vars(kind), kind


def test_a_problem_names_place_field_and_what_is_allowed() -> None:
    problem = errors.Problem(
        "not a port", file="app.yaml", line=3, field="ports[0]", allowed="1-65535"
    )
    assert str(problem) == "app.yaml:3: ports[0]: not a port (allowed: 1-65535)"
    assert str(errors.InvalidInput([problem, errors.Problem("empty")])).splitlines()[1] == "empty"


def test_a_field_is_one_line_of_what_can_be_printed() -> None:
    problem = errors.Problem("unknown key", file="app.yaml", field="services.x\n\x1b[2J\u2028é")
    assert str(problem) == "app.yaml: services.x\\n\\x1b[2J\\u2028é: unknown key"
    assert errors.as_document(errors.InvalidInput([problem]))["problems"][0]["field"] == (
        problem.field
    )
