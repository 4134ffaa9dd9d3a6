"""The controls of one document: every key read by its form, what is wrong told by its line, and the rest read on."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Optional

from hullmark.config import checkvalues, values
from hullmark.document import ListValue, MapValue, line_of, problem_at
from hullmark.errors import Problem
from hullmark.model.checkkinds import KINDS, Kind
from hullmark.model.control import LEVELS, SOUGHT, CheckSpec, Condition, ControlSpec
from hullmark.model.functions import FUNCTIONS, OF_A_SITE

INTERVAL_LEAST_S, INTERVAL_MOST_S = 1.0, 31 * 86400.0
TIMEOUT_LEAST_S, TIMEOUT_MOST_S = 0.1, 3600.0
CHECKS_MOST = 50
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SITES = re.compile(rf"{OF_A_SITE}[a-z0-9-]{{1,57}}")
_MISSING = object()


@dataclass(frozen=True)
class Entry:
    """A control of a file. `spec` is None where the file only switches off the shipped one of this id, or it is wrong."""

    control_id: str
    file: str
    line: int
    spec: Optional[ControlSpec] = None
    off: bool = False


class _Near(ValueError):
    """Something else is likely meant."""


def _near(value: Any, known: Collection[str]) -> None:
    """Raises `_Near` where a known word is like this one."""
    near = get_close_matches(value, known, n=1) if isinstance(value, str) else []
    if near:
        raise _Near(near[0])


def an_id(value: Any) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError("1 to 63 lower-case letters, digits and hyphens, such as time-chrony")


def _function(value: Any) -> str:
    if isinstance(value, str) and (value in FUNCTIONS or _SITES.fullmatch(value)):
        return value
    _near(value, FUNCTIONS)
    raise ValueError(f"{', '.join(FUNCTIONS)}; or one of the site's own, {OF_A_SITE}NAME")


def _condition(value: Any) -> Condition:
    return Condition(values.choice(*(each.value for each in Condition))(value))


def _any(value: Any) -> Any:
    return value


Reader = Callable[[Any], Any]
_CONTROL: Mapping[str, Reader] = {
    "id": an_id,
    "function": _function,
    "title": checkvalues.text,
    "rationale": checkvalues.paragraph,
    "condition": _condition,
    "remediation": checkvalues.paragraph,
    "enabled": checkvalues.yes_no,
    "checks": _any,
}
_NEEDED = ("id", "function", "title", "checks")
_CHECK = ("id", "kind", "interval", "timeout", "level")
"""Keys of every check; those of its kind stand beside them."""


def read(document: MapValue, problems: list[Problem]) -> list[Entry]:
    """What can be read of a document's `controls`; `problems` grows by what is wrong."""
    listed = document.get("controls")
    if listed is None:
        return []
    if not isinstance(listed, ListValue):
        problems.append(problem_at(document, "controls", "controls", "not a list", "- id: ..."))
        return []
    entries = [_entry(listed, number, problems) for number in range(len(listed))]
    return [entry for entry in entries if entry is not None]


class Fields:
    """The keys of one mapping, read one by one; what is wrong is kept."""

    def __init__(self, mapping: MapValue, where: str, problems: list[Problem]) -> None:
        self.mapping = mapping
        self.where = where
        self._problems = problems
        self._before = len(problems)

    @property
    def wrong(self) -> bool:
        return len(self._problems) > self._before

    def problem(self, key: Optional[str], message: str, allowed: str = "") -> None:
        field = ".".join(each for each in (self.where, key) if each)
        self._problems.append(problem_at(self.mapping, key, field, message, allowed))

    def get(self, key: str, reader: Reader, default: Any = None) -> Any:
        """The default also where it is wrong."""
        value = self.mapping.get(key, _MISSING)
        if value is _MISSING:
            return default
        try:
            return reader(value)
        except ValueError as error:
            shown = f"bad value {value[:60]!r}" if isinstance(value, str) else "bad value"
            if isinstance(error, _Near):
                self.problem(key, f"{shown}; did you mean {error}?")
            else:
                self.problem(key, shown, str(error))
            return default

    def need(self, keys: Collection[str]) -> None:
        for key in keys:
            if key not in self.mapping:
                self.problem(None, f"has no {key}", f"{key}: ...")

    def only(self, known: Collection[str]) -> None:
        for key in self.mapping:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
                self.problem(key, hint, "" if near else ", ".join(known))


def _entry(listed: ListValue, number: int, problems: list[Problem]) -> Optional[Entry]:
    item, where = listed[number], f"controls[{number}]"
    if not isinstance(item, MapValue):
        problems.append(problem_at(listed, number, where, "not a mapping", "id: ... and more"))
        return None
    fields = Fields(item, where, problems)
    control_id = fields.get("id", an_id, "")
    file, line = line_of(item)
    if control_id:
        fields.where = control_id
    if set(item) <= {"id", "enabled"} and item.get("enabled") is False and control_id:
        return Entry(control_id, file, line or 0, off=True)
    spec = _spec(fields, control_id, file, line or 0, problems)
    return Entry(control_id, file, line or 0, spec) if control_id else None


def _spec(
    fields: Fields, control_id: str, file: str, line: int, problems: list[Problem]
) -> Optional[ControlSpec]:
    fields.only(tuple(_CONTROL))
    fields.need(_NEEDED)
    found = {key: fields.get(key, reader) for key, reader in _CONTROL.items() if key != "id"}
    checks = _checks(fields, problems)
    if found["condition"] is Condition.NONE:
        checks = tuple(_sought(fields, check) for check in checks)
    if fields.wrong:
        return None
    return ControlSpec(
        control_id=control_id,
        function=found["function"],
        title=found["title"],
        rationale=found["rationale"] or "",
        condition=found["condition"] or Condition.ALL,
        checks=checks,
        remediation=found["remediation"] or "",
        enabled=found["enabled"] is not False,
        file=file,
        line=line,
    )


def _sought(fields: Fields, check: CheckSpec) -> CheckSpec:
    """A check of a control whose condition is none: its failure is the good end, so it may not come from a tool that is broken."""
    if "." in check.kind or check.kind == "log_canary":
        allowed = "all or any: it fails where the tool is broken, which would count as a pass"
        fields.problem("condition", f"none, with {check.check_id}, a {check.kind}", allowed)
    return replace(check, given={**check.given, SOUGHT: True})


def _checks(fields: Fields, problems: list[Problem]) -> tuple[CheckSpec, ...]:
    listed = fields.mapping.get("checks", _MISSING)
    if listed is _MISSING:
        return ()
    if not isinstance(listed, ListValue) or not 0 < len(listed) <= CHECKS_MOST:
        fields.problem("checks", "no list of checks", f"1 to {CHECKS_MOST} of - id: ...")
        return ()
    found: dict[str, CheckSpec] = {}
    for number, item in enumerate(listed):
        where = f"{fields.where}.checks[{number}]"
        if not isinstance(item, MapValue):
            allowed = "id:, kind: and what the kind takes"
            problems.append(problem_at(listed, number, where, "not a mapping", allowed))
            continue
        check = _check(Fields(item, where, problems))
        if check is None:
            continue
        if check.check_id in found:
            message = f"{check.check_id} stands here and in line {found[check.check_id].line}"
            problems.append(problem_at(item, "id", f"{where}.id", message))
        found[check.check_id] = check
    return tuple(found.values())


def _check(fields: Fields) -> Optional[CheckSpec]:
    """A kind that isn't known leaves nothing else to read: what may stand there is the kind's."""
    fields.need(("id", "kind"))
    check_id = fields.get("id", an_id, "")
    if check_id:
        fields.where = fields.where.rpartition(".")[0] + f".{check_id}"
    name = fields.get("kind", _kind_name)
    if name is None:
        return None
    kind = KINDS[name]
    fields.only((*_CHECK, *kind.parameters))
    interval_s = _duration(fields, "interval", kind.interval_s, INTERVAL_LEAST_S, INTERVAL_MOST_S)
    usual_s = min(kind.timeout_s, interval_s)
    timeout_s = _duration(fields, "timeout", usual_s, TIMEOUT_LEAST_S, TIMEOUT_MOST_S)
    if timeout_s > interval_s:
        fields.problem("timeout", "longer than the interval", f"at most {interval_s:g}s")
    level = fields.get("level", _level(name, kind.level), kind.level)
    given = _given(fields, kind)
    waits_s = given.get(kind.waits)
    if isinstance(waits_s, float) and waits_s >= timeout_s:
        fields.problem(kind.waits, "not shorter than the timeout", f"less than {timeout_s:g}s")
    if fields.wrong:
        return None
    file, line = line_of(fields.mapping)
    return CheckSpec(check_id, name, level, interval_s, timeout_s, given, file, line or 0)


def _duration(fields: Fields, key: str, default: float, least: float, most: float) -> float:
    found: float = fields.get(key, values.duration(least, most), default)
    return found


def _kind_name(value: Any) -> str:
    if isinstance(value, str) and value in KINDS:
        return value
    _near(value, KINDS)
    raise ValueError(", ".join(sorted(KINDS)))


def _level(name: str, most: int) -> Reader:
    def read_level(value: Any) -> int:
        if type(value) is int and 0 <= value <= most:
            return int(value)
        proves = f"{most} ({LEVELS[most]}), the most that {name} can prove"
        raise ValueError(f"a whole number from 0 to {proves}")

    return read_level


def _given(fields: Fields, kind: Kind) -> Mapping[str, object]:
    """Complete with defaults."""
    given: dict[str, object] = {}
    for key, parameter in kind.parameters.items():

        def reader(value: Any, parameter: Any = parameter) -> object:
            return checkvalues.read(parameter, value)

        given[key] = fields.get(key, reader, parameter.default)
    fields.need([key for key, parameter in kind.parameters.items() if parameter.required])
    if kind.one_of and not any(key in fields.mapping for key in kind.one_of):
        fields.problem(None, "has nothing to judge by", f"one of {', '.join(kind.one_of)}")
    for key, other in kind.beside.items():
        if key in fields.mapping and other not in fields.mapping:
            fields.problem(key, f"means nothing without {other}", f"{other}: ... beside it")
    return given
