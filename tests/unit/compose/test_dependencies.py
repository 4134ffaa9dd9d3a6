from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.compose.dependencies import circle
from hullmark.model.app import Dependency, DependencyCondition
from tests.unit.compose.apps import build, problems, web, web_problems, web_text

DB = "  db: {image: db}\n"


@pytest.mark.parametrize(
    ("lines", "dependencies"),
    [
        ("depends_on: [db]", [Dependency("db")]),
        ("depends_on: {db: }", [Dependency("db")]),
        (
            "depends_on: {db: {condition: service_healthy, required: false}}",
            [Dependency("db", DependencyCondition.HEALTHY, required=False)],
        ),
        (
            "depends_on: {db: {condition: service_completed_successfully}}",
            [Dependency("db", DependencyCondition.COMPLETED)],
        ),
        ("depends_on: {gone: {required: false}}", [Dependency("gone", required=False)]),
    ],
)
def test_forms(lines: str, dependencies: list[Dependency]) -> None:
    assert web(lines, DB).depends_on == tuple(dependencies)


@pytest.mark.parametrize(
    ("lines", "field", "problem"),
    [
        ("depends_on: [bd]", "[0]", "the app has no service bd (allowed: db, web, or `required"),
        ("depends_on: {bd: {condition: service_started}}", ".bd", "the app has no service bd"),
        ("depends_on: {db: {condition: started}}", ".db.condition", "service_started, "),
        ("depends_on: {db: started}", ".db", "a mapping with condition"),
        ("depends_on: db", "", "a list or a mapping of services"),
        ("depends_on: {db: {requird: false}}", ".db.requird", "did you mean required?"),
        ("depends_on: [web]", "", "a circle: web -> web"),
        ("depends_on: ['a b']", "[0]", "the first a letter or digit"),
    ],
)
def test_wrong(lines: str, field: str, problem: str) -> None:
    found = web_problems(lines, DB)
    assert len(found) == 1
    assert found[0].startswith(f"compose.yaml:4: services.web.depends_on{field}: ")
    assert problem in found[0]


def test_a_circle_is_named_with_its_line() -> None:
    text = """
        services:
          a: {image: x, depends_on: [b]}
          b: {image: x, depends_on: {c: {condition: service_healthy}}}
          c:
            image: x
            depends_on: [a]
    """
    found = problems(text)
    assert found == ["compose.yaml:3: services.a.depends_on: a circle: a -> b -> c -> a"]


def test_what_never_becomes_healthy_is_not_waited_for() -> None:
    lines = "depends_on: {db: {condition: service_healthy}}"
    found = web_problems(lines, "  db: {image: db, healthcheck: {disable: true}}")
    assert found[0].startswith("compose.yaml:4: services.web.depends_on: db has its health check")
    assert web(lines, DB).depends_on[0].condition is DependencyCondition.HEALTHY


def test_restart_of_a_dependency_is_not_followed() -> None:
    _, warnings = build(web_text("depends_on: {db: {restart: true}}", DB))
    assert "goes on running when the other is replaced" in warnings[0]
    assert build(web_text("depends_on: {db: {restart: false}}", DB))[1] == ()


def test_a_links_alias_is_a_name_of_the_linked_service() -> None:
    app, warnings = build(web_text("links: ['db:mysql', db]", DB))
    assert app.services["db"].container.networks[0].aliases == ("mysql",)
    assert app.services["web"].depends_on == (Dependency("db"),)
    assert "mysql becomes a name of db for all on default" in warnings[0]
    assert "needless" in warnings[1]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("links: [bd]", "the app has no service bd"),
        ("links: ['db:a b']", "and a name of a host"),
        ("network_mode: host\nlinks: [db]", "no meaning with network_mode host"),
        ("networks: [side]\nlinks: [db]", "a network that both services are on"),
        ("external_links: [db]", "external_links: is not supported: use a network with"),
    ],
)
def test_wrong_links(lines: str, problem: str) -> None:
    found = web_problems(lines, f"{DB}networks: {{side: }}")
    assert problem in found[0]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24))
def test_a_circle_is_found_where_there_is_one(pairs: list[tuple[int, int]]) -> None:
    edges: dict[str, list[str]] = {str(name): [] for name in range(8)}
    for one, other in pairs:
        edges[str(one)].append(str(other))
    found = circle(edges)
    if found:
        assert all(after in edges[before] for before, after in zip(found, (*found[1:], found[0])))
    else:
        # Then an order exists in which each comes after all that it needs.
        placed: set[str] = set()
        while len(placed) < len(edges):
            free = {name for name, needs in edges.items() if placed.issuperset(needs)} - placed
            assert free
            placed |= free


def test_a_long_chain_is_no_trouble() -> None:
    many = {str(number): [str(number + 1), str(number + 2)] for number in range(5_000)}
    assert circle(many) == ()
    assert len(circle({**many, "4999": ["0"]})) > 1
