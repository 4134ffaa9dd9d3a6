"""The API is asked by schemathesis (https://schemathesis.readthedocs.io) what its own document allows and forbids.

Whatever comes, a real master answers without a fault of its own, with a status that the document has for that
route, and with a body of the schema that the document has for that status.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import hullmark
from hullmark.masterd.openapi import document
from hullmark.masterd.routes import API
from tests.e2e.callers import LoneMaster, lone_master

LIMIT_S = 60.0
"""For all of it: on a slow machine less is asked of each route, but never less than `LEAST`."""
EXAMPLES, LEAST = 25, 5
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
NAMES = {"app": ("shop", "other"), "token": ("made", "of.ci"), "host": ("h1", "h2")}
"""Of what is there, and of what is not: names that are drawn blindly hit nothing."""
GOOD: dict[str, list[Any]] = {
    "name": ["made", "of.ci"],
    "host": ["h1", "h2"],
    "labels": [{}, {"zone": "a"}],
    "valid_s": [600, 3600.5],
    "networks": [[], ["127.0.0.0/8", "fd00::/8"]],
    "service": ["web"],
    "services": [{"web": 2}, {"web": 0}, {"none": 1}],
    "slot": [0, 1],
    "to": ["", "h1", "h2"],
}
"""By keys of bodies: what is let through to the next thing that may be wrong."""
REQUEST_NUMBERS = itertools.count()
HELD = {"hold_s": "0.01", "follow": "false"}
"""Parameters that would make an answer wait."""
APP = {
    "name": "shop",
    "services": {"web": {"container": {"image": "web:1", "pull_policy": "never"}}},
}


@dataclass(frozen=True)
class Bed:
    master: LoneMaster
    session: requests.Session
    token: str


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    for master in lone_master():
        host = master.new_host("h1")
        host.begin()
        token = master.token("fuzz", "admin")
        with requests.Session() as session:
            yield Bed(master, session, token)
        assert master.master.running
        assert master.local("GET", "/v1/status").status == 200


def operations() -> list[APIOperation[Any]]:
    """Without what the document says of logins: each request has a good one, see test_api_refusals for the others."""
    described = document(API, hullmark.__version__)
    for path in described["paths"].values():
        for operation in path.values():
            del operation["security"]
    schema = schemathesis.openapi.from_dict(described)
    found = []
    for result in schema.get_all_operations():
        found.append(result.ok())
    return found


OPERATIONS = operations()


def test_every_route_is_asked() -> None:
    asked = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert asked == {(route.method, route.path) for route in API}


def forbidding(operation: APIOperation[Any]) -> bool:
    """Whether its document forbids anything: else there is nothing wrong to ask. A name in a path may be any text."""
    return bool(list(operation.query) or list(operation.body))


CASES = [
    pytest.param(operation, mode, id=f"{mode.value}-{operation.label}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or forbidding(operation)
]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_fault_and_nothing_undocumented(
    bed: Bed, operation: APIOperation[Any], mode: GenerationMode
) -> None:
    statuses: Counter[int] = Counter()
    until = time.monotonic() + LIMIT_S / len(CASES)
    body = {"app": APP, "request_id": f"again-{next(REQUEST_NUMBERS)}"}
    again = bed.master.local("PUT", "/v1/apps/shop", body)
    assert again.status in (200, 409), "it may be just about to be removed"

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case: Case = data.draw(operation.as_strategy(mode))
        aim(case, data)
        if sum(statuses.values()) >= LEAST and time.monotonic() > until:
            return
        response = case.call(
            base_url=f"https://127.0.0.1:{bed.master.api_port}",
            session=bed.session,
            headers={"Authorization": f"Bearer {bed.token}"},
            verify=str(bed.master.root),
            timeout=30,
        )
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
    print(operation.label, mode.value, dict(statuses))
    assert sum(statuses.values()) >= (LEAST if forbidding(operation) else 1)
    assert statuses[401] == 0, "what is asked is asked by an administrator"


def aim(case: Case, data: st.DataObject) -> None:
    """At what is there, at answers that come at once, and often past the first thing that is wrong: most of what a
    schema allows is refused for its names and numbers."""
    for name, known in NAMES.items():
        if case.path_parameters and name in case.path_parameters and data.draw(st.booleans()):
            case.path_parameters[name] = data.draw(st.sampled_from(known))
    parameters = {parameter.name for parameter in case.operation.query}
    for name, value in HELD.items():
        if name in parameters:
            case.query = {**(case.query or {}), name: value}
    if isinstance(case.body, dict):
        _mend(case.body, case.path_parameters or {}, data)


def _mend(body: dict[str, Any], names: dict[str, Any], data: st.DataObject) -> None:
    for key in sorted(set(body) & set(GOOD)):
        if data.draw(st.integers(0, 3)):
            body[key] = data.draw(st.sampled_from(GOOD[key]))
    if "request_id" in body and data.draw(st.integers(0, 3)):
        body["request_id"] = f"r{next(REQUEST_NUMBERS)}"
    app = body.get("app")
    if isinstance(app, dict) and data.draw(st.integers(0, 3)):
        app["name"] = names.get("app", "shop")
        services = app.get("services")
        drawn = list(services.values()) if isinstance(services, dict) else []
        app["services"] = dict(zip(("web", "db", "job"), drawn)) or APP["services"]
        for service in app["services"].values():
            if isinstance(service, dict) and isinstance(service.get("container"), dict):
                service["container"].update(image="web:1", pull_policy="never")
