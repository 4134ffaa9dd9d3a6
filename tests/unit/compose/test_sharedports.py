"""Ports that two services of one app publish on the same hosts."""

from __future__ import annotations

import pytest

from hullmark.compose.services import build_app
from hullmark.errors import InvalidInput
from tests.unit.compose.apps import project

LONG = "{target: 80, published: 8080"
EDGE, INNER = "node.labels.edge == yes", "node.labels.edge == no"


def clashes(web: str, api: str, web_on: str = "", api_on: str = "") -> list[str]:
    text = f"""
        services:
          web:
            image: nginx
            ports: ["9000:90", {web}]
            x-hullmark: {{ingress: [{web_on}]}}
          api:
            image: nginx
            ports:
              - 9001:90
              - {api}
            x-hullmark: {{ingress: [{api_on}]}}
    """
    return [str(problem) for problem in build_app(project(text), {}).clashes]


@pytest.mark.parametrize(
    ("web", "api"),
    [
        ("'8080:80'", "'8080:81'"),
        ("'127.0.0.1:8080:80'", "'8080:80'"),
        ("'127.0.0.1:8080:80'", "'127.0.0.1:8080:80'"),
        ("'8080:80'", "'8079-8080:80-81'"),
        ("'8080:80'", "'8080-8090:80'"),
        (f"{LONG}}}", f"{LONG}, mode: ingress}}"),
    ],
)
def test_the_later_one_is_told_by_its_line(web: str, api: str) -> None:
    (problem,) = clashes(web, api)
    assert problem == (
        "compose.yaml:11: services.api.ports[1]: port 8080/tcp is published by web, too"
        " (allowed: another published port, or x-hullmark.ingress with other hosts)"
    )


@pytest.mark.parametrize("wrong", ["8080:82", "8080:"], ids=["taken twice", "no port"])
def test_it_is_told_beside_what_else_is_wrong_with_ports(wrong: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clashes(f"'8080:80', '{wrong}'", "'8080:81'")
    own, shared = refused.value.problems
    assert own.field == "services.web.ports[2]"
    assert (shared.field, shared.line) == ("services.api.ports[1]", 11)


@pytest.mark.parametrize(
    ("web", "api"),
    [
        ("'8080:80'", "'8081:80'"),
        ("'127.0.0.1:8080:80'", "'127.0.0.2:8080:80'"),
        ("'80'", "'80'"),
        ("'8080:80'", f"{LONG}, mode: host}}"),
        (f"{LONG}, mode: host}}", f"{LONG}, mode: host}}"),
        (f"{LONG}, protocol: udp, mode: host}}", "'8080:80'"),
        ("'8079-8080:80'", "'8080:80'"),
    ],
)
def test_what_some_hosts_can_answer(web: str, api: str) -> None:
    assert clashes(web, api) == []


@pytest.mark.parametrize(
    ("web_on", "api_on", "clash"),
    [
        (EDGE, INNER, False),
        (EDGE, EDGE, True),
        (EDGE, "", True),
        (f"{EDGE}, node.labels.rack == 1", EDGE, True),
        (f"{EDGE}, node.labels.rack == 1", f"{EDGE}, node.labels.rack == 2", False),
    ],
)
def test_other_hosts_may_answer_the_other(web_on: str, api_on: str, clash: bool) -> None:
    assert len(clashes("'8080:80'", "'8080:80'", web_on, api_on)) == clash
