"""The API's description: it names every route, and every answer is as it says."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hullmark import model
from hullmark.masterd import changecontrol_api, foresight
from hullmark.masterd.openapi import document, schema_of
from hullmark.masterd.route import Login, Route, find
from hullmark.masterd.routes import API
from hullmark.model import api
from hullmark.model.outage import Outage
from hullmark.model.people import Role
from tests.unit.masterd.serving import APP, Served, apply_body, serve

TOKEN = {"name": "ci", "role": "deployer", "request_id": "t1", "networks": ["10.0.0.0/8"]}

OUTAGE = Outage("o1", "h1", "trail", "audit-trail", "Audit trail", 1000.0, "stopped")

H1 = ["h1"]
OF_HOSTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/hosts/h1", None),
    ("POST", "/v1/hosts/h1/labels", {"labels": {"zone": "a"}, "request_id": "h1"}),
    (
        "POST",
        "/v1/availability",
        {"hosts": H1, "availability": "cordoned", "request_id": "h2"},
    ),
    ("POST", "/v1/maintenance", {"hosts": H1, "for_s": 60, "request_id": "h3"}),
    ("GET", "/v1/hosts", None),
    ("DELETE", "/v1/maintenance", {"hosts": H1, "request_id": "h4"}),
    ("DELETE", "/v1/hosts/h1", {"force": True, "request_id": "h5"}),
]

OVER = {"epoch": "1.0", "request_id": "m1"}
OF_MASTERS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/master/step-down", OVER),
    ("POST", "/v1/master/kill", OVER),
    ("POST", "/v1/master/mark", {"mark": "d1.1"}),
]

TRAIL = {"control": "audit-trail", "request_id": "k2", "ticket": "T"}
OF_MARK: list[tuple[str, str, Any]] = [
    ("PUT", "/v1/mark", {"line": {"require": [{"control": "audit-trail"}]}, "request_id": "k1"}),
    ("POST", "/v1/mark/override", TRAIL),
    ("GET", "/v1/mark", None),
    ("DELETE", "/v1/mark/override", {"control": "audit-trail", "request_id": "k3"}),
    ("DELETE", "/v1/mark", {"request_id": "k4"}),
]

CAUSE = {"text": "a full disk", "topic": "cause", "request_id": "i2"}
OF_EVIDENCE: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/people", None),
    ("POST", "/v1/evidence/sign", {"digest": "ab" * 32, "what": "pci-dss-4.0.1"}),
)
OF_INCIDENTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/incidents?open=true&host=h1", None),
    ("GET", "/v1/incidents/1", None),
    ("POST", "/v1/incidents/1/acknowledge", {"request_id": "i1"}),
    ("POST", "/v1/incidents/1/notes", CAUSE),
    ("GET", "/v1/status", None),
]

WRONG: list[tuple[str, str, Any, int]] = [
    ("GET", "/v1/apps/none", None, 404),
    ("PUT", "/v1/apps/shop", {"app": 1}, 400),
]

LISTED = re.compile(r"^ *(GET|POST|PUT|DELETE) +(/v1/\S+)", re.MULTILINE)
"""In the docstrings of the modules that have the forms."""
NAMES = re.compile(r"\{(\w+)\}")
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def wrongs(value: Any, schema: dict[str, Any], schemas: dict[str, Any], at: str = "$") -> list[str]:
    """What of a JSON value is not as its schema says: the few keywords that ours use."""
    if "$ref" in schema:
        return wrongs(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, at)
    if "anyOf" in schema:
        each = [wrongs(value, option, schemas, at) for option in schema["anyOf"]]
        return [] if any(not found for found in each) else each[0]
    kind = schema.get("type")
    if kind is None:
        return []
    if type(value) not in KINDS[kind]:
        return [f"{at}: {value!r} is no {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r}")
    if kind == "array":
        for index, item in enumerate(value):
            found += wrongs(item, schema["items"], schemas, f"{at}[{index}]")
    if kind == "object":
        found += [
            f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value
        ]
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                found += wrongs(item, properties[name], schemas, f"{at}.{name}")
            elif isinstance(more, dict):
                found += wrongs(item, more, schemas, f"{at}.{name}")
            else:
                found.append(f"{at}.{name} is unknown")
    return found


def test_the_checker_finds_what_is_wrong() -> None:
    schemas: dict[str, Any] = {}
    schema = schema_of(api.SessionAnswer, schemas)
    good = {"token": "t", "who": "alice", "role": "admin", "expires_at": 1}
    assert wrongs(good, schema, schemas) == []
    bads: list[Any] = [{**good, "more": 1}, {**good, "expires_at": "x"}, {**good, "who": None}]
    for bad in (*bads, [], {}, None):
        assert wrongs(bad, schema, schemas)
    with pytest.raises(TypeError):
        schema_of(bytes, schemas)


def test_every_route_is_described() -> None:
    made = document(API, "1.0")
    described = {(method.upper(), path) for path, item in made["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in API}
    listed = {
        (method, path)
        for module in pkgutil.iter_modules(model.__path__)
        for method, path in LISTED.findall(
            importlib.import_module(f"hullmark.model.{module.name}").__doc__ or ""
        )
    }
    named = {
        (method, NAMES.sub(lambda found: found[1].upper(), path)) for method, path in described
    }
    assert named == listed
    names = [item["operationId"] for each in made["paths"].values() for item in each.values()]
    assert len(names) == len(set(names))
    schemas = made["components"]["schemas"]
    for text in str(made).split("#/components/schemas/")[1:]:
        assert text.partition("'")[0] in schemas


def test_operations_names_every_route_with_its_roles() -> None:
    """In docs/operations/people.md, "Who may do what": add a new route to the row of its roles."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "operations" / "people.md").read_text()
    found = {}
    for line in page.splitlines():
        routes = re.findall(r"`((?:GET|POST|PUT|DELETE) /v1/[^`]+)`", line)
        cells = line.split("|")
        if len(cells) == 4 and routes:
            roles = frozenset(Role(word.strip()) for word in cells[1].split(","))
            found.update(dict.fromkeys(routes, roles))
    expected = {
        f"{route.method} {route.path}": route.roles
        for route in API
        if route.login is not Login.NOBODY
    }
    assert found == expected


async def until_told(ask: Callable[..., Awaitable[Any]]) -> None:
    """Until there is an incident."""
    for _ in range(100):
        if (await ask("GET", "/v1/incidents"))["incidents"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no incident within 5 s")


OF_A_SECOND_MASTER = ("master/forget", "master-invites", "master-joins")


def test_every_answer_is_as_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "WITHIN_S", 0.01)  # this agent judges no plans
    seen: set[tuple[str, str]] = set()

    async def test(served: Served) -> None:
        made = (await served.local("GET", "/v1/openapi.json"))[1]
        schemas = made["components"]["schemas"]

        async def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
            got, answer = await served.local(method, path, body)
            assert got == status, answer
            route, _ = find(API, method, path.partition("?")[0].split("/"))
            responses = made["paths"][route.path][method.lower()]["responses"]
            chosen = responses[str(status)]
            (content,) = chosen["content"].values()
            assert wrongs(answer, content["schema"], schemas) == []
            if status == 200:
                seen.add((route.method, route.path))
            return answer

        # The other one is there for an instance to be moved to.
        host, _ = [await served.enroll(name) for name in ("h1", "h9")]
        seen.update(("POST", f"/v1/{path}") for path in ("enroll", *OF_A_SECOND_MASTER))
        await host.begin(outages=(OUTAGE,))
        for path in ("ca", "openapi.json", "status", "apps", "hosts", "orphans", "instances"):
            await ask("GET", f"/v1/{path}")
        await ask("POST", "/v1/plan", {"app": APP})
        await ask("PUT", "/v1/apps/shop", apply_body(ticket="T"))
        detail = await ask("GET", "/v1/apps/shop")
        await ask("GET", f"/v1/apps/shop?after={detail['version']}&hold_s=0.01")
        await ask("POST", "/v1/apps/shop/scale", {"services": {"web": 2}, "request_id": "r2"})
        for path in (
            "instances?app=shop",
            "ports?host=h1",
            "ports/firewall?host=h1",
            "flows?scope=out",
            "services?app=shop&traffic=true",
            "apps/shop/why?service=web",
        ):
            await ask("GET", f"/v1/{path}")
        await ask("GET", "/v1/posture?host=h1")
        await ask("GET", "/v1/apps/shop/explain?service=web")
        await ask("POST", "/v1/apps/shop/move", {"service": "web", "request_id": "r5"})
        rollout = await ask("GET", "/v1/apps/shop/rollout")
        await ask("GET", f"/v1/apps/shop/rollout?after={rollout['version']}&hold_s=0.01")
        undo = {"action": "undo", "request_id": "r6", "to": 1}
        await ask("POST", "/v1/apps/shop/rollout", undo)
        await ask("GET", "/v1/apps/shop/history")
        await ask("POST", "/v1/invites", {"host": "h2", "labels": {"zone": "a"}})
        await ask("POST", "/v1/sessions", {})
        await ask("POST", "/v1/tokens", TOKEN)
        await ask("GET", "/v1/tokens")
        await ask("DELETE", "/v1/tokens/ci", {"request_id": "r4"})
        await ask("GET", "/v1/apps")
        await ask("GET", "/v1/hosts")
        await ask("GET", "/v1/events?limit=1000")
        await ask("GET", "/v1/audit/trace?what=shop")
        await ask("DELETE", "/v1/apps/shop", {"request_id": "r3"})
        await until_told(ask)
        for method, path, body in (*OF_INCIDENTS, *OF_EVIDENCE, *OF_MARK, *OF_HOSTS, *OF_MASTERS):
            await ask(method, path, body)
        for method, path, body, status in WRONG:
            await ask(method, path, body, status)
        await asyncio.sleep(0)

    serve(tmp_path, test)
    # Change control needs two people: `test_changecontrol.py` has them.
    elsewhere = [route for route in API if route.lines or route in changecontrol_api.ROUTES]
    assert seen == {(route.method, route.path) for route in API if route not in elsewhere}


def test_a_route_matches_whole_paths_only() -> None:
    route = Route("GET", "/v1/apps/{app}/logs", find, "x", login=Login.PERSON)  # type: ignore[arg-type]
    assert route.match(["", "v1", "apps", "shop", "logs"]) == {"app": "shop"}
    for path in ("/v1/apps//logs", "/v1/apps/shop", "/v1/apps/shop/logs/", "v1/apps/shop/logs"):
        assert route.match(path.split("/")) is None
