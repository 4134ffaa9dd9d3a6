"""The API's description of itself (OpenAPI 3.1), made from the table of routes and the dataclasses.

A field with a default may be left out, and is left out of answers that hold it: see `model/wire`.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import inspect
import json
import re
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Union

from hullmark.masterd.changekinds import KINDS
from hullmark.masterd.route import Login, Parameter, Route
from hullmark.model.api import ErrorAnswer
from hullmark.model.changecontrol import Held
from hullmark.model.people import Role
from hullmark.model.wire import MISSING, fields_of, to_wire

VERSION = "3.1.0"

ERRORS = {
    400: "The request is wrong: `problems` by field",
    401: "Not logged in",
    403: "May not",
    404: "There is no such thing",
    409: "It changed meanwhile, or clashes with something that is there",
    413: "The body is too large",
    415: "The body is said not to be JSON",
    421: "This master does not lead",
    503: "No answer from the store, from a host or from the system: ask again",
}

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
_NAMES = re.compile(r"\{(\w+)\}")


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document, a JSON value."""
    schemas: dict[str, Any] = {}
    reference(ErrorAnswer, schemas)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": "Hullmark", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"login": {"type": "http", "scheme": "bearer"}},
        },
    }


@functools.cache
def document_bytes(routes: tuple[Route, ...], version: str) -> bytes:
    """Made once in a process: it takes 20 ms."""
    return json.dumps(document(routes, version), indent=1).encode()


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    kind = "application/x-ndjson" if route.lines else "application/json"
    schema = {} if route.answer is None else reference(route.answer, schemas)
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": [{"login": []}] if route.login is not Login.NOBODY else [],
        "parameters": list(_parameters(route)),
        "responses": {
            "200": {"description": "The answer", "content": {kind: {"schema": schema}}},
            **_held(route, schemas),
            **{str(status): _error(status) for status in _statuses(route)},
        },
    }
    if route.login is not Login.NOBODY:
        operation["x-hullmark-roles"] = [role.value for role in Role if role in route.roles]
    if route.login is Login.LOCAL:
        operation["x-hullmark-unix-socket-only"] = True
    if route.body is not None:
        content = {"application/json": {"schema": reference(route.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _held(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    """Of a change that may wait for a second person."""
    if (route.method, route.path) not in KINDS:
        return {}
    content = {"application/json": {"schema": reference(Held, schemas)}}
    return {"202": {"description": "It waits for a second person's approval", "content": content}}


def _statuses(route: Route) -> Iterable[int]:
    """Of errors that this route may answer with."""
    yield 400
    if route.login is not Login.NOBODY:
        yield 401
    if route.login is not Login.NOBODY or route.careful:
        yield 403
    if route.method != "GET" or route.query or "{" in route.path:
        yield 404
    if route.method != "GET":
        yield 409
    yield 413
    if route.body is not None:
        yield 415
    yield from (421, 503)


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorAnswer"}
    return {"description": ERRORS[status], "content": {"application/json": {"schema": schema}}}


def _parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in _NAMES.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for parameter in route.query:
        yield {
            "name": parameter.name,
            "in": "query",
            "description": parameter.meaning,
            "schema": _of_parameter(parameter),
        }


def _of_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": _SCALARS[type(parameter.default)],
        "default": parameter.default,
    }
    if schema["type"] in ("integer", "number"):
        schema.update(minimum=parameter.least, maximum=parameter.most)
    return schema


def reference(cls: type, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a dataclass's schema, which is added where it is new, with all that it holds."""
    if cls.__name__ not in schemas:
        schemas[cls.__name__] = {}
        schemas[cls.__name__] = _of_dataclass(cls, schemas)
    return {"$ref": f"#/components/schemas/{cls.__name__}"}


def _of_dataclass(cls: type, schemas: dict[str, Any]) -> dict[str, Any]:
    properties, required = {}, []
    for name, kind, default in fields_of(cls):
        schema = schema_of(kind, schemas)
        if default is MISSING:
            required.append(name)
        elif "$ref" not in schema:
            schema = {**schema, "default": to_wire(default)}
        properties[name] = schema
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        found["required"] = required
    if cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("):
        found["description"] = inspect.cleandoc(cls.__doc__)
    return found


def schema_of(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Of any type that `model/wire` knows. Raises TypeError for another."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union and type(None) in args:
        inner = next(item for item in args if item is not type(None))
        return {"anyOf": [schema_of(inner, schemas), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": schema_of(args[0], schemas)}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": schema_of(args[1], schemas)}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return reference(kind, schemas)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    if kind is object:
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    raise TypeError(f"{kind!r} has no schema")
