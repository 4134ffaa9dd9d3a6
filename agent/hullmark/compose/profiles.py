"""Which services are there (Compose Specification, "Profiles")."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from hullmark.document import ListValue, MapValue, problem_at
from hullmark.errors import Problem

ALL = "*"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
ALLOWED = "letters, digits, _ . -, the first a letter or a digit"


def wanted_profiles(asked: Collection[str], environment_value: str) -> frozenset[str]:
    """Profiles by name: those asked for, else those of COMPOSE_PROFILES."""
    named = asked or environment_value.split(",")
    return frozenset(name.strip() for name in named if name.strip())


def active_services(
    services: MapValue, profiles: Collection[str], problems: list[Problem]
) -> MapValue:
    """The services that are there. One that needs a service which isn't is a problem, unless it says
    that it can do without: then it no longer mentions it."""
    out = MapValue(services.file, services.line)
    for name, service in services.items():
        if _is_active(name, service, profiles, problems):
            out.put(name, service, services.lines[name], services.files[name])
    gone = {name: service for name, service in services.items() if name not in out}
    for name, service in out.items():
        if gone and isinstance(service, MapValue):
            _drop_optional(service, gone)
            problems += _missing(name, service, gone)
    return out


def _is_active(name: str, service: Any, profiles: Collection[str], problems: list[Problem]) -> bool:
    if not isinstance(service, MapValue) or service.get("profiles") is None:
        return True
    named = service["profiles"]
    field = f"services.{name}.profiles"
    if not isinstance(named, ListValue):
        problems.append(problem_at(service, "profiles", field, "not a list", "a list of names"))
        return True
    for index, each in enumerate(named):
        if not isinstance(each, str) or not NAME.fullmatch(each):
            problems.append(
                problem_at(named, index, f"{field}[{index}]", "not a profile's name", ALLOWED)
            )
            return True
    return not named or ALL in profiles or any(each in profiles for each in named)


def _drop_optional(service: MapValue, gone: Collection[str]) -> None:
    needs = service.get("depends_on")
    if isinstance(needs, MapValue):
        for other in [name for name in needs if name in gone]:
            need = needs[other]
            if isinstance(need, MapValue) and need.get("required") in (False, "false"):
                needs.drop(other)


def _missing(name: str, service: MapValue, gone: dict[str, Any]) -> Iterator[Problem]:
    for key in ("depends_on", "links"):
        named = service.get(key)
        if isinstance(named, MapValue):
            places: list[tuple[Any, Any]] = [(each, each) for each in named]
        elif isinstance(named, ListValue):
            places = [(index, _service_of(each, key)) for index, each in enumerate(named)]
        else:
            continue
        for place, other in places:
            if other in gone:
                has = ", ".join(gone[other]["profiles"])
                message = f"service {other} is not there without one of its profiles: {has}"
                allowed = "a profile asked for, or `required: false`"
                yield problem_at(named, place, f"services.{name}.{key}", message, allowed)


def _service_of(entry: Any, key: str) -> Any:
    if key == "links" and isinstance(entry, str):
        return entry.partition(":")[0]
    return entry if isinstance(entry, str) else None
