"""What a service says of who reaches it: uses, ingress, client_address, drain."""

from __future__ import annotations

import pytest

from hullmark.model.app import DRAIN_S, ClientAddress
from tests.unit.compose.apps import build, problems, web, web_problems, web_warnings

USES = "x-hullmark: {uses: %s}"


def test_nothing_said() -> None:
    found = web("tty: true")
    assert (found.uses, found.ingress, found.exposed) == ((), (), ())
    assert (found.client_address, found.drain_s) == (ClientAddress.NONE, DRAIN_S)


def test_all_that_can_be_said() -> None:
    found = web(
        "ports: ['80:80']\n"
        "x-hullmark: {uses: [bank/ledger, cache.v2], ingress: ['node.labels.edge == a'],"
        " client_address: proxy, drain: 1m30s}",
        "  cache.v2: {image: cache}",
    )
    assert found.uses == ("bank/ledger", "shop/cache.v2")
    assert found.ingress == ("node.labels.edge == a",)
    assert (found.client_address, found.drain_s) == (ClientAddress.PROXY, 90.0)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (USES % "[a/b/c]", "x-hullmark.uses[0]: "),
        (USES % "[Bank/db]", "x-hullmark.uses[0]: "),
        (USES % "[5]", "(allowed: APP/SERVICE, or SERVICE of the same app)"),
        (USES % "bank/db", "a list of services"),
        (USES % "[bank/db, bank/db]", "x-hullmark.uses[1]: bank/db stands there twice"),
        (USES % "[gone]", "the app has no service gone; one of another app is named APP/SERVICE"),
        (USES % "[web]", "a service that uses itself"),
        ("network_mode: host\n" + USES % "[bank/db]", "every process of the host"),
        ("network_mode: none\n" + USES % "[bank/db]", "reaches nothing"),
        ("x-hullmark: {ingress: [edge]}", "KEY == VALUE or KEY != VALUE"),
        ("x-hullmark: {client_address: yes}", "none, proxy, forwarded"),
        ("x-hullmark: {drain: 6m}", "0s to 5m"),
    ],
)
def test_wrong(lines: str, problem: str) -> None:
    (found,) = web_problems(lines)
    assert problem in found


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (
            "x-hulmark: {uses: [bank/db]}",
            "services.web.x-hulmark: ignored, as every key that begins",
        ),
        ("x-hullmarks: {}", "did you mean x-hullmark?"),
        ("ports: [80]", "reached under the service's address only"),
        ("ports: ['8000-8010:80']", "of 8000-8010 hosts answer 8000 only"),
        ("x-hullmark: {ingress: ['node.id == 1']}", "publishes no port that proxies answer"),
        ("x-hullmark: {client_address: forwarded}", "publishes no port that proxies answer"),
    ],
)
def test_what_means_something_else_than_elsewhere_is_told(lines: str, warning: str) -> None:
    (found,) = web_warnings(lines)
    assert warning in found


@pytest.mark.parametrize(
    "lines",
    [
        "ports: [{target: 80, mode: host}]",
        "ports: [{target: 80, published: 8000-8010, mode: host}]",
        "ports: ['80:80']\nx-hullmark: {ingress: ['node.id == 1'], client_address: forwarded}",
        "x-hullmark: {client_address: proxy}",
    ],
)
def test_quiet(lines: str) -> None:
    assert web_warnings(lines) == []


def test_a_problem_that_shows_in_the_whole_names_its_line() -> None:
    text = """
        services:
          web: {image: nginx, x-hullmark: {uses: [db]}}
    """
    (found,) = problems(text)
    assert found.startswith("compose.yaml:3: services.web.x-hullmark.uses")
    assert build("services: {web: {image: x, x-hullmark: {uses: [a/b]}}}")[1] == ()
